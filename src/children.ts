// Children of the process that Node.js runs for Python: the user's function decides, `node:child_process`
// starts them on descriptors that Python made, and Python is told how they end. The other half is
// `_erlang_impl/_children.py`.

import { type SpawnOptions, type StdioOptions, spawn } from "node:child_process";
import { accessSync, constants as fileConstants, statSync } from "node:fs";
import { constants } from "node:os";
import { binding } from "./binding.js";
import { Thrown } from "./encode.js";
import { type PythonLibrary, python } from "./library.js";
import { type Plan, planOf, type SubprocessPolicy, type SubprocessRequest } from "./subprocess.js";

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) freeze(inner);
  }
  return value;
}

/** The error number of a folder that cannot be entered; 0 if it can. */
function errorOfFolder(cwd: string | undefined): number {
  if (cwd === undefined) return 0;
  try {
    if (!statSync(cwd).isDirectory()) return constants.errno.ENOTDIR;
    accessSync(cwd, fileConstants.X_OK);
    return 0;
  } catch (error) {
    return numberOf(error);
  }
}

function numberOf(error: unknown): number {
  const { errno } = error as NodeJS.ErrnoException;
  return typeof errno === "number" && errno < 0 ? -errno : 0;
}

/** What waitpid(2) says of it. */
function statusOf(code: number | null, signal: NodeJS.Signals | null): number {
  return signal === null ? ((code ?? 0) & 0xff) << 8 : constants.signals[signal];
}

/** Unless Python has been closed meanwhile: then nobody waits for the answer. */
function tell(answer: (library: PythonLibrary) => void): void {
  try {
    answer(python());
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "ERR_COLOOP_CLOSED" && code !== "ERR_COLOOP_EXITED") throw error;
  }
}

/** Python gets the exception of the sandbox, whatever the error is. */
function refuse(number: number, why: string, error?: Thrown): void {
  tell((library) => {
    try {
      library.refusedChild(number, why, error ?? null);
    } catch (failure) {
      // What cannot cross is the cause.
      library.refusedChild(number, why, new Thrown(failure));
    }
  });
}

function tellFailure(number: number, plan: Plan, error: unknown): void {
  // Node.js takes no program without a name; the kernel is given a folder of PATH then.
  const code = plan.file === "" ? constants.errno.EACCES : numberOf(error);
  const ofFolder = errorOfFolder(plan.cwd);
  if (ofFolder !== 0) tell((library) => library.failedChild(number, ofFolder, true));
  else if (code !== 0) tell((library) => library.failedChild(number, code, false));
  else refuse(number, "it could not be started", new Thrown(error));
}

function start(number: number, plan: Plan, streams: StdioOptions): void {
  const { file, argv, ...options } = plan;
  const native = binding();
  let failure: unknown;
  tell((library) =>
    library.spawnChild(number, () => {
      try {
        const own = { ...options, argv0: argv[0], stdio: streams } as SpawnOptions;
        const child = spawn(file, argv.slice(1), own);
        const { pid = 0 } = child;
        child.unref(); // whoever waits for it in Python keeps Node.js alive
        child.on("error", (error) => tellFailure(number, plan, error));
        child.on("exit", (code, signal) => native.childExited(pid, statusOf(code, signal)));
        return pid;
      } catch (error) {
        failure = error;
        return 0;
      }
    }),
  );
  if (failure !== undefined) tellFailure(number, plan, failure);
}

async function run(
  decide: SubprocessPolicy,
  number: number,
  request: SubprocessRequest,
  streams: StdioOptions,
): Promise<void> {
  let plan: Plan | string;
  try {
    plan = planOf(await decide(freeze(request)), request);
  } catch (error) {
    refuse(number, "it failed", new Thrown(error));
    return;
  }
  if (typeof plan !== "string") start(number, plan, streams);
  else refuse(number, plan);
}

/** Python asks this function from now on; without one it asks nobody. */
export function connectChildren(decide: SubprocessPolicy | undefined): void {
  if (decide === undefined) return;
  python().connectChildren(
    (number: number, request: SubprocessRequest, streams: StdioOptions) =>
      void run(decide, number, request, streams),
  );
}
