// close() with servers, connections, watches and executor jobs open; then a new start works.
// within: 10000
import net from "node:net";
import { Python } from "coloop";

let py = await Python.start();
await py.exec(`
import asyncio, socket, time

async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)

server = await asyncio.start_server(echo, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
ours, theirs = socket.socketpair()
asyncio.get_running_loop().add_reader(ours, print)
job = asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.5)
`);
const socket = net.connect(py.globals.port, "127.0.0.1");
await new Promise((resolve) => socket.once("connect", resolve));
await py.close();
socket.destroy();
py = await Python.start();
console.log(await py.eval("await __import__('asyncio').sleep(0, 'pass')"));
