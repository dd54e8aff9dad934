// Runs the command line, and `python` itself as the oracle.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { onTestFinished } from "vitest";
import { discoverInterpreter } from "../../src/discover.js";
import { type ChildOptions, type ChildResult, repository, runProgram } from "../helpers/child.js";

export const interpreter = discoverInterpreter();

const main = path.join(repository, "dist", "cli", "main.js");

type Options = Omit<ChildOptions, "args" | "execArgv">;

/** The interpreter that was asked for, wherever the child runs. */
function withPython(options: Options): Options {
  const env = { COLOOP_PYTHON: interpreter.executable, ...options.env };
  return { timeout: 20_000, ...options, env };
}

export function coloop(args: readonly string[], options: Options = {}): Promise<ChildResult> {
  return runProgram(process.execPath, [main, ...args], withPython(options));
}

export function python(args: readonly string[], options: Options = {}): Promise<ChildResult> {
  return runProgram(interpreter.executable, args, withPython(options));
}

/** A folder with these files, gone after the test. */
export function folderOf(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  return folder;
}
