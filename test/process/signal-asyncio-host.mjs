// With signals: "host" asyncio.run and asyncio.Runner get SIGINT on the main thread, as in Python from 3.11 on;
// Node.js hears it besides, and keeps its dispositions.
// within: 20000
import assert from "node:assert/strict";
import { Python } from "coloop";
import { interruptRuns } from "./signal-helpers.mjs";

const py = await Python.start({ signals: "host" });
const ends = py.evalSync("hasattr(__import__('asyncio'), 'Runner')") ? "PythonInterruptedError" : 7;
const kept = [1, "as before", "as before"];
assert.deepEqual(await interruptRuns(py), [
  ["run", ends, ...kept],
  ["run in a thread", 7, ...kept],
  ["runner", ends, ...kept],
  ["runner in a thread", 7, ...kept],
]);
await py.close();
console.log("pass");
