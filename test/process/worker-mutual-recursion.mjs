// JavaScript and Python call each other without end, in the main thread and in a Worker: an error, and Python goes on.
// within: 20000
import { ok, strictEqual, throws } from "node:assert/strict";
import { once } from "node:events";
import { isMainThread, Worker } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import coloop

def registered(depth):
    return coloop.call("up", depth + 1)

def passed(function, depth):
    return function(depth + 1)
`);
let deepest = 0;

function noted(depth, call) {
  deepest = Math.max(deepest, depth);
  return call();
}

const up = (depth) => noted(depth, () => py.globals.registered(depth));
const over = (depth) => noted(depth, () => py.globals.passed(over, depth));
const again = () => noted(deepest + 1, () => py.evalSync("again()", { again }));
py.register("up", up);
for (const descend of [() => up(0), () => over(0), again]) {
  deepest = 0;
  throws(descend, Error);
  ok(deepest > 50, `only ${deepest} calls deep`);
  strictEqual(py.evalSync("6 * 7"), 42);
}

if (isMainThread) {
  const [status] = await once(new Worker(new URL(import.meta.url)), "exit");
  strictEqual(status, 0);
  console.log("pass");
}
