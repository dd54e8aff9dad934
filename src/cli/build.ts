// `coloop build`: the addon for one Python, inside the installed package.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../binding.js";
import { type Command, commonOptions, parsed } from "./usage.js";

const help = `usage: coloop build [--python X] [--debug]

Builds the native addon for one Python inside the installed package. It needs CMake, ninja or make, a
C++20 compiler, the headers of that Python and those of Node.js.

options:
  --python X  an interpreter, a venv's folder or a version such as 3.12
              (default: COLOOP_PYTHON, ./.venv, VIRTUAL_ENV, python3 on PATH)
  --debug     unoptimised, with assertions
  -h, --help  this text`;

const options = {
  ...commonOptions,
  python: { type: "string" },
  debug: { type: "boolean" },
} as const;

async function run(args: readonly string[]): Promise<number> {
  const { values } = parsed(() => parseArgs({ args: [...args], options }));
  if (values.help) {
    console.log(help);
    return 0;
  }
  const script = join(packageRoot, "tools", "build.mjs");
  const child = spawn(process.execPath, [script, ...args], { stdio: "inherit" });
  const [status] = (await once(child, "close")) as [number | null];
  return status ?? 1;
}

/** The command `build`. */
export const buildCommand: Command = {
  summary: "builds the native addon for a Python",
  help,
  run,
};
