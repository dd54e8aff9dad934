// Which interpreter a start is about.

import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import { discoverInterpreter, type Interpreter } from "./discover.js";
import { ColoopError } from "./errors.js";

const choiceKey = "coloop:interpreter";

/** Asking an interpreter takes a process; the answer holds for this process and its Workers. */
export function chooseInterpreter(selection: string | undefined): Interpreter {
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
