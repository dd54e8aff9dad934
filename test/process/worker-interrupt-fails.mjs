// A call that is interrupted and fails by itself: its own error is told, and nothing is left for the next call.
import { strictEqual } from "node:assert/strict";
import { once } from "node:events";
import { isMainThread, parentPort, threadId, Worker } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start();
if (isMainThread) {
  const worker = new Worker(new URL(import.meta.url));
  const exit = once(worker, "exit");
  let interrupted = 0;
  worker.on("message", (id) => {
    // When it is outside of Python there is nothing to interrupt.
    const timer = setInterval(() => {
      if (!py.interrupt({ threadId: id })) return;
      interrupted += 1;
      clearInterval(timer);
    }, 1);
  });
  strictEqual((await exit)[0], 0);
  strictEqual(interrupted, 1);
  console.log("pass");
} else {
  // Native code that looks for no interrupt, and raises queue.Empty after half a second.
  const queue = py.evalSync("__import__('queue').SimpleQueue()");
  parentPort.postMessage(threadId);
  let error;
  while (error === undefined) {
    try {
      queue.get(true, 0.5);
    } catch (thrown) {
      error = thrown;
    }
  }
  strictEqual(error.pythonType, "_queue.Empty", error);
  strictEqual(py.evalSync("1 + 1"), 2);
}
