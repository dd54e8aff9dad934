// A Worker ends, in each way, while a Worker of its own runs Python that does not return.
// within: 20000
import assert from "node:assert/strict";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";

const ways = { terminate: 1, exit: 6, throw: 1, unref: 0 };
const py = await Python.start();

async function endIn(way) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { way } });
  const exit = new Promise((resolve) => worker.once("exit", resolve));
  worker.on("error", (error) => assert.equal(error.message, "in the Worker"));
  await once(worker, "message");
  worker.postMessage("end");
  if (way === "terminate") await worker.terminate();
  return [way, await exit];
}

async function end(way) {
  const worker = new Worker(new URL(import.meta.url), { workerData: { way, spins: true } });
  while (!py.evalSync("way in __import__('sys').spinning", { way })) await sleep(5);
  parentPort.postMessage("spins");
  await once(parentPort, "message");
  if (way === "exit") process.exit(ways.exit);
  if (way === "throw") throw new Error("in the Worker");
  if (way === "unref") worker.unref();
}

if (isMainThread) {
  py.execSync("import sys; sys.spinning = set()");
  assert.deepEqual(Object.fromEntries(await Promise.all(Object.keys(ways).map(endIn))), ways);
  console.log("pass");
} else if (workerData.spins) {
  py.execSync("import sys; sys.spinning.add(way)\nwhile True: pass", workerData);
} else {
  await end(workerData.way);
}
