// What Python asks for when it wants a child process, and what the user's function may answer.

import { ColoopTypeError } from "./errors.js";
import type { SandboxFrame } from "./frame.js";

/**
 * One of a child's streams: the process's own, a pipe of Python's, nothing, the same as stdout, or a
 * descriptor that Python has open.
 */
export type SubprocessStream = "inherit" | "pipe" | "ignore" | "stdout" | number;

/** What a function of {@link SubprocessPolicy} may change of a request. */
export interface SubprocessChange {
  /** The program and its arguments. */
  readonly argv?: readonly string[];
  /** The file that is run, where it is not `argv[0]`. Without a slash it is looked for on PATH. */
  readonly executable?: string;
  /** The line of a request with `shell=True`; it is `argv[2]` then. */
  readonly shell?: string;
  /** The child's folder; the process's own if undefined. */
  readonly cwd?: string | undefined;
  /** The whole environment; the process's own if undefined. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Whether it gets a session of its own (`start_new_session`). */
  readonly detached?: boolean;
  /** The user that it runs as. */
  readonly uid?: number;
  /** The group that it runs as. */
  readonly gid?: number;
}

/** A child that Python asks for. */
export interface SubprocessRequest extends SubprocessChange {
  readonly argv: readonly string[];
  readonly detached: boolean;
  /** Its standard input. */
  readonly stdin: SubprocessStream;
  /** Its standard output. */
  readonly stdout: SubprocessStream;
  /** Its standard error. */
  readonly stderr: SubprocessStream;
  /** Other descriptors that it inherits (`pass_fds`). */
  readonly passFds: readonly number[];
  /** Python's stack, at most 64 frames, the innermost first. */
  readonly stack: readonly SandboxFrame[];
}

/** Why a request is denied. */
export interface SubprocessRefusal {
  /** What the exception in Python says. */
  readonly reason: string;
}

/**
 * What becomes of a request: `true` allows it, an object with other values changes it, everything else
 * denies it: `false`, nothing, or the reason as a string or `{ reason }`.
 */
export type SubprocessDecision =
  | boolean
  | string
  | null
  | undefined
  | SubprocessRefusal
  | SubprocessChange;

/**
 * Decides on each child that Python asks for, soon or later. What it throws denies the request and is the
 * cause of the exception in Python.
 */
export type SubprocessPolicy = (
  request: SubprocessRequest,
) => SubprocessDecision | PromiseLike<SubprocessDecision>;

/** What is to be started. */
export type Plan = Pick<SubprocessRequest, "argv" | "cwd" | "env" | "detached" | "uid" | "gid"> & {
  readonly file: string;
};

const fixed = ["stdin", "stdout", "stderr", "passFds", "stack"] as const;

const isText = (value: unknown): value is string => typeof value === "string";
const isId = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const changeable: Record<
  keyof SubprocessChange,
  { readonly test: (value: unknown) => boolean; readonly text: string }
> = {
  argv: {
    test: (value) => Array.isArray(value) && value.length > 0 && value.every(isText),
    text: "an array of strings, at least one",
  },
  executable: { test: (value) => isText(value) && value !== "", text: "a non-empty string" },
  shell: { test: isText, text: "a string" },
  cwd: { test: (value) => value === undefined || isText(value), text: "a string" },
  env: {
    test: (value) => value === undefined || (isPlain(value) && Object.values(value).every(isText)),
    text: "an object of strings",
  },
  detached: { test: (value) => typeof value === "boolean", text: "true or false" },
  uid: { test: isId, text: "an integer of at least 0" },
  gid: { test: isId, text: "an integer of at least 0" },
};

function fail(message: string): never {
  throw new ColoopTypeError("ERR_COLOOP_ARGUMENT", `the sandbox's subprocess function ${message}`);
}

function checkChange(answer: Record<string, unknown>, request: SubprocessRequest): void {
  const names = Object.keys(answer);
  if (names.length === 0) fail("gave an object without anything in it");
  for (const name of names) {
    if ((fixed as readonly string[]).includes(name)) {
      if (answer[name] !== request[name as keyof SubprocessRequest]) fail(`cannot change ${name}`);
    } else if (!Object.hasOwn(changeable, name)) {
      fail(`gave an unknown ${JSON.stringify(name)}; known: ${Object.keys(changeable).join(", ")}`);
    } else {
      const { test, text } = changeable[name as keyof SubprocessChange];
      if (!test(answer[name])) fail(`gave a wrong ${JSON.stringify(name)}: it must be ${text}`);
    }
  }
}

/** The program of a request with its change. */
function programOf(change: SubprocessChange, request: SubprocessRequest): [string, string[]] {
  const { argv, shell } = change;
  const newLine = shell !== undefined && shell !== request.shell ? shell : undefined;
  const newArgv = argv !== undefined && argv !== request.argv ? argv : undefined;
  if (newLine !== undefined && request.shell === undefined) {
    fail("gave a shell line to a request that has none");
  }
  if (newLine !== undefined && newArgv !== undefined) fail("changed both argv and shell");
  const args = [...(newArgv ?? request.argv)];
  if (newLine !== undefined) args[2] = newLine;
  const { executable } = change;
  // A new argv without a new executable is a new program.
  const kept = executable === request.executable && newArgv !== undefined;
  const file = kept ? undefined : (executable ?? (newArgv ? undefined : request.executable));
  return [file ?? (args[0] as string), args];
}

/** What is to be started after that answer, or why nothing is. */
export function planOf(answer: unknown, request: SubprocessRequest): Plan | string {
  if (answer === false || answer === undefined || answer === null) return "";
  if (isText(answer)) return answer;
  if (answer !== true && !isPlain(answer)) {
    fail(`answered with ${typeof answer}; it must be true, false, a reason or a changed request`);
  }
  if (answer !== true && Object.hasOwn(answer, "reason")) {
    const { reason } = answer as { reason: unknown };
    return isText(reason) ? reason : fail("gave a reason that is no string");
  }
  const change: SubprocessChange = answer === true ? {} : { ...answer };
  if (answer !== true) checkChange(change as Record<string, unknown>, request);
  const [file, argv] = programOf(change, request);
  const { cwd, env, detached, uid, gid } = { ...request, ...change };
  const rest = { cwd, env, detached, uid, gid };
  return { file, argv, ...rest } as Plan;
}
