// Streams, servers, datagrams, TLS' module and the resolver in an interpreter of a Worker's own,
// between two such Workers and the main thread at once.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

const py = await Python.start();

const echo = `
import asyncio, socket, ssl

async def serve(reader, writer):
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()

async def talk(port, size):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = bytes(range(256)) * (size // 256)
    async def send():
        for at in range(0, len(sent), 10000):
            writer.write(sent[at:at + 10000])
            await writer.drain()
        writer.write_eof()
    sending = asyncio.ensure_future(send())
    got = await reader.read()
    await sending
    writer.close()
    return got == sent

class Mirror(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, address): self.transport.sendto(data[::-1], address)

class Asker(asyncio.DatagramProtocol):
    def __init__(self): self.answer = asyncio.get_running_loop().create_future()
    def datagram_received(self, data, address): self.answer.set_result(data)

async def main(rounds):
    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for _ in range(rounds):
        assert all(await asyncio.gather(*(talk(port, 256 * 500) for _ in range(8))))
    server.close()
    mirror, _ = await loop.create_datagram_endpoint(Mirror, local_addr=("127.0.0.1", 0))
    asker, protocol = await loop.create_datagram_endpoint(
        Asker, remote_addr=mirror.get_extra_info("sockname"))
    asker.sendto(b"abc")
    assert await asyncio.wait_for(protocol.answer, 5) == b"cba"
    mirror.close(); asker.close()
    assert ssl.create_default_context().verify_mode == ssl.CERT_REQUIRED
    ours, theirs = socket.socketpair()
    for end in ours, theirs: end.setblocking(False)
    await loop.sock_sendall(ours, b"x")
    assert await loop.sock_recv(theirs, 1) == b"x"
    ours.close(); theirs.close()
    return "done"
`;
const task = async ({ py }, code) => {
  py.execSync(code);
  return py.globals.main(5);
};
py.execSync(echo);
const all = await Promise.all([inOwn(task, echo), inOwn(task, echo), py.globals.main(5)]);
assert.deepEqual(all, ["done", "done", "done"]);
console.log("pass");
