// Where an interpreter of its own cannot be had, the error says what to do.
import assert from "node:assert/strict";
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Python } from "coloop";

const [major, minor] = process.argv[2].split(".").map(Number);
const old = major === 3 && minor < 12;
const message = old
  ? /^interpreter: "own" needs Python 3\.12 or newer, and this is 3\.\d+\.\d+ \(.+\): use interpreter: "shared"/
  : /^interpreter: "own" is for Workers: .* Python\.start\(\{ interpreter: "own" \}\) in a Worker/;
await assert.rejects(Python.start({ interpreter: "own" }), {
  code: "ERR_COLOOP_OWN_INTERPRETER",
  message,
});
await assert.rejects(Python.start({ interpreter: "mine" }), {
  code: "ERR_COLOOP_ARGUMENT",
  message: 'the option "interpreter" of Python.start must be "shared" or "own", not "mine"',
});
// A Worker that is first.
const worker = new Worker(new URL("own-script.mjs", import.meta.url), {
  workerData: { task: "() => 1" },
});
const [{ error }] = await once(worker, "message");
assert.match(error, old ? /needs Python 3\.12/ : /must run on the main thread before a Worker/);
const py = await Python.start({ interpreter: "shared" });
assert.equal(py.evalSync("6 * 7"), 42);
console.log("pass");
