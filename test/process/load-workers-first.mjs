// Workers that load libpython at once, before the main thread: one of them does it, all have it.
import { deepStrictEqual } from "node:assert/strict";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { discoverInterpreter } from "coloop";

const addon = path.resolve(import.meta.dirname, "../../build/loader/coloop_loader.node");
const workerData = { addon, library: discoverInterpreter().library, plain: false };
const source = `const { parentPort, workerData } = require("node:worker_threads");
const { load } = require(workerData.addon);
parentPort.once("message", () => parentPort.postMessage(load(workerData)));
parentPort.postMessage("ready");`;
const workers = Array.from({ length: 8 }, () => new Worker(source, { eval: true, workerData }));
await Promise.all(workers.map((worker) => once(worker, "message")));
for (const worker of workers) worker.postMessage("go");
const ends = workers.map((worker) => once(worker, "exit"));
const answers = await Promise.all(workers.map((worker) => once(worker, "message")));
await Promise.all(ends);
const { load } = createRequire(import.meta.url)(addon);
const { library, plain } = workerData;
for (const [answer] of answers) deepStrictEqual(answer, load({ library, plain }));
console.log("pass");
