// The functions of `_erlang_impl._bridge`, by name. They are Python: what is not hot is written there.

import { binding, type Handle } from "./binding.js";
import { ColoopError, ColoopTypeError } from "./errors.js";
import { handleOf, setKept } from "./handle.js";
import { invoke } from "./invoke.js";

const names = {
  awaitIt: "await_it",
  cancel: "cancel",
  cancelAll: "cancel_all",
  cancelTasks: "cancel_tasks",
  closeStream: "close_stream",
  connect: "connect",
  connectChildren: "connect_children",
  contains: "contains",
  copy: "copy",
  deleteAttribute: "delete_attribute",
  deleteItem: "delete_item",
  disconnectChildren: "disconnect_children",
  evaluate: "evaluate",
  evaluateAsync: "evaluate_async",
  execute: "execute",
  executeAsync: "execute_async",
  failedChild: "failed_child",
  getItem: "get_item",
  handleSignal: "handle_signal",
  hasAttribute: "has_attribute",
  hasIndex: "has_index",
  importModule: "import_module",
  isInstance: "is_instance",
  iterator: "iterator",
  length: "length",
  mainNamespace: "main_namespace",
  metrics: "metrics",
  names: "names",
  newNamespace: "new_namespace",
  next: "next_item",
  number: "number",
  openStream: "open_stream",
  refusedChild: "refused_child",
  register: "register",
  reportLate: "report_late",
  repr: "repr_of",
  setAttribute: "set_attribute",
  setItem: "set_item",
  spawnChild: "spawn_child",
  string: "string_of",
  takeItems: "take_items",
  throwStream: "throw_stream",
  typeName: "type_name",
  unregister: "unregister",
  watchBlocking: "watch_blocking",
} as const;

type Name = keyof typeof names;

const run = ["code", "locals"];
const item = ["object", "key", "value"];

/** What errors call the arguments, where these are the user's. */
const argumentNames: Partial<Record<Name, readonly string[]>> = {
  contains: item,
  deleteItem: item,
  evaluate: run,
  evaluateAsync: run,
  execute: run,
  executeAsync: run,
  getItem: item,
  setAttribute: ["object", "name", "value"],
  setItem: item,
};

/** Python's half of the bridge. Arguments and results cross as everywhere. */
export type PythonLibrary = Record<Name, (...args: unknown[]) => unknown>;

let current: PythonLibrary | undefined;
const handles = new Map<Name, Handle>();
// The proxies keep their objects alive; the library calls by handle.
let kept: unknown[] = [];

interface Attributes {
  $attr(name: string, options: { ref: boolean }): unknown;
}

/** Takes the functions from the module's proxy, or forgets them. */
export function connectLibrary(bridge: Attributes | undefined): void {
  kept = [];
  current = undefined;
  if (bridge === undefined) return;
  const library: Partial<PythonLibrary> = {};
  for (const [name, pythonName] of Object.entries(names) as [Name, string][]) {
    const proxy = bridge.$attr(pythonName, { ref: true });
    const handle = handleOf(proxy) as Handle;
    kept.push(proxy);
    setKept(proxy, true);
    handles.set(name, handle);
    const called = argumentNames[name];
    library[name] =
      called === undefined
        ? (...args) => ask(handle, args)
        : (...args) => invoke(handle, args, called, true);
  }
  current = library as PythonLibrary;
}

function ask(handle: Handle, args: readonly unknown[]): unknown {
  try {
    return invoke(handle, args);
  } catch (error) {
    const subject = handleOf(args[0]);
    const isDisposed = (error as { code?: unknown }).code === "ERR_COLOOP_DISPOSED";
    if (!isDisposed || subject === undefined || binding().isLive(subject)) throw error;
    // The program has called no function: it does not know of `args[0]`.
    throw new ColoopTypeError(
      "ERR_COLOOP_DISPOSED",
      "the proxy was disposed, or Python was closed since",
    );
  }
}

/** The functions of the Python half. */
export function python(): PythonLibrary {
  if (current === undefined) throw closedError();
  return current;
}

/** What every use of a closed Python throws. */
export function closedError(): ColoopError {
  return new ColoopError(
    "ERR_COLOOP_CLOSED",
    "Python is closed in this environment; call Python.start() again",
  );
}

/** One of the functions, for a call with options. */
export function libraryFunction(name: Name): [Handle, names: readonly string[] | undefined] {
  python();
  return [handles.get(name) as Handle, argumentNames[name]];
}
