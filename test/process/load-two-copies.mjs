// Two copies of the package in one process: the second one's start is refused with the reason, whether it has
// addons of its own or shares them, and the first goes on. With shared addons it starts after the first's end.
// Argument: an empty folder.
import { rejects, strictEqual } from "node:assert/strict";
import { cpSync, mkdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { discoverInterpreter, Python } from "coloop";

const root = path.resolve(import.meta.dirname, "../..");

async function copyOf(name, addBuild) {
  const copy = path.join(process.argv[2], name);
  mkdirSync(copy);
  for (const part of ["dist", "python", "package.json"]) {
    cpSync(path.join(root, part), path.join(copy, part), { recursive: true });
  }
  addBuild(path.join(root, "build"), path.join(copy, "build"));
  return (await import(path.join(copy, "dist", "index.js"))).Python;
}

const shared = await copyOf("shared", (from, to) => symlinkSync(from, to));
const other = await copyOf("other", (from, to) => {
  for (const part of ["loader", discoverInterpreter().tag]) {
    cpSync(path.join(from, part), path.join(to, part), {
      recursive: true,
      filter: (file) => !path.extname(file) || file.endsWith(".node"),
    });
  }
});

const py = await Python.start();
await rejects(shared.start(), {
  code: "ERR_COLOOP_START",
  message: /^Python runs on this thread already, started by another copy/,
});
await rejects(other.start(), {
  code: "ERR_COLOOP_START",
  message: /^Python runs in this process already/,
});
const waits = "await __import__('asyncio').sleep(0.001, 7)";
strictEqual(await py.eval(waits), 7);
await py.close();
const second = await shared.start();
strictEqual(await second.eval(waits), 7);
await rejects(Python.start(), { code: "ERR_COLOOP_START" });
await second.close();
strictEqual(await (await Python.start()).eval(waits), 7);
console.log("pass");
