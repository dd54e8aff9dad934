// An interrupt that comes as a Worker's loop has just been opened: that start fails, the next one does not, and
// the Worker ends, whether it has started again or not; also by the process's exit.
import { deepStrictEqual, match } from "node:assert/strict";
import { once } from "node:events";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";

if (isMainThread) {
  const py = await Python.start();
  for (const then of ["ends", "starts again", "stays"]) {
    py.execSync(`
from _erlang_impl._loop import ErlangEventLoop

begin = ErlangEventLoop._begin_hosted

def interrupted(loop):
    ErlangEventLoop._begin_hosted = begin
    begin(loop)
    raise KeyboardInterrupt("on purpose")

ErlangEventLoop._begin_hosted = interrupted
`);
    const worker = new Worker(new URL(import.meta.url), { workerData: then });
    const exit = once(worker, "exit");
    const [{ failed, value }] = await once(worker, "message");
    match(failed, /KeyboardInterrupt: on purpose/);
    deepStrictEqual(value, then === "starts again" ? 7 : undefined);
    if (then !== "stays") deepStrictEqual(await exit, [0]);
  }
  console.log("pass");
  process.exit();
} else {
  const failed = await Python.start().then(
    () => "it started",
    ({ message }) => message,
  );
  let value;
  if (workerData === "starts again") {
    const py = await Python.start();
    value = await py.eval("await __import__('asyncio').sleep(0, 7)");
    await py.close();
  }
  if (workerData === "stays") setInterval(() => {}, 1000);
  parentPort.postMessage({ failed, value });
}
