// The GIL of an interpreter of a Worker's own is its own: neither waits for the other's. What goes in
// parallel is measured by bench/own-interpreters.mjs.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { startOwn, told } from "./own-helpers.mjs";

const py = await Python.start();
const workers = [0, 1].map(() =>
  startOwn(({ py, tell }) => {
    tell("computes");
    py.execSync("while True: pass");
  }),
);
await Promise.all(workers.map(told));
const { count } = py.metrics().gilWait;
for (let i = 0; i < 1000; i++) assert.equal(py.evalSync("1 + 1"), 2);
assert.equal(py.metrics().gilWait.count, count);
await Promise.all(workers.map((worker) => worker.terminate()));

// And the other way round: this thread computes and never gives its GIL up, until a Worker has.
const flags = new Int32Array(new SharedArrayBuffer(8));
const worker = startOwn(({ py, tell }, flags) => {
  const set = py.evalSync("lambda view: view.__setitem__(1, sum(range(10)))");
  tell("ready");
  Atomics.wait(flags, 0, 0);
  set(flags);
  return "set";
}, flags);
await told(worker);
const answer = told(worker);
py.execSync("import sys\nsys.setswitchinterval(1000)");
Atomics.store(flags, 0, 1);
Atomics.notify(flags, 0);
py.execSync("while view[1] == 0: pass", { view: flags }, { timeout: 20_000 });
assert.equal(flags[1], 45);
assert.equal(await answer, "set");
console.log("pass");
