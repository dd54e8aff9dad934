// A Worker that starts Python before the main thread gets an error that says so; afterwards it can.
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Python } from "coloop";

const source = `
  const { parentPort } = require("node:worker_threads");
  import(${JSON.stringify(import.meta.resolve("coloop"))}).then(({ Python }) => Python.start()).then(
    (py) => parentPort.postMessage(py.evalSync("6 * 7")),
    (error) => parentPort.postMessage(error.code + " " + error.message),
  );
`;
const run = async () => {
  const worker = new Worker(source, { eval: true });
  // Both may come in one turn: the second is not waited for after the first.
  const [[message]] = await Promise.all([once(worker, "message"), once(worker, "exit")]);
  return message;
};
const refused = await run();
await Python.start();
const accepted = await run();
const ok = /^ERR_COLOOP_WORKER_FIRST .*main thread/.test(refused) && accepted === 42;
console.log(ok ? "pass" : [refused, accepted]);
