// Python's libraries, paths and environment in this process are those of the plain interpreter.
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { Python } from "coloop";

const fixtures = path.join(import.meta.dirname, "..", "fixtures", "load");
process.env.COLOOP_TEST_SET_BY_NODE = "räksmörgås";
const code = "import sys; sys.path.insert(0, sys.argv[1]); import facts; sys.path.pop(0)";
const plain = execFileSync(
  process.env.COLOOP_PYTHON ?? "python3",
  ["-c", `${code}; print(facts.all_facts())`, fixtures],
  { encoding: "utf8", env: { ...process.env, PYTHONUTF8: "1" } },
);

const py = await Python.start();
py.execSync("import sys; sys.path.insert(0, fixtures)", { fixtures });
py.execSync("import facts, sys; sys.path.pop(0)");
const embedded = JSON.parse(py.evalSync("facts.all_facts()"));
const [libraries, paths, environment, work] = JSON.parse(plain);
deepStrictEqual(embedded[0], libraries);
deepStrictEqual(embedded[1], paths);
delete environment.environment.PYTHONUTF8; // pyenv's shims and shells add to the child's environment
for (const [name, value] of Object.entries(process.env)) {
  strictEqual(embedded[2].environment[name], value, name);
}
strictEqual(Object.keys(embedded[2].environment).length, Object.keys(process.env).length);
deepStrictEqual([embedded[2].no_site, embedded[2].filesystem], [0, "utf-8"]);
deepStrictEqual(embedded[3], work);
strictEqual(py.executable, paths.executable);
console.log("pass");
