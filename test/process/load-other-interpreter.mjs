// A second start with another interpreter is refused, in a Worker too, and the first one goes on.
// Argument: the other one.
import { match, rejects, strictEqual } from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Python } from "coloop";

const python = process.argv[2];
const py = await Python.start();
await rejects(Python.start({ python }), (error) => {
  strictEqual(error.code, "ERR_COLOOP_OTHER_INTERPRETER");
  match(error.message, /A process has one interpreter/);
  return true;
});
strictEqual(await Python.start(), py);

const source = `const { parentPort, workerData } = require("node:worker_threads");
import("coloop").then(({ Python }) => Python.start({ python: workerData })).then(
  () => parentPort.postMessage("accepted"),
  (error) => parentPort.postMessage(error.code),
);`;
const worker = new Worker(source, { eval: true, workerData: python });
const [answer] = await once(worker, "message");
strictEqual(answer, "ERR_COLOOP_OTHER_INTERPRETER");
strictEqual(py.evalSync("6 * 7"), 42);
console.log("pass");
