// `coloop doctor`: what was found, and every fault with how to mend it.

import { parseArgs } from "node:util";
import { type Diagnosis, diagnose } from "./diagnosis.js";
import { type Command, commonOptions, exitStatus, parsed } from "./usage.js";

const help = `usage: coloop doctor [--python X] [--json]

Says which Python coloop uses and why, whether its addon is built and starts, which libraries both
sides have, and what is wrong. The exit status is 1 if something is.

options:
  --python X  an interpreter, a venv's folder or a version such as 3.12
              (default: COLOOP_PYTHON, ./.venv, VIRTUAL_ENV, python3 on PATH)
  --json      the same as JSON
  -h, --help  this text`;

const options = {
  ...commonOptions,
  python: { type: "string" },
  json: { type: "boolean" },
} as const;

function indented(text: string, by: number): string {
  return text.replaceAll("\n", `\n${" ".repeat(by)}`);
}

/** The report for people. */
function show({ facts, faults }: Diagnosis): string {
  const width = Math.max(...facts.map(({ name }) => name.length)) + 2;
  const lines = facts.map(({ name, value }) => `${name.padEnd(width)}${indented(value, width)}`);
  if (faults.length === 0) return [...lines, "", "No fault found."].join("\n");
  const told = faults.map(
    ({ summary, remedy }, i) =>
      `${i + 1}. ${indented(summary, 3)}\n   what to do: ${indented(remedy, 3)}`,
  );
  const count = faults.length === 1 ? "One fault:" : `${faults.length} faults:`;
  return [...lines, "", count, ...told].join("\n");
}

async function run(args: readonly string[]): Promise<number> {
  const { values } = parsed(() => parseArgs({ args: [...args], options }));
  if (values.help) {
    console.log(help);
    return 0;
  }
  const diagnosis = diagnose(values.python);
  console.log(values.json ? JSON.stringify(diagnosis, undefined, 2) : show(diagnosis));
  return diagnosis.faults.length === 0 ? 0 : exitStatus.failure;
}

/** The command `doctor`. */
export const doctorCommand: Command = {
  summary: "says which Python is used, and what is wrong",
  help,
  run,
};
