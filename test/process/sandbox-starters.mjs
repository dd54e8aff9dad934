// Tries every way of test/fixtures/py/process_starters.py, one for each line on stdin, and says on stdout
// what came of it; who counts the processes is the parent, meanwhile.

import path from "node:path";
import { createInterface } from "node:readline";
import { Python } from "../../dist/index.js";

const py = await Python.start();
const fixtures = path.resolve(import.meta.dirname, "../fixtures/py");
py.execSync("import sys; sys.path.append(fixtures)", { fixtures });
const starters = py.import("process_starters");
const attempts = starters.attempts()[Symbol.iterator]();
console.log(`ready with ${py.version}`);
for await (const _ of createInterface(process.stdin)) {
  const { done, value } = attempts.next();
  console.log(JSON.stringify(done ? { unknown: starters.unknown_modules() } : value));
  if (done) break;
}
await py.close();
