// How Python is told that this JavaScript environment ends, or a Worker made in it.

import {
  getEnvironmentData,
  isMainThread,
  setEnvironmentData,
  threadId,
  Worker,
} from "node:worker_threads";
import type { Binding } from "./binding.js";

const interruptEvery = 50;

/** Where Workers find the threads that they descend from. */
const threadsKey = "coloop.threads";

/** The threads that this one descends from, as far as Python was started there before it was made. */
export function threadsAbove(): number[] {
  const threads = (getEnvironmentData(threadsKey) ?? []) as unknown as number[];
  return threads.filter((thread) => thread !== threadId);
}

/** `worker.terminate()` waits until Python returns in the Worker and in its own, so that makes it return. */
function interruptTerminated(native: Binding): void {
  const { terminate } = Worker.prototype;
  Worker.prototype.terminate = async function (this: Worker): Promise<number> {
    const { threadId: id } = this;
    const ended = terminate.call(this);
    const timer = setInterval(() => native.interrupt(id), interruptEvery);
    try {
      return await ended;
    } finally {
      clearInterval(timer);
    }
  };
}

/**
 * Python ends at `exit`, after the listeners that were there before it, or when one of them throws. After an
 * error that nobody catches, Node.js says nothing of what they throw, so Python ends before them.
 */
function watchExit(exit: (code: number) => void): void {
  let exiting = false;
  let uncaught = false;
  process.prependListener("exit", () => {
    exiting = true;
  });
  process.on("exit", exit);
  process.on("uncaughtExceptionMonitor", () => {
    if (exiting) exit(1);
    else if (!uncaught) process.prependListener("exit", exit);
    uncaught = true;
  });
}

/** Once in each environment; `exit`, which does nothing the second time, is Python's end on the main thread. */
export function watchEnds(native: Binding, exit: (code: number) => void): void {
  // Threads that wait for JavaScript are work that the loop does not know of.
  process.on("beforeExit", () => native.serve());
  if (isMainThread) watchExit(exit);
  else {
    process.once("worker", () => process.prependListener("exit", () => native.endDescendants()));
  }
  setEnvironmentData(threadsKey, [...threadsAbove(), threadId]);
  interruptTerminated(native);
}
