// A start that names no interpreter gets the one that runs, on every thread and whatever would be found by now; so does one
// that names it by another of its commands. Options that are left out are those of the first start.
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { discoverInterpreter, Python } from "coloop";

const { executable, versionInfo } = discoverInterpreter();
const source = `
  const { parentPort } = require("node:worker_threads");
  parentPort.postMessage("up");
  parentPort.on("message", async () => {
    const { Python } = await import(${JSON.stringify(import.meta.resolve("coloop"))});
    const answer = await Python.start().then((py) => py.executable, (error) => error.message);
    parentPort.postMessage(answer);
    parentPort.close();
  });
`;
const makeWorker = async () => {
  const worker = new Worker(source, { eval: true });
  assert.deepEqual(await once(worker, "message"), ["up"]);
  return worker;
};
const early = await makeWorker();

const py = await Python.start({ python: executable, exitGrace: 1500 });
process.env.COLOOP_PYTHON = "/nowhere/python";
assert.equal(await Python.start(), py);
const names = ["python", "python3", `python${versionInfo.slice(0, 2).join(".")}`]
  .map((name) => path.join(path.dirname(executable), name))
  .filter((name) => existsSync(name));
assert.ok(names.length > 0);
for (const python of names) assert.equal(await Python.start({ python }), py, python);

for (const worker of [early, await makeWorker()]) {
  worker.postMessage("start");
  assert.deepEqual(await once(worker, "message"), [executable]);
}
for (const same of [
  { exitGrace: 1500 },
  { signals: "refuse" },
  { interpreter: "shared" },
  { sandbox: {} },
]) {
  assert.equal(await Python.start(same), py);
}
await py.close();
assert.equal((await Python.start()).executable, executable);
console.log("pass");
