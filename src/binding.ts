// The native addon: where it is loaded and what it offers. No other file touches it.

import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Interpreter } from "./discover.js";
import { ColoopError } from "./errors.js";

/** A native handle of a Python object: a slot and its generation. */
export type Handle = number;

/** A sandbox policy with each name once, in order, so that equal policies are equal texts. */
export interface SandboxPolicy {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
  /** Lines of native/sandbox/rules.h. */
  readonly rules: readonly string[];
  readonly watch: readonly string[];
  readonly strict: boolean;
  /** Node.js runs children for Python. */
  readonly children: boolean;
}

/** What the start of Python needs. */
export interface NativeStartOptions extends SandboxPolicy {
  readonly executable: string;
  readonly packageFolder: string;
  readonly deepBind: boolean;
  readonly mainThread: boolean;
  /** In a Worker: an interpreter of its own. */
  readonly ownInterpreter: boolean;
  readonly threadId: number;
  /** What `exit` gets, for an end that it is not called at. */
  readonly exitGrace: number;
  /** The threads that this one descends from, as far as Python is started there. */
  readonly threadsAbove: readonly number[];
}

/** What the sandbox reports: the stack is three texts a frame (file, line, function). */
export type NativeReport = readonly [
  event: string,
  group: string,
  verdict: "refused" | "watched",
  thread: string,
  lost: string,
  args: readonly string[],
  ...stack: string[],
];

/** The functions of the addon. Values that go in are encoded (encode.ts) unless said otherwise. */
export interface Binding {
  /** What it was built from: the package's version and interfaces; older addons do not say. */
  readonly stamp?: string;
  /**
   * Before each start: the functions that native code calls, in the order of `Helper`, and how many
   * bytes a buffer can have.
   */
  setup(helpers: readonly ((...args: never[]) => unknown)[], maxBuffer: number): void;
  /** Starts Python here; the proxy of `_erlang_impl._bridge`. */
  start(options: NativeStartOptions): unknown;
  /** Throws unless a start here with these sandbox options could follow the one that was. */
  checkSandbox(options: SandboxPolicy): void;
  /** The proxy of the hosted loop. */
  loop(): unknown;
  close(): void;
  /** Python's exit sequence; `grace` in milliseconds. */
  exit(grace: number, code: number): void;
  /** Interrupts Python on the thread of a Worker, and on those of its own Workers. */
  interrupt(threadId: number): void;
  /** A Worker ends: interrupts Python on the threads of its own Workers until they have ended. */
  endDescendants(): void;
  /** Reports or interrupts Python that blocks the main thread; a limit of 0 ends that. */
  watchdog(limit: number, interrupt: boolean): void;
  /** When the signal comes, Python that runs is interrupted. Returns the number of the request. */
  interruptOnSignal(signal: number): number;
  /** When the signal comes, Python and in the end the process are ended after `grace` ms. Returns the same. */
  endOnSignal(signal: number, grace: number): number;
  forgetSignal(request: number): void;
  /** The process exits: signals end nothing any more. */
  exitBegins(): void;
  /** Milliseconds since it came last; 0 if it never did. */
  sinceSignal(signal: number): number;
  /** Python's `signal.signal` works from now on, through libuv. */
  routeSignals(): void;
  /** SIGINT raises KeyboardInterrupt in Python that runs, too; after the listener is in place. */
  interruptOnSigint(): void;
  /** Runs what other threads wait for. */
  serve(): void;
  runtimeVersion(): string;
  /** At most eight arguments. */
  call(callable: Handle, ...args: unknown[]): unknown;
  callWith(
    callable: Handle,
    args: readonly unknown[],
    names: readonly string[],
    values: readonly unknown[],
    byReference: boolean,
    argumentNames?: readonly string[],
    watch?: number,
  ): [value: unknown, task?: unknown];
  /** A limit for a call of `callWith`: milliseconds, or -1 for none. */
  watch(limit: number): number;
  /** Its end: a bit 1 if its time had come, a bit 2 if Python was interrupted for it. */
  unwatch(watch: number): number;
  /** Its time has come. */
  interruptWatch(watch: number): void;
  /** Interrupts what Python does for JavaScript on that thread; false if that is nothing. */
  interruptThread(threadId: number): boolean;
  internName(name: string): number;
  getAttribute(object: Handle, name: number, byReference: boolean): unknown;
  view(object: Handle, copy: boolean): [memory: ArrayBuffer, format: string, itemSize: number];
  release(object: Handle): boolean;
  isLive(object: Handle): boolean;
  adopted(id: number): boolean;
  counters(): Record<string, number>;
  /** Calls `wake` on this thread when there are reports to take; one listener for the process. */
  listenToSandbox(wake: (() => void) | null): void;
  takeSandboxReports(): readonly NativeReport[];
  /** A child of Python's has ended; the status is that of waitpid(2). Also after `close`. */
  childExited(pid: number, status: number): void;
  tightenSandbox(deny: readonly string[], rules: readonly string[], strict: boolean): void;
}

interface Loader {
  load(options: { library: string; plain: boolean }): {
    mode: "isolated" | "plain";
    reason: string;
  };
  /** Tells every thread of the process; the first one stays. */
  noteStarted(interpreter: string): void;
  /** What was noted, or "". */
  started(): string;
}

/** The folder of the installed package. */
export const packageRoot: string = join(dirname(fileURLToPath(import.meta.url)), "..");
const require = createRequire(import.meta.url);

/** The folder that holds the Python package `_erlang_impl`. */
export const packageFolder: string = join(packageRoot, "python");

const buildFolder = join(packageRoot, "build");
const loaderFile = join(buildFolder, "loader", "coloop_loader.node");

/** The addons that an interpreter needs, whether or not they are built. */
export function addonFiles({ tag }: Interpreter): { loader: string; bridge: string } {
  return { loader: loaderFile, bridge: join(buildFolder, tag, `coloop_${tag}.node`) };
}

/** The interpreter that was started in this process, on whatever thread. */
export function startedInterpreter(): Interpreter | undefined {
  try {
    const text = (require(loaderFile) as Loader).started();
    return text === "" ? undefined : (JSON.parse(text) as Interpreter);
  } catch {
    return undefined; // what is wrong with the loader is said where it loads libpython
  }
}

/** From now on it is the one of {@link startedInterpreter}, unless there is one. */
export function noteStarted(interpreter: Interpreter): void {
  (require(loaderFile) as Loader).noteStarted(JSON.stringify(interpreter));
}

/** The tags that a bridge is built for, such as `cp312`. */
export function builtTags(): string[] {
  if (!existsSync(buildFolder)) return [];
  return readdirSync(buildFolder)
    .filter(
      (tag) => existsSync(join(buildFolder, tag, `coloop_${tag}.node`)) && tag.startsWith("cp"),
    )
    .sort();
}

function requireAddon<T>(path: string, remedy: string): T {
  if (!existsSync(path)) {
    throw new ColoopError(
      "ERR_COLOOP_ADDON",
      `The native addon is not built.\n  looked for: ${path}\n  what to do: ${remedy}`,
    );
  }
  try {
    return require(path) as T;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ColoopError(
      "ERR_COLOOP_ADDON",
      `The native addon does not load.\n  file: ${path}\n  reason: ${reason}\n  what to do: ${remedy}`,
      { cause },
    );
  }
}

/** Version and interfaces of this package; native/bridge/CMakeLists.txt has the same. */
function packageStamp(): string {
  const read = (file: string): Buffer => readFileSync(join(packageRoot, file));
  const { version } = JSON.parse(read("package.json").toString()) as { version: string };
  const digests = ["python/_coloop.pyi", "dist/binding.d.ts"].map((file) =>
    createHash("sha256").update(read(file)).digest("hex").slice(0, 12),
  );
  return [version, ...digests].join("-");
}

function checkStamp({ stamp = "unknown" }: Binding, path: string, remedy: string): void {
  const wanted = packageStamp();
  if (stamp === wanted) return;
  throw new ColoopError(
    "ERR_COLOOP_ADDON",
    "The native addon was built from another version of the package than the one that loads it.\n" +
      `  file: ${path}\n  built from: ${stamp}\n  this package: ${wanted}\n` +
      `  what to do: ${remedy}, then start the process anew`,
  );
}

/**
 * Loads libpython and the addon for it; the same ones on every later call.
 *
 * @throws ColoopError `ERR_COLOOP_ADDON` if they are not built, do not load or belong to
 * another version of the package; an error with the code
 * `ERR_COLOOP_OTHER_INTERPRETER` if the process has another libpython
 */
export function loadBinding(interpreter: Interpreter): {
  binding: Binding;
  mode: "isolated" | "plain";
  /** Why it is that mode. */
  reason: string;
} {
  const remedy = `npx coloop build --python ${interpreter.executable}`;
  const { loader: loaderPath, bridge: bridgePath } = addonFiles(interpreter);
  const loader = requireAddon<Loader>(loaderPath, remedy);
  if (!existsSync(bridgePath)) {
    throw new ColoopError(
      "ERR_COLOOP_ADDON",
      `No addon is built for Python ${interpreter.version}.\n  looked for: ${bridgePath}\n  what to do: ${remedy}`,
    );
  }
  const plain = process.env["COLOOP_DLOPEN"] === "plain";
  const loaded = loader.load({ library: interpreter.library, plain });
  const bridge = requireAddon<Binding>(bridgePath, remedy);
  checkStamp(bridge, bridgePath, remedy);
  return { binding: bridge, ...loaded };
}

let current: Binding | undefined;

/** The binding in use. */
export function binding(): Binding {
  if (current === undefined) {
    throw new ColoopError(
      "ERR_COLOOP_CLOSED",
      "Python has not been started here; call Python.start() first",
    );
  }
  return current;
}

/** Makes a loaded binding the one in use. */
export function useBinding(native: Binding): void {
  current = native;
}
