// 200 Workers with interpreters of their own are started and terminated under load: in the midst of
// Python calls, with sockets open, in threads, in JavaScript that Python called. Interpreters are used
// again, so there are no more of them than Workers at once.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 240000
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn, terminateOwn } from "./own-helpers.mjs";

const tasks = [
  ({ py, tell }) => {
    tell("spins");
    py.execSync("while True: pass");
  },
  async ({ py, tell }) => {
    await py.exec(`
import asyncio, socket
async def echo(reader, writer):
    while data := await reader.read(1000):
        writer.write(data)
server = await asyncio.start_server(echo, "127.0.0.1", 0)
pairs = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(5)]
for reader, writer in pairs:
    writer.write(b"x")
    assert await reader.read(1) == b"x"
ours, theirs = socket.socketpair()
asyncio.get_running_loop().add_reader(ours, print)
`);
    tell("has sockets");
    for (;;) await py.eval("pairs[0][1].write(b'y') or await pairs[0][0].read(1)");
  },
  async ({ py, tell }) => {
    tell("calls");
    for (;;)
      await py.eval("sum([await c for c in [a.sleep(0, 1)] * 1])", { a: py.import("asyncio") });
  },
  ({ py, tell }) => {
    const call = py.evalSync("lambda f: f()");
    tell("nests");
    call(() => {
      for (;;) call(() => 1);
    });
  },
  ({ py, tell }) => {
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
    tell("has threads");
  },
  ({ py, tell }) => {
    for (let i = 0; i < 20; i++) py.eval("__import__('asyncio').sleep(60)").catch(() => {});
    py.eval("__import__('asyncio').to_thread(__import__('time').sleep, 0.1)").catch(() => {});
    tell("waits");
  },
];

const py = await Python.start();
const load = setInterval(() => py.evalSync("sum(range(2000))"), 1);
const before = py.counters();
const total = 200;
let next = 0;
async function lane() {
  for (let i = next++; i < total; i = next++) {
    await terminateOwn(tasks[i % tasks.length], i % 5);
  }
}
await Promise.all([lane(), lane()]);
clearInterval(load);
py.import("gc").collect();
const after = py.counters();
for (const kind of ["loops", "uvHandles", "watches", "timers", "deferreds"]) {
  assert.ok(after[kind] <= before[kind], `${kind}: ${before[kind]} before, ${after[kind]} after`);
}
assert.equal(await inOwn(({ py }) => py.evalSync("6 * 7")), 42);
console.log(await py.eval("await __import__('asyncio').sleep(0, 'pass')"));
