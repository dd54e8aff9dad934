// process.exit with servers and connections of both languages open.
import net from "node:net";
import { Python } from "coloop";

const py = await Python.start();
await py.exec(`
import asyncio

async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)

server = await asyncio.start_server(echo, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
`);
const socket = net.connect(py.globals.port, "127.0.0.1");
net.createServer().listen(0);
socket.write("x");
socket.once("data", () => {
  console.log("pass");
  process.exit(0);
});
