// Sockets of both languages on one loop: TCP, UNIX, UDP, TLS, HTTP, resolver, pipes.

import dgram from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { buffer, text } from "node:stream/consumers";
import tls from "node:tls";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { PyProxy } from "../../src/index.js";
import { startPython } from "../helpers/python.js";

const py = await startPython();
// Made by openssl for localhost, valid until 2126; its key protects nothing.
const certificates = path.join(import.meta.dirname, "..", "fixtures", "tls");
const cert = path.join(certificates, "cert.pem");
const key = path.join(certificates, "key.pem");
const big = new Uint8Array(1 << 20).map((_, i) => (i * 31) % 251);

beforeAll(() => {
  py.globals.paths = [cert, key];
  py.execSync(`
import asyncio, os, socket, ssl, sys
cert, key = paths
def server_context():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(cert, key)
    return context
def client_context():
    return ssl.create_default_context(cafile=cert)
async def echo(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
async def serve(**options):
    global server
    if "path" in options:
        server = await asyncio.start_unix_server(echo, **options)
        return 0
    server = await asyncio.start_server(echo, "127.0.0.1", 0, **options)
    return server.sockets[0].getsockname()[1]
async def answer(reader, writer):
    path = (await reader.readline()).split()[1].decode()
    while (await reader.readline()).strip():
        pass
    body = f"path {path}"
    head = f"HTTP/1.1 200 OK\\r\\nContent-Length: {len(body)}\\r\\nConnection: close\\r\\n\\r\\n"
    writer.write((head + body).encode())
    await writer.drain()
    writer.close()
async def serve_http():
    global server
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server.sockets[0].getsockname()[1]
async def stop():
    server.close()
    await server.wait_closed()
async def exchange(reader, writer, data):
    async def send():
        writer.write(bytes(data))
        await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    sending = asyncio.ensure_future(send())
    received = await reader.readexactly(len(data))
    await sending
    writer.close()
    await writer.wait_closed()
    return received
async def request(port, data, **options):
    return await exchange(*await asyncio.open_connection("127.0.0.1", port, **options), data)
`);
});

const portOf = (server: net.Server): number => (server.address() as net.AddressInfo).port;

/** A server of Python's that echoes, for one test. */
async function echoServer(options = ""): Promise<number> {
  const port = await py.eval<number>(`await serve(${options})`);
  onTestFinished(() => py.exec("await stop()"));
  return port;
}

/** A server of Node's that echoes, for one test. */
async function nodeServer(server: net.Server, ...where: unknown[]): Promise<number> {
  server.listen(...(where as [number, string]));
  await once(server, "listening");
  onTestFinished(async () => {
    server.close();
    await once(server, "close");
  });
  return where.length === 1 ? 0 : portOf(server);
}

async function exchange(socket: net.Socket, data: Uint8Array): Promise<Buffer> {
  socket.end(data);
  return await buffer(socket);
}

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-smoke-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

const pipe = (socket: net.Socket): net.Socket => socket.on("error", () => {}).pipe(socket);

describe("TCP", () => {
  test("Python's server, Node's client: 1 MB", async () => {
    const port = await echoServer();
    const received = await exchange(net.connect(port, "127.0.0.1"), big);
    expect(Buffer.compare(received, big)).toBe(0);
  });

  test("Node's server, Python's client: 1 MB", async () => {
    const port = await nodeServer(net.createServer({ allowHalfOpen: true }, pipe), 0, "127.0.0.1");
    const received = await py.globals.request(port, big);
    expect(Buffer.compare(received, big)).toBe(0);
  });

  test("fifty connections at once", async () => {
    const port = await echoServer();
    const data = [...Array(50).keys()].map((i) => Buffer.from(`connection ${i}`));
    const received = await Promise.all(
      data.map((each, i) =>
        i % 2 ? exchange(net.connect(port, "127.0.0.1"), each) : py.globals.request(port, each),
      ),
    );
    expect(received.map((each) => Buffer.from(each as Uint8Array).toString())).toEqual(
      data.map(String),
    );
  });

  test("a port that nobody listens on", async () => {
    const server = net.createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = portOf(server);
    server.close();
    await once(server, "close");
    await expect(py.globals.request(port, big)).rejects.toMatchObject({
      name: "ConnectionRefusedError",
    });
  });

  test("the socket methods of the loop", async () => {
    await py.exec(`
loop = asyncio.get_running_loop()
listening = socket.create_server(("127.0.0.1", 0))
listening.setblocking(False)
client = socket.socket()
client.setblocking(False)
accepting = asyncio.ensure_future(loop.sock_accept(listening))
await loop.sock_connect(client, listening.getsockname())
server, _ = await accepting
await loop.sock_sendall(client, b"hello")
assert await loop.sock_recv(server, 100) == b"hello"
for each in (client, server, listening):
    each.close()
`);
  });
});

describe("UNIX sockets, UDP, pipes, names", () => {
  test("Python's server on a path, Node's client", async () => {
    const file = path.join(temporaryFolder(), "socket");
    await echoServer(`path=${JSON.stringify(file)}`);
    expect((await exchange(net.connect(file), Buffer.from("unix"))).toString()).toBe("unix");
  });

  test("Node's server on a path, Python's client", async () => {
    const file = path.join(temporaryFolder(), "socket");
    await nodeServer(net.createServer({ allowHalfOpen: true }, pipe), file);
    py.globals.file = file;
    expect(
      await py.eval("await exchange(*await asyncio.open_unix_connection(file), b'unix')"),
    ).toEqual(new Uint8Array(Buffer.from("unix")));
  });

  test("datagrams between Python and Node", async () => {
    const socket = dgram.createSocket("udp4");
    socket.on("message", (data, from) => socket.send(`${data}!`, from.port, from.address));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    await py.exec(
      `
class Protocol(asyncio.DatagramProtocol):
    def __init__(self):
        self.received = asyncio.get_running_loop().create_future()
    def datagram_received(self, data, address):
        self.received.set_result(data)
transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
    Protocol, remote_addr=("127.0.0.1", port))
transport.sendto(b"hi")
assert await protocol.received == b"hi!"
transport.close()
`,
      { port: socket.address().port },
    );
    socket.close();
  });

  test("a pipe as a stream", async () => {
    await py.exec(`
reading, writing = os.pipe()
reader = asyncio.StreamReader()
transport, _ = await asyncio.get_running_loop().connect_read_pipe(
    lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(reading, "rb", 0))
os.write(writing, b"through")
os.close(writing)
assert await reader.read() == b"through"
transport.close()
`);
  });

  test("localhost is resolved", async () => {
    const found = await py.eval<string[]>(
      "[a[4][0] for a in await asyncio.get_running_loop().getaddrinfo('localhost', 80)]",
    );
    expect(["127.0.0.1", "::1"]).toContain(found[0]);
  });
});

describe("TLS", () => {
  const ca = readFileSync(cert);
  const credentials = { cert: ca, key: readFileSync(key) };

  test("Python's server, Node's client: 1 MB", async () => {
    const port = await echoServer("ssl=server_context()");
    const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca });
    await once(socket, "secureConnect");
    const received: Buffer[] = [];
    let length = 0;
    socket.write(big);
    for await (const chunk of socket) {
      received.push(chunk as Buffer);
      length += (chunk as Buffer).length;
      if (length === big.length) break;
    }
    expect(Buffer.compare(Buffer.concat(received), big)).toBe(0);
  });

  test("Node's server, Python's client: 1 MB", async () => {
    const port = await nodeServer(tls.createServer(credentials, pipe), 0, "127.0.0.1");
    const options = py.evalSync(
      "__import__('coloop').ref({'ssl': client_context(), 'server_hostname': 'localhost'})",
    );
    const received = await py.eval<Uint8Array>("await request(port, big, **options)", {
      request: py.globals.request,
      port,
      big,
      options,
    });
    expect(Buffer.compare(received, big)).toBe(0);
  });

  test("a certificate that is not trusted is refused", async () => {
    const port = await nodeServer(
      tls.createServer(credentials).on("tlsClientError", () => {}),
      0,
      "127.0.0.1",
    );
    await expect(
      py.eval("await request(port, b'', ssl=True, server_hostname='localhost')", {
        request: py.globals.request,
        port,
      }),
    ).rejects.toMatchObject({ name: "SSLCertVerificationError" });
  });
});

describe("HTTP", () => {
  test("Node's server, Python's client in a thread", async () => {
    const server = http.createServer((request, response) => response.end(`path ${request.url}`));
    const port = await nodeServer(server, 0, "127.0.0.1");
    const code = `
import urllib.request
def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url) as response:
        return response.read().decode()
answer = await asyncio.to_thread(get, "http://127.0.0.1:%d/a" % port)
assert answer == "path /a", answer
`;
    await py.exec(code, { port });
  });

  test("Python's server, fetch and http.get", async () => {
    const port = await py.eval<number>("await serve_http()", {
      serve_http: py.evalSync<PyProxy>("serve_http"),
    });
    onTestFinished(() => py.exec("await stop()"));
    const address = `http://127.0.0.1:${port}`;
    expect(await (await fetch(`${address}/fetched`)).text()).toBe("path /fetched");
    const [response] = await once(http.get(`${address}/got`, { agent: false }), "response");
    expect(await text(response)).toBe("path /got");
  });
});
