// asyncio.run and asyncio.Runner want SIGINT's handler on the main thread: they go on without, and Node.js
// keeps and hears its signal.
// within: 20000
import assert from "node:assert/strict";
import { Python } from "coloop";
import { interruptRuns } from "./signal-helpers.mjs";

const py = await Python.start();
const kept = [7, 1, "as before", "as before"];
assert.deepEqual(await interruptRuns(py), [
  ["run", ...kept],
  ["run in a thread", ...kept],
  ["runner", ...kept],
  ["runner in a thread", ...kept],
]);
await py.close();
console.log("pass");
