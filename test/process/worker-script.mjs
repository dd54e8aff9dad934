// What the Workers of the worker-*.mjs scripts run: the task that their data names.
import { parentPort, workerData } from "node:worker_threads";
import { Python } from "coloop";
import { catchEverything } from "./catching-helpers.mjs";

const py = await Python.start();
const ready = (text = "ready") => parentPort.postMessage(text);

const tasks = {
  answer() {
    ready(py.evalSync("6 * 7"));
  },
  async spin() {
    ready();
    py.execSync("while True: pass");
  },
  async sleep() {
    ready();
    py.execSync("import time\ntime.sleep(60)");
  },
  async catches() {
    catchEverything(py, ready);
  },
  async run() {
    ready();
    py.execSync("import asyncio, coloop\ncoloop.run(asyncio.sleep(60))");
  },
  async tasks() {
    for (let i = 0; i < 20; i++) py.eval("__import__('asyncio').sleep(60)").catch(() => {});
    ready();
  },
  async promise() {
    py.eval("await p", { p: new Promise(() => {}) }).catch(() => {});
    setInterval(() => {}, 1000);
    ready();
  },
  async sockets() {
    await py.exec(`
import asyncio, socket

async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)

server = await asyncio.start_server(echo, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
reader, writer = await asyncio.open_connection("127.0.0.1", port)
writer.write(b"x")
assert await reader.read(1) == b"x"
ours, theirs = socket.socketpair()
asyncio.get_running_loop().add_reader(ours, print)
`);
    ready();
  },
  async children() {
    await py.exec(`
import asyncio

PIPE = asyncio.subprocess.PIPE
child = await asyncio.create_subprocess_shell("echo out; exit 3", stdout=PIPE)
out, _ = await child.communicate()
sleeping = await asyncio.create_subprocess_exec("sleep", "100", stdin=PIPE)
waiting = asyncio.ensure_future(sleeping.wait())
result = out.decode(), child.returncode, sleeping.pid`);
    ready(py.evalSync("result"));
    setInterval(() => {}, 1000);
  },
  async threads() {
    py.register("echo", (value) => value);
    py.execSync(`
import threading
from coloop import echo

def work():
    try:
        while True:
            echo(1)
    except RuntimeError:
        pass

for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
`);
    setInterval(() => {}, 1000);
    ready();
  },
  async busy() {
    ready();
    for (;;) {
      await py.eval("sum([await c for c in [a.sleep(0, 1)] * 1])", { a: py.import("asyncio") });
    }
  },
  async nested() {
    const call = py.evalSync("lambda f: f()");
    ready();
    call(() => {
      for (;;) call(() => 1);
    });
  },
  async executor() {
    py.eval("__import__('asyncio').to_thread(__import__('time').sleep, 0.3)").catch(() => {});
    ready();
  },
  async throws() {
    py.eval("__import__('asyncio').sleep(60)").catch(() => {});
    setImmediate(() => {
      throw new Error("in the Worker");
    });
  },
  async exits() {
    py.eval("__import__('asyncio').sleep(60)").catch(() => {});
    setTimeout(() => process.exit(3), 5);
  },
  async count() {
    let sum = 0;
    for (let i = 0; i < 2000; i++) sum += py.evalSync(`${i} + 1`);
    ready(sum);
  },
  async closes() {
    await py.exec("import asyncio\nawait asyncio.sleep(0)");
    await py.close();
    ready();
  },
};

await tasks[workerData]();
