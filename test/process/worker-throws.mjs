// An uncaught error of a Worker ends the Worker only.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start();
const url = new URL("worker-script.mjs", import.meta.url);
const throwing = new Worker(url, { workerData: "throws" });
const [error] = await once(throwing, "error");
const exiting = new Worker(url, { workerData: "exits" });
const [code] = await once(exiting, "exit");
console.log(
  error.message === "in the Worker" && code === 3 ? py.evalSync("'pass'") : [error, code],
);
