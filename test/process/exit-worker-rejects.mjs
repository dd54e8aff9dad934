// Workers whose calls fail while the process exits: Node must not end one within its handling of a promise
// that is rejected. It aborts the process if that happens to an error of the Worker's top level.
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";

const kinds = {
  call: (py) => py.evalSync("1"),
  spin: (py) => py.execSync("while True: pass"),
  start: () => Python.start(),
};

if (isMainThread) {
  await Python.start();
  for (const kind of Object.keys(kinds)) {
    const worker = new Worker(new URL(import.meta.url), { workerData: kind });
    await new Promise((resolve) => worker.once("message", resolve));
  }
  // After Python's exit sequence, before Node ends its Workers.
  process.once("exit", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200));
  console.log("pass");
  process.exit(0);
}

const py = workerData === "start" ? undefined : await Python.start();
parentPort.postMessage("ready");
// Node reads it as it handles a rejected promise: that takes long here.
const until = Date.now() + 5000;
Object.defineProperty(process, "domain", {
  configurable: true,
  get() {
    while (Date.now() < until);
  },
});
await null; // the errors of what follows are this module's promise's
while (Date.now() < until) await (async () => kinds[workerData](py))();
