// The Node.js versions that the library is tested on, and their executables.

import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { ask, must, root, ToolError, timed } from "./run.mjs";

export const nodeMajors = ["20", "22", "24", "26"];

/** A Node of a major version: installed from the registry, once, into a folder that git ignores. */
export async function installNode(major) {
  const name = `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`;
  const folder = path.join(root, ".cache", "nodes", major);
  const file = process.platform === "win32" ? "node.exe" : "node";
  const executable = path.join(folder, "node_modules", name, "bin", file);
  if (!existsSync(executable)) {
    mkdirSync(folder, { recursive: true });
    const npm = process.platform === "win32" ? "npm.cmd" : "npm";
    const options = ["--no-save", "--no-package-lock", "--ignore-scripts", "--no-audit"];
    const args = ["install", "--prefix", folder, ...options, "--no-fund", `${name}@${major}`];
    await timed(`Node ${major} installed`, () => must(npm, args, { quiet: true }));
  }
  const version = ask(executable, ["--version"])?.slice(1);
  if (version === undefined) throw new ToolError(`${executable} does not run`);
  return { major, version, executable };
}
