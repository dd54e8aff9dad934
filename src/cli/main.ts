#!/usr/bin/env node
// The command `coloop`: finds the command that is meant, and tells faults without a stack.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { packageRoot } from "../binding.js";
import { buildCommand } from "./build.js";
import { doctorCommand } from "./doctor.js";
import { runCommand } from "./run.js";
import { type Command, commonOptions, exitStatus, parsed, UsageError } from "./usage.js";

const commands: Readonly<Record<string, Command>> = {
  run: runCommand,
  doctor: doctorCommand,
  build: buildCommand,
};

const help = `usage: coloop <command> [options]

CPython inside Node.js, with asyncio on Node's own loop.

commands:
${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(8)}${summary}`)
  .join("\n")}

options:
  -h, --help     this text; \`coloop <command> --help\` for a command's
  -v, --version  the version of coloop`;

const options = { ...commonOptions, version: { type: "boolean", short: "v" } } as const;

function version(): string {
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as {
    version: string;
  };
  return version;
}

async function main(args: readonly string[]): Promise<number | undefined> {
  const [name, ...rest] = args;
  if (name !== undefined && !name.startsWith("-")) {
    const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
    if (command !== undefined) return command.run(rest);
    throw new UsageError(
      `there is no command ${JSON.stringify(name)}; the commands are ${Object.keys(commands).join(", ")}`,
    );
  }
  const { values } = parsed(() => parseArgs({ args: [...args], options }));
  if (values.version) {
    console.log(version());
    return 0;
  }
  if (!values.help) throw new UsageError("a command is missing");
  console.log(help);
  return 0;
}

/** Faults with a code are the user's to mend; any other is ours and keeps its stack. */
function report(error: unknown, args: readonly string[]): number {
  const [name = ""] = args;
  const known = Object.hasOwn(commands, name) ? `coloop ${name}` : "coloop";
  if (error instanceof UsageError) {
    console.error(`coloop: ${error.message}\nSee \`${known} --help\`.`);
    return exitStatus.usage;
  }
  const { code, message } = error as { code?: unknown; message?: string };
  if (typeof code !== "string" || !code.startsWith("ERR_COLOOP_")) throw error;
  console.error(`coloop: ${message} [${code}]`);
  return exitStatus.failure;
}

const args = process.argv.slice(2);
main(args)
  .catch((error: unknown) => report(error, args))
  .then(
    (status) => {
      if (status !== undefined) process.exit(status);
    },
    (error: unknown) => {
      console.error(error);
      process.exit(exitStatus.failure);
    },
  );
