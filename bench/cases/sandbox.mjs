// What the sandbox's audit hook adds, beside a plain interpreter without any hook, and one with an empty
// hook: as soon as there is one, CPython makes a tuple of each event's arguments.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const script = fileURLToPath(new URL("sandbox.py", import.meta.url));

/** A plain interpreter that answers `what count` with microseconds for one operation. */
function plainPython(executable, folder) {
  let lines;
  let child;
  return async (what, count) => {
    if (child === undefined) {
      child = spawn(executable, ["-I", script, folder], { stdio: ["pipe", "pipe", "inherit"] });
      child.unref();
      for (const stream of [child.stdin, child.stdout]) stream.unref();
      lines = createInterface(child.stdout);
    }
    child.stdout.ref();
    child.stdin.write(`${what} ${count}\n`);
    const [line] = await once(lines, "line");
    child.stdout.unref();
    return Number(line) * 1e6;
  };
}

export function cases(py) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true }));
  py.execSync("import sys; sys.path[:0] = [folder, cases]", {
    folder,
    cases: path.dirname(script),
  });
  const own = py.import("sandbox");
  own.write_modules(folder);
  const plain = plainPython(py.executable, folder);
  const hooked = plainPython(py.executable, folder);
  let added = false;
  const withEmptyHook = async (what, count) => {
    if (!added) await hooked("hook", 1);
    added = true;
    return hooked(what, count);
  };
  return [
    { name: "event: no hook", count: 2_000_000, run: (count) => plain("event", count) },
    {
      name: "event: an empty hook in C",
      count: 2_000_000,
      over: "event: no hook",
      run: (count) => withEmptyHook("event", count),
    },
    {
      name: "event: allowed by the policy",
      count: 2_000_000,
      over: "event: no hook",
      limit: 0.03,
      run: async (count) => own.event(count) * 1e6,
    },
    { name: "import of 200 modules: no hook", count: 30, run: (count) => plain("imports", count) },
    {
      name: "import of 200 modules: an empty hook in C",
      count: 30,
      against: "import of 200 modules: no hook",
      run: (count) => withEmptyHook("imports", count),
    },
    {
      name: "import of 200 modules: policy on",
      count: 30,
      against: "import of 200 modules: no hook",
      bar: 1.01,
      run: async (count) => own.imports(count) * 1e6,
    },
  ];
}
