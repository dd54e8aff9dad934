// What every tool here needs: run a program, say how long it took, fail with one readable message.

import { spawn, spawnSync } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** An expected failure: its message is shown without a stack. */
export class ToolError extends Error {}

/**
 * Runs a program to its end. Its output is shown as it comes, unless `capture` or `quiet` is set;
 * quiet output is kept and shown only when the program fails.
 */
export async function run(command, args, options = {}) {
  const { capture = false, quiet = false, cwd = root, env = {}, timeout } = options;
  const kept = capture || quiet;
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: kept ? ["ignore", "pipe", "pipe"] : "inherit",
    timeout,
  });
  let stdout = "";
  let stderr = "";
  child.stdout?.setEncoding("utf8").on("data", (text) => {
    stdout += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const [code, signal] = await new Promise((resolve, reject) => {
    child.on("error", (error) =>
      reject(new ToolError(`cannot run ${command}: ${error.message}`, { cause: error })),
    );
    child.on("close", (...ended) => resolve(ended));
  });
  if (quiet && code !== 0) process.stdout.write(stdout + stderr);
  return { code: code ?? 1, signal, stdout, stderr };
}

/** Like run, but an unsuccessful end is an error. */
export async function must(command, args, options = {}) {
  const result = await run(command, args, options);
  if (result.code === 0) return result;
  const how = result.signal ? `was ended by ${result.signal}` : `ended with status ${result.code}`;
  throw new ToolError(`${path.basename(command)} ${args.slice(0, 4).join(" ")} … ${how}`);
}

/** The trimmed output of a short program, or undefined when it is missing or fails. */
export function ask(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8", timeout: 20_000 });
  return result.status === 0 ? result.stdout.trim() : undefined;
}

/** The path of a program on PATH, or undefined. */
export function which(name) {
  for (const folder of (process.env.PATH ?? "").split(path.delimiter)) {
    const file = path.join(folder, process.platform === "win32" ? `${name}.exe` : name);
    try {
      accessSync(file, constants.X_OK);
      if (statSync(file).isFile()) return file;
    } catch {
      // not in this folder
    }
  }
  return undefined;
}

export function seconds(since) {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}

/** Runs `work`, then says what it was and how long it took. */
export async function timed(title, work) {
  const start = performance.now();
  const result = await work();
  console.log(`[coloop] ${title} (${seconds(start)})`);
  return result;
}

/** Runs a tool's main function: a ToolError ends it with status 1 and its message alone. */
export async function main(work) {
  try {
    const code = await work();
    if (code !== undefined) process.exitCode = code;
  } catch (error) {
    if (!(error instanceof ToolError) && typeof error?.code !== "string") throw error;
    console.error(`[coloop] ${error.message}`);
    process.exitCode = 1;
  }
}
