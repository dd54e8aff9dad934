import { execFileSync } from "node:child_process";
import dgram from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import tls from "node:tls";
import type { PyProxy } from "coloop";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { checkLeaks, rejection, startPython, until } from "../fixtures/py2/start.js";

const py = await startPython();
const mod = py.import("seam_network");

const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-network-"));
const cert = path.join(folder, "cert.pem");
const key = path.join(folder, "key.pem");
execFileSync(
  "openssl",
  [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2".split(" "),
    ..."-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1".split(" "),
    ...["-keyout", key, "-out", cert],
  ],
  { stdio: "ignore" },
);
afterAll(() => rmSync(folder, { recursive: true }));

checkLeaks(py);
afterEach(() => {
  mod.take_log();
});

const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port;

/** Sends, ends the own side, and reads to the end. */
async function exchange(socket: net.Socket, data: string | Uint8Array): Promise<Buffer> {
  socket.end(data);
  return buffer(socket);
}

/** Runs `work` with an echo server of Python's. */
async function withEcho(
  work: (port: number) => Promise<void>,
  start = "start",
  ...args: unknown[]
) {
  const server = mod.echo.$with({ ref: true })() as PyProxy;
  const port = (await server[start](...args)) as number;
  try {
    await work(port);
  } finally {
    await server.close();
  }
}

/** Runs `work` with an echo server of Node's. */
async function withNodeEcho(work: (port: number) => Promise<void>) {
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    socket.pipe(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await work(portOf(server));
  } finally {
    server.close();
    await once(server, "close");
  }
}

const big = new Uint8Array(3 * 1024 * 1024).map((_, i) => (i * 7) % 251);

describe("TCP", () => {
  test("Python server, Node client", () =>
    withEcho(async (port) => {
      expect((await exchange(net.connect(port, "127.0.0.1"), "hello")).toString()).toBe("hello");
    }));

  test("Python server, Node client: 3 MB", () =>
    withEcho(async (port) => {
      const received = await exchange(net.connect(port, "127.0.0.1"), big);
      expect(Buffer.compare(received, big)).toBe(0);
    }));

  test("Node server, Python client", () =>
    withNodeEcho(async (port) => {
      const received = await mod.request("127.0.0.1", port, Buffer.from("hello"));
      expect(Buffer.from(received as Uint8Array).toString()).toBe("hello");
    }));

  test("Node server, Python client: 3 MB", () =>
    withNodeEcho(async (port) => {
      const received = (await mod.request("127.0.0.1", port, big)) as Uint8Array;
      expect(Buffer.compare(received, big)).toBe(0);
    }));

  test("Python on both sides, 100 connections at once", () =>
    withEcho(async (port) => {
      expect(await mod.many_requests(port, 100, 5000)).toBe(100);
    }));

  test("100 Node clients at once", () =>
    withEcho(async (port) => {
      const texts = Array.from({ length: 100 }, (_, i) => `client ${i}`);
      const answers = await Promise.all(
        texts.map((text) => exchange(net.connect(port, "127.0.0.1"), text)),
      );
      expect(answers.map(String)).toEqual(texts);
    }));

  test("a protocol's callbacks come in order", async () => {
    const [server, port] = (await mod.start_protocol()) as [PyProxy, number];
    const socket = net.connect(port, "127.0.0.1");
    socket.write("abc");
    const [data] = (await once(socket, "data")) as [Buffer];
    expect(data.toString()).toBe("ABC");
    socket.end();
    await once(socket, "close");
    await until(() => (mod.log as unknown[]).length === 3, "connection_lost");
    expect(mod.take_log()).toEqual(["made", "eof", "lost"]);
    server.close();
  });

  test("a transport's repr says what it waits for", async () => {
    const [reading, paused, closed] = (await mod.transport_reprs()) as string[];
    expect(reading).toMatch(/read=polling/);
    expect(paused).toMatch(/read=idle/);
    expect(closed).toMatch(/closed/);
  });

  test("a peer that resets the connection", async () => {
    const server = net.createServer((socket) => {
      socket.once("data", () => socket.resetAndDestroy());
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    expect(await mod.peer_resets(portOf(server))).toMatch(/ConnectionResetError|BrokenPipeError/);
    server.close();
  });

  test("a refused connection and an unknown host", async () => {
    expect(await mod.refused()).toBe("ConnectionRefusedError");
    expect(await mod.unknown_host()).toBe("gaierror");
  });

  test("a connection attempt that is cancelled", async () => {
    const server = net.createServer((socket) => socket.on("error", () => {}).resume());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    expect(await mod.cancelled_connect(portOf(server))).toBe("cancelled");
    server.close();
    await once(server, "close"); // the socket of the attempt is closed
  });

  test("a port that is taken", async () => {
    await withEcho(async (port) => {
      const error = (await rejection(
        py.call("asyncio", "start_server", [() => {}, "127.0.0.1", port]),
      )) as Error;
      expect(error.name).toBe("OSError");
      expect(error.message).toMatch(/address already in use/i);
    });
  });

  test("sock_connect, sock_sendall, sock_recv", () =>
    withNodeEcho(async (port) => {
      const received = (await mod.sock_methods(port, big)) as Uint8Array;
      expect(Buffer.compare(received, big)).toBe(0);
    }));

  test("sock_accept", async () => {
    expect(Buffer.from((await mod.accept_once()) as Uint8Array).toString()).toBe("detpecca");
  });
});

describe("back-pressure over sockets", () => {
  test("a slow Node reader slows a Python writer", async () => {
    const [server, port] = (await mod.start_flood()) as [PyProxy, number];
    const socket = net.connect(port, "127.0.0.1");
    await once(socket, "connect");
    socket.pause();
    let before = -1;
    const written = () => (mod.log as unknown[]).length;
    for (let i = 0; i < 100 && before !== written(); i++) {
      before = written();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    expect(written()).toBe(before);
    socket.resume();
    await until(() => written() > before + 10, "the writer goes on");
    socket.destroy();
    server.close();
    await py.eval("await a.sleep(0.01)", { a: py.import("asyncio") });
  });

  test("a slow Python reader slows a Node writer", async () => {
    const size = 8 * 1024 * 1024;
    const server = net.createServer((socket) => socket.end(Buffer.alloc(size)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    expect(await mod.slow_reader(portOf(server), 0.0005)).toBe(size);
    server.close();
  });
});

describe("TLS", () => {
  test("Python server, Node client", () =>
    withEcho(
      async (port) => {
        const socket = tls.connect({
          port,
          host: "127.0.0.1",
          ca: readFileSync(cert),
          servername: "localhost",
        });
        await once(socket, "secureConnect");
        expect(socket.authorized).toBe(true);
        expect(socket.getProtocol()).toMatch(/^TLSv1\.[23]$/);
        socket.write("over TLS");
        const [data] = (await once(socket, "data")) as [Buffer];
        expect(data.toString()).toBe("over TLS");
        socket.destroy();
      },
      "start_tls",
      cert,
      key,
    ));

  async function withTlsServer(work: (port: number) => Promise<void>) {
    const server = tls.createServer(
      { cert: readFileSync(cert), key: readFileSync(key) },
      (socket) => {
        socket.on("error", () => {});
        socket.pipe(socket);
      },
    );
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      await work(portOf(server));
    } finally {
      server.close();
      await once(server, "close");
    }
  }

  test("Node server, Python client, with verification", () =>
    withTlsServer(async (port) => {
      const [received, version] = (await mod.request_tls(port, cert, "localhost", big)) as [
        Uint8Array,
        string,
      ];
      expect(Buffer.compare(received, big)).toBe(0);
      expect(version).toMatch(/^TLSv1\.[23]$/);
    }));

  test("Python on both sides", () =>
    withEcho(
      async (port) => {
        const [received] = (await mod.request_tls(port, cert, "localhost", big)) as [Uint8Array];
        expect(Buffer.compare(received, big)).toBe(0);
      },
      "start_tls",
      cert,
      key,
    ));

  test("an untrusted certificate is refused: ssl= is never ignored", () =>
    withTlsServer(async (port) => {
      expect(await mod.untrusted(port)).toBe("SSLCertVerificationError");
    }));

  test("another name than the certificate's is refused", () =>
    withTlsServer(async (port) => {
      const error = (await rejection(
        mod.request_tls(port, cert, "other.example", Buffer.from("x")),
      )) as Error;
      expect(error.name).toBe("SSLCertVerificationError");
    }));

  test("what is sent is encrypted, and plain text gets no answer", () =>
    withEcho(
      async (port) => {
        const seen: Buffer[] = [];
        const proxy = net.createServer((left) => {
          const right = net.connect(port, "127.0.0.1");
          for (const side of [left, right]) {
            side.on("data", (data) => seen.push(data as Buffer));
            side.on("error", () => {});
          }
          left.pipe(right).pipe(left);
        });
        proxy.listen(0, "127.0.0.1");
        await once(proxy, "listening");
        await mod.request_tls(portOf(proxy), cert, "localhost", Buffer.from("a secret word"));
        expect(Buffer.concat(seen).includes("secret")).toBe(false);
        proxy.close();
        const answer = (await mod.plain_text_to_tls(port)) as Uint8Array;
        expect(Buffer.from(answer).includes("HTTP")).toBe(false);
      },
      "start_tls",
      cert,
      key,
    ));
});

describe("UNIX sockets", () => {
  test("Python server, Node client and Python client", async () => {
    const file = path.join(folder, "python.sock");
    await withEcho(
      async () => {
        expect((await exchange(net.connect(file), "node")).toString()).toBe("node");
        const received = (await mod.request_unix(file, big)) as Uint8Array;
        expect(Buffer.compare(received, big)).toBe(0);
      },
      "start_unix",
      file,
    );
  });

  test("Node server, Python client", async () => {
    const file = path.join(folder, "node.sock");
    const server = net.createServer((socket) => socket.pipe(socket)).listen(file);
    await once(server, "listening");
    const received = (await mod.request_unix(file, big)) as Uint8Array;
    expect(Buffer.compare(received, big)).toBe(0);
    server.close();
  });
});

describe("UDP", () => {
  test("Python endpoint, Node client", async () => {
    const [transport, port] = (await mod.start_udp()) as [PyProxy, number];
    const socket = dgram.createSocket("udp4");
    socket.send("abc", port, "127.0.0.1");
    const [data] = (await once(socket, "message")) as [Buffer];
    expect(data.toString()).toBe("cba");
    socket.close();
    transport.close();
  });

  test("Node endpoint, Python client", async () => {
    const socket = dgram.createSocket("udp4");
    socket.on("message", (data, from) => socket.send(`${data}!`, from.port, from.address));
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
    const answer = (await mod.send_udp(socket.address().port, Buffer.from("hi"))) as Uint8Array;
    expect(Buffer.from(answer).toString()).toBe("hi!");
    socket.close();
  });
});

describe("names", () => {
  test("localhost", async () => {
    const found = (await mod.resolve("localhost")) as string[];
    expect(found.some((address) => address === "127.0.0.1" || address === "::1")).toBe(true);
  });

  test("a literal", async () => {
    expect(await mod.resolve("127.0.0.1")).toEqual(["127.0.0.1"]);
  });
});

describe("HTTP", () => {
  async function withHttp(work: (port: number) => Promise<void>) {
    const server = http.createServer((request, response) => {
      response.setHeader("x-test", "yes");
      response.end(`path ${request.url}`);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      await work(portOf(server));
    } finally {
      server.close();
      await once(server, "close");
    }
  }

  test("Node server, Python client over streams", () =>
    withHttp(async (port) => {
      const [status, headers, body] = (await mod.http_get(port, "/a?b=1")) as [
        number,
        Record<string, string>,
        Uint8Array,
      ];
      expect([status, headers["x-test"]]).toEqual([200, "yes"]);
      expect(Buffer.from(body).toString()).toBe("path /a?b=1");
    }));

  test("Node server, a blocking Python client in a thread, both in one process", () =>
    withHttp(async (port) => {
      const answer = await mod.http_get_in_thread(`http://127.0.0.1:${port}/thread`);
      expect(answer).toBe("path /thread");
    }));

  test("Python server, fetch", async () => {
    const [server, port] = (await mod.start_http()) as [PyProxy, number];
    const paths = Array.from({ length: 20 }, (_, i) => `/${i}`);
    const texts = await Promise.all(
      paths.map(async (each) => (await fetch(`http://127.0.0.1:${port}${each}`)).text()),
    );
    expect(texts).toEqual(paths.map((each) => `path ${each}`));
    server.close();
  });
});
