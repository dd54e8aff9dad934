// Every CPython on this machine that coloop can embed. The library itself picks one
// (src/discover.ts); the tools build and test against several.

import { existsSync, readdirSync, realpathSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { ask, root, ToolError } from "./run.mjs";

const minors = ["3.10", "3.11", "3.12", "3.13", "3.14"];

/** The library's own discovery, from its compiled form. */
export async function loadDiscovery() {
  const file = path.join(root, "dist", "discover.js");
  if (!existsSync(file)) throw new ToolError("dist/discover.js is missing: run `npm run build`");
  return (await import(pathToFileURL(file).href)).discoverInterpreter;
}

function* candidates() {
  const names = ["python3", ...minors.map((minor) => `python${minor}`)];
  const folders = (process.env.PATH ?? "").split(path.delimiter).filter(Boolean);
  for (const folder of [...folders, "/usr/bin", "/usr/local/bin"]) {
    for (const name of names) yield path.join(folder, name);
  }
  const pyenv =
    process.env.PYENV_ROOT ?? ask("pyenv", ["root"]) ?? path.join(os.homedir(), ".pyenv");
  const versions = path.join(pyenv, "versions");
  for (const version of existsSync(versions) ? readdirSync(versions).sort() : []) {
    if (minors.some((minor) => version.startsWith(`${minor}.`))) {
      yield path.join(versions, version, "bin", "python3");
    }
  }
}

/** All usable interpreters, each once, the default one first. */
export async function findPythons() {
  const discover = await loadDiscovery();
  const found = [discover()];
  const seen = new Set([identity(found[0])]);
  const asked = new Set();
  for (const candidate of candidates()) {
    if (!existsSync(candidate) || asked.has(realpathSync(candidate))) continue;
    asked.add(realpathSync(candidate));
    let python;
    try {
      python = discover(candidate);
    } catch {
      continue; // too old, without a shared library, or a shim of a version that is not set
    }
    if (seen.has(identity(python))) continue;
    seen.add(identity(python));
    found.push(python);
  }
  return found;
}

function identity(python) {
  return `${realpathSync(python.library)} ${python.version}`;
}

export function minorOf(python) {
  return python.version.split(".").slice(0, 2).join(".");
}

export function hasHeaders(python) {
  return existsSync(path.join(python.include, "Python.h"));
}
