// `coloop run`: a script or a module on the hosted loop.

import { parseArgs } from "node:util";
import { binding } from "../binding.js";
import { PythonInterruptedError } from "../errors.js";
import { Python, type StartOptions } from "../python.js";
import { type Command, commonOptions, exitStatus, parsed, UsageError } from "./usage.js";

const help = `usage: coloop run [options] script.py [arguments]
       coloop run [options] -m module [arguments]

Runs a Python script or module in this Node.js process, as \`python\` would; \`-\` is standard input.
Top-level \`await\` is allowed: the script is then a Task of the loop that Node.js runs.

options:
  --python X     an interpreter, a venv's folder or a version such as 3.12
                 (default: COLOOP_PYTHON, ./.venv, VIRTUAL_ENV, python3 on PATH)
  --allow EVENT  an audit event or group that the sandbox hook lets pass; may be repeated
  --deny EVENT   one that it refuses besides its defaults; may be repeated
  -m module      runs a module
  -h, --help     this text`;

const options = {
  ...commonOptions,
  python: { type: "string" },
  allow: { type: "string", multiple: true },
  deny: { type: "string", multiple: true },
  m: { type: "string", short: "m" },
} as const;

/** Python waits for its threads and exit handlers for as long as they take. */
const exitGrace = 2 ** 31 - 1;
const interruptedGrace = 500;

interface Target {
  readonly name: string;
  readonly isModule: boolean;
  readonly args: readonly string[];
}

interface Invocation {
  readonly target: Target;
  readonly start: StartOptions;
}

/** Our options end where the script's or module's name stands; the rest is the script's. */
function parseInvocation(all: readonly string[]): Invocation | undefined {
  const args = [...all];
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const first = tokens.find(
    (token) => token.kind === "positional" || (token.kind === "option" && token.name === "m"),
  );
  const end = first?.index ?? args.length;
  const { values } = parsed(() => parseArgs({ args: args.slice(0, end), options }));
  if (values.help) return undefined;
  const { python, allow = [], deny = [] } = values;
  if (first === undefined) throw new UsageError("a script or `-m module` is missing");
  const isModule = first.kind === "option";
  const separate = isModule && first.inlineValue === false;
  const name = isModule ? first.value : args[end];
  if (typeof name !== "string" || name === "") {
    throw new UsageError("the option `-m` needs a module's name");
  }
  const target = { name, isModule, args: args.slice(end + (separate ? 2 : 1)) };
  const start: StartOptions = { sandbox: { allow, deny }, signals: "host", exitGrace };
  return { target, start: python === undefined ? start : { python, ...start } };
}

/**
 * SIGINT is `KeyboardInterrupt` in Python that runs. If none runs, the Task that the script is gets
 * cancelled; if there is none either, or for the second time, the process ends. The result stops all that.
 */
function interruptOnSigint(py: Python): () => void {
  let ended = false;
  const interrupt = py.import("_erlang_impl._script")["interrupt"] as () => boolean;
  process.on("SIGINT", () => {
    if (ended) return;
    try {
      py.evalSync("None"); // raises what has not reached Python yet
    } catch (error) {
      if (!(error instanceof PythonInterruptedError)) {
        // The handler that the script has for SIGINT raised it.
        py.loop["call_exception_handler"]({ message: "SIGINT", exception: error });
        return;
      }
      if (interrupt()) return;
      // Threads that the user does not want to wait for get a moment only.
      binding().exit(interruptedGrace, exitStatus.interrupted);
      process.exit(exitStatus.interrupted);
    }
  });
  binding().interruptOnSigint();
  return () => {
    ended = true;
  };
}

async function run(args: readonly string[]): Promise<number | undefined> {
  const invocation = parseInvocation(args);
  if (invocation === undefined) {
    console.log(help);
    return 0;
  }
  const { name, isModule, args: scriptArgs } = invocation.target;
  const py = await Python.start(invocation.start);
  const stopListening = interruptOnSigint(py);
  // Node ends when nothing is left that could happen; a script waits for its threads as well.
  const alive = setInterval(() => {}, exitGrace);
  const leave = (status: number): void => process.exit(status);
  const status = await py.call<number | null>("_erlang_impl._script", "run", [
    name,
    isModule,
    scriptArgs,
    leave,
  ]);
  clearInterval(alive);
  if (status === null) return undefined;
  stopListening();
  await py.close();
  return status;
}

/** The command `run`. */
export const runCommand: Command = {
  summary: "runs a Python script or module on Node's loop",
  help,
  run,
};
