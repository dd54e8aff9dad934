// What refuses a new interpreter, an audit hook of Python code or the policy, does not end the process.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

const py = await Python.start();
const modern = py.import("sys").hexversion >= 0x030d0000;
py.execSync(`
import sys, ${modern ? "_interpreters" : "_xxsubinterpreters"} as interpreters

refusing = True

def hook(event, arguments):
    if refusing and event == "cpython.PyInterpreterState_New":
        raise ValueError(event)

sys.addaudithook(hook)
`);
await assert.rejects(
  inOwn(() => 1),
  /an audit hook that Python code has set refused the interpreter/,
);
py.execSync("refusing = False");
assert.equal(await inOwn(({ py }) => py.evalSync("1 + 1")), 2);
py.sandbox.tighten({ deny: ["cpython.PyInterpreterState_New"] });
py.execSync("interpreters.destroy(interpreters.create())"); // it was loaded before
py.execSync("del sys.modules[interpreters.__name__]");
assert.throws(
  () => py.execSync(`import ${modern ? "_interpreters" : "_xxsubinterpreters"}`),
  /cpython\.PyInterpreterState_New is blocked/,
);
console.log("pass");
