// The Python of a test file: the venv of tools/programs.mjs, with the programs on its path.

import { Python, type SandboxOptions, type StartOptions } from "coloop";
import { afterAll } from "vitest";

export const venv = process.env["COLOOP_PROGRAMS_VENV"] as string;

/** uvicorn handles SIGINT and SIGTERM while it serves on the main thread: so they are Python's, too. */
export async function startPrograms(
  sandbox: SandboxOptions = {},
  signals: NonNullable<StartOptions["signals"]> = "host",
): Promise<Python> {
  if (venv === undefined) throw new Error("run it with `npm run test:programs`");
  const py = await Python.start({ python: venv, signals, sandbox });
  py.execSync("import sys; sys.path.insert(0, folder)", { folder: import.meta.dirname });
  afterAll(() => py.close());
  return py;
}
