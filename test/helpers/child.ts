// Runs a script in a process of its own: for exits, crashes, signals and races.

import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** How a child ended, and what it wrote. */
export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface ChildOptions {
  /** Arguments of the script. */
  args?: readonly string[];
  /** Options of Node itself, such as --expose-gc. */
  execArgv?: readonly string[];
  /** Added to this process's environment; undefined removes a variable. */
  env?: Readonly<Record<string, string | undefined>>;
  cwd?: string;
  /** Milliseconds, then SIGKILL and an error. */
  timeout?: number;
  /** Called once the child runs, to send it signals. */
  onStart?: (child: ChildProcess) => void;
}

export const repository: string = path.resolve(
  path.dirname(fileURLToPath(import.meta.url)),
  "..",
  "..",
);

/** How scripts of test/process run: as they are, or in a copy of the package that has a sanitizer in its addons. */
export interface Variant {
  folder: string; // of the scripts
  env: Record<string, string>;
  nodeOptions: readonly string[];
  slower: number; // by what the time limits are multiplied
}

/** What tools/sanitize.mjs says, or nothing special. */
export const variant: Variant = {
  ...{ folder: path.join(repository, "test", "process"), env: {}, nodeOptions: [], slower: 1 },
  ...JSON.parse(process.env["COLOOP_TEST_VARIANT"] ?? "{}"),
};

/** Runs any program to its end. */
export function runProgram(
  program: string,
  args: readonly string[],
  options: Omit<ChildOptions, "args" | "execArgv"> = {},
): Promise<ChildResult> {
  const { env = {}, cwd = repository, timeout = 20_000, onStart } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    let late = false;
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, timeout);
    child.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      if (!late) return resolve({ code, signal, stdout, stderr });
      const output = `stdout:\n${stdout}\nstderr:\n${stderr}`;
      reject(new Error(`${program} ${args.join(" ")} still ran after ${timeout} ms\n${output}`));
    });
    if (onStart) child.once("spawn", () => onStart(child));
  });
}

/** Runs a script (a path, from the repository's root) in a Node of its own. */
export function runScript(script: string, options: ChildOptions = {}): Promise<ChildResult> {
  const { args = [], execArgv = [], ...rest } = options;
  return runProgram(
    process.execPath,
    [...execArgv, path.resolve(repository, script), ...args],
    rest,
  );
}

/** Runs JavaScript text, as an ES module, in a Node of its own. */
export function runCode(code: string, options: ChildOptions = {}): Promise<ChildResult> {
  const { args = [], execArgv = [], ...rest } = options;
  const all = [...execArgv, "--input-type=module", "--eval", code, "--", ...args];
  return runProgram(process.execPath, all, rest);
}
