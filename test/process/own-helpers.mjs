// What the own-*.mjs scripts share: Workers with an interpreter of their own.
import { once } from "node:events";
import { Worker } from "node:worker_threads";

/** A Worker that runs `task({ py, Python, kw, assert, threadId, tell, … }, input)`. */
export function startOwn(task, input, options) {
  const workerData = { task: `(${task})`, input, options };
  return new Worker(new URL("own-script.mjs", import.meta.url), { workerData });
}

/** The next message of it: what it told. */
export async function told(worker) {
  const [message] = await once(worker, "message");
  if (message.error !== undefined) throw new Error(message.error);
  return message.told ?? message.value;
}

/** Runs it to its end; what the function returned. */
export async function inOwn(task, input, options) {
  const worker = startOwn(task, input, options);
  const exit = once(worker, "exit");
  const value = await told(worker);
  const [code] = await exit;
  if (code !== 0) throw new Error(`the Worker ended with ${code}`);
  return value;
}

/** Ends a Worker from outside, `delay` ms after it told of `task`. */
export async function terminateOwn(task, delay = 0) {
  const worker = startOwn(task);
  await told(worker);
  if (delay > 0) await new Promise((resolve) => setTimeout(resolve, delay));
  return worker.terminate();
}
