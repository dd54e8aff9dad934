// A venv is the interpreter that its own python is; an extension that a .pth file imports has its own
// OpenSSL as well. Argument: the venv, whose early.pth imports early.py.
import { deepStrictEqual, notStrictEqual, strictEqual } from "node:assert/strict";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { Python } from "coloop";

const [venv] = process.argv.slice(2);
const code = `import json, subprocess, sys, early
facts = [sys.prefix, sys.base_prefix, sys.executable, [folder for folder in sys.path if folder],
         early.openssl, early.zlib, subprocess._args_from_interpreter_flags(), sys.flags.no_site]`;
const plain = execFileSync(
  path.join(venv, "bin", "python"),
  ["-c", `${code}; print(json.dumps(facts))`],
  { encoding: "utf8" },
);
const py = await Python.start({ python: venv });
py.execSync(code);
deepStrictEqual(py.evalSync("facts"), JSON.parse(plain));
strictEqual(py.evalSync("sys.prefix"), venv);
notStrictEqual(py.evalSync("sys.base_prefix"), venv);
console.log("pass");
