// What the worker-*.mjs scripts share.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A Worker that runs one of the tasks of worker-script.mjs, from its first message on. */
export async function startWorker(task) {
  const worker = new Worker(new URL("worker-script.mjs", import.meta.url), { workerData: task });
  const exit = once(worker, "exit"); // may come with the last message
  const [message] = await once(worker, "message");
  return { worker, message, exit };
}

/** Ends a Worker from outside while it does `task`. */
export async function terminateDuring(task, delay = 0) {
  const { worker } = await startWorker(task);
  if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
  return worker.terminate();
}
