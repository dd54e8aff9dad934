// accept() failing with EMFILE goes to loopError and ends nothing; the server accepts again afterwards.
import { once } from "node:events";
import net from "node:net";
import { Python } from "coloop";

const py = await Python.start();
const errors = [];
py.on("loopError", (error) => errors.push(error.message));
await py.exec(`
import asyncio, logging, os, resource
logging.getLogger("asyncio").disabled = True

async def greet(reader, writer):
    writer.write(b"hello")
    writer.close()

server = await asyncio.start_server(greet, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
held = []
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)

def exhaust():
    limit = max(map(int, os.listdir("/proc/self/fd"))) + 8
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    try:
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    except OSError:
        pass

def relax():
    for fd in held:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
`);
const { port, exhaust, relax, server } = py.globals;
const socket = net.connect(port, "127.0.0.1");
const data = once(socket, "data");
// Node has its descriptor before the next poll, and the server accepts in it.
await new Promise((resolve) => process.nextTick(() => process.nextTick(resolve)));
exhaust();
while (errors.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
relax();
const [text] = await data; // asyncio tries again after a second
socket.destroy();
server.close();
const ok = /socket\.accept\(\) out of system resource/.test(errors[0]) && `${text}` === "hello";
console.log(ok ? "pass" : [errors, `${text}`]);
