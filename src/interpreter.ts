// Which interpreter a start is about.

import { existsSync, realpathSync } from "node:fs";
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import { discoverInterpreter, type Interpreter } from "./discover.js";
import { ColoopError } from "./errors.js";

const choiceKey = "coloop:interpreter";

// Two commands of one installation, or of one venv, are one interpreter.
function identityOf({ library, prefix, basePrefix }: Interpreter): string {
  return JSON.stringify(
    [library, prefix, basePrefix].map((path) => (existsSync(path) ? realpathSync(path) : path)),
  );
}

/**
 * The interpreter that a start means: the one that was started, unless another one is named.
 *
 * @throws ColoopError `ERR_COLOOP_OTHER_INTERPRETER` if it is
 */
export function chooseInterpreter(
  selection: string | undefined,
  started: Interpreter | undefined,
): Interpreter {
  if (started === undefined) return findInterpreter(selection);
  if (selection === undefined) return started;
  const found = findInterpreter(selection);
  if (identityOf(found) === identityOf(started)) return started;
  throw new ColoopError(
    "ERR_COLOOP_OTHER_INTERPRETER",
    `Python ${started.version} (${started.executable}) runs in this process already, and ` +
      `${found.version} (${found.executable}) is another one. A process has one interpreter: ` +
      "start it once, and leave the option `python` out afterwards.",
  );
}

/** What holds from a start on, as it was given or by default. */
export interface Settings {
  readonly interpreter: "shared" | "own";
  readonly signals: "refuse" | "host";
  readonly exitGrace: number;
}

/** Throws if a start wants something else than what holds; an option that is left out wants nothing. */
export function checkSettings(
  wanted: { readonly [Name in keyof Settings]?: Settings[Name] | undefined },
  settings: Settings,
): void {
  for (const name of ["interpreter", "signals", "exitGrace"] as const) {
    const [value, held] = [wanted[name], settings[name]];
    if (value === undefined || value === held) continue;
    throw new ColoopError(
      "ERR_COLOOP_OTHER_INTERPRETER",
      `Python runs with ${name}: ${JSON.stringify(held)} here, since its first start, and cannot have ` +
        `${name}: ${JSON.stringify(value)}: give the option at the first start, or leave it out.`,
    );
  }
}

// Asking an interpreter takes a process; the answer holds for this process and its Workers.
function findInterpreter(selection: string | undefined): Interpreter {
  const { COLOOP_PYTHON, VIRTUAL_ENV, PATH, PYENV_ROOT, PYENV_VERSION } = process.env;
  const asked = JSON.stringify([
    selection ?? null,
    process.cwd(),
    COLOOP_PYTHON,
    VIRTUAL_ENV,
    PATH,
    PYENV_ROOT,
    PYENV_VERSION,
  ]);
  const known = getEnvironmentData(choiceKey) as { asked: string; interpreter: Interpreter };
  if (known?.asked === asked) return known.interpreter;
  const interpreter = discoverInterpreter(selection);
  setEnvironmentData(choiceKey, { asked, interpreter });
  return interpreter;
}

const firstWithOwn = [3, 12] as const;

/** Throws unless this thread can have an interpreter of its own. */
export function checkOwnInterpreter({ version, executable }: Interpreter): void {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major < firstWithOwn[0] || (major === firstWithOwn[0] && minor < firstWithOwn[1])) {
    throw new ColoopError(
      "ERR_COLOOP_OWN_INTERPRETER",
      `interpreter: "own" needs Python ${firstWithOwn.join(".")} or newer, and this is ${version} (${executable}): ` +
        'use interpreter: "shared", or start the process with another Python.',
    );
  }
  if (isMainThread) {
    throw new ColoopError(
      "ERR_COLOOP_OWN_INTERPRETER",
      'interpreter: "own" is for Workers: the main thread has the main interpreter, and starts it first. ' +
        'Call Python.start() here without the option, and Python.start({ interpreter: "own" }) in a Worker.',
    );
  }
}
