// The operations that Python performs on the JavaScript values it holds.

import { AsyncResource } from "node:async_hooks";
import { inspect, types } from "node:util";
import { binding } from "./binding.js";
import { allPrimitive, encodeValue, isError, nodeKinds, Ref, Thrown, textOf } from "./encode.js";
import { ColoopTypeError } from "./errors.js";
import { handleOf } from "./handle.js";
import { invoke } from "./invoke.js";
import { type Entry, entryOf, hostId, hostKinds, Method, methodOf, releaseIds } from "./table.js";

// The async contexts that Tasks run in. Nobody passes them on, so they need no identity.
const scopes: (AsyncResource | undefined)[] = [undefined];
const freeScopes: number[] = [];

/** Python has let go of these objects, and of these async contexts. */
export function release(released: readonly number[], releasedScopes: readonly number[] = []): void {
  for (const id of releasedScopes) {
    scopes[id] = undefined;
    freeScopes.push(id);
  }
  releaseIds(released);
}

const missing = Symbol("missing");
let missingProxy: unknown; // kept, for its handle lives no longer than it

/** Tells which Python object says "no such property". */
export function setMissing(proxy: unknown): void {
  missingProxy = proxy;
}

function read(target: unknown, key: unknown): unknown {
  const object = Object(target) as Record<PropertyKey, unknown>;
  if (!((key as PropertyKey) in object)) return missing;
  const value = object[key as PropertyKey];
  const isPlainFunction = typeof value === "function" && handleOf(value) === undefined;
  return isPlainFunction && typeof target === "object" && target !== null
    ? methodOf(target, value as (...args: unknown[]) => unknown)
    : value;
}

function ask(target: unknown, symbol: symbol): (...args: unknown[]) => unknown {
  const method = (target as Record<symbol, unknown>)[symbol];
  if (typeof method !== "function") {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `this JavaScript object has no [${String(symbol.description)}]() method`,
    );
  }
  return (method as (...args: unknown[]) => unknown).bind(target);
}

function lookUp(target: unknown, key: unknown): unknown {
  if (types.isMap(target)) return target.has(key) ? target.get(key) : missing;
  return read(target, typeof key === "string" || typeof key === "symbol" ? key : String(key));
}

function size(target: unknown): unknown {
  const like = target as { size?: unknown; length?: unknown };
  const count = types.isMap(target) || types.isSet(target) ? like.size : (like.length ?? like.size);
  return typeof count === "number" ? count : missing;
}

function contains(target: unknown, key: unknown): boolean {
  if (types.isMap(target) || types.isSet(target)) return target.has(key);
  if (Array.isArray(target)) return target.includes(key);
  return String(key) in Object(target);
}

function removeItem(target: unknown, key: unknown): boolean {
  if (types.isMap(target) || types.isSet(target)) return target.delete(key);
  return Reflect.deleteProperty(Object(target) as object, String(key));
}

function setItem(target: unknown, key: unknown, value: unknown): void {
  if (types.isMap(target)) target.set(key, value);
  else if (!Reflect.set(Object(target) as object, key as PropertyKey, value)) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `the property ${String(key)} of this JavaScript object is read-only`,
    );
  }
}

async function subscribe(promise: PromiseLike<unknown>, settle: unknown): Promise<void> {
  let ok = true;
  let value: unknown;
  try {
    value = await promise;
  } catch (error) {
    ok = false;
    value = error;
  }
  try {
    tell(settle, ok, value);
  } catch (error) {
    // What cannot cross is the waiter's error.
    if (!isGone(settle, error)) tell(settle, false, error);
  }
}

function tell(settle: unknown, ok: boolean, value: unknown): void {
  invoke(handleOf(settle) as number, [ok, ok ? value : new Thrown(value)], ["ok", "result"]);
}

/** True if whoever waited is gone: its loop was closed, or the process is exiting. */
function isGone(settle: unknown, error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === "ERR_COLOOP_EXITED" || !binding().isLive(handleOf(settle) as number);
}

function iteratorOf(target: unknown, symbol: symbol): Ref {
  const iterator = ask(target, symbol)();
  if (Object(iterator) === iterator) return new Ref(iterator);
  throw new ColoopTypeError(
    "ERR_COLOOP_ARGUMENT",
    `[${String(symbol.description)}]() of this JavaScript object gave ${textOf(iterator)}, which is no iterator`,
  );
}

async function nextItem(iterator: AsyncIterator<unknown>): Promise<[boolean, unknown]> {
  return itemOf(await iterator.next());
}

function itemOf(result: IteratorResult<unknown>): [boolean, unknown] {
  // As JavaScript's own loops do: without it there would be no end.
  if (Object(result) !== result) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `next() of this JavaScript iterator gave ${textOf(result)}, which is not an object`,
    );
  }
  return [Boolean(result.done), result.value];
}

function callable(target: unknown): (...args: unknown[]) => unknown {
  if (typeof target !== "function")
    throw new ColoopTypeError("ERR_COLOOP_ARGUMENT", "this JavaScript object is not a function");
  return target as (...args: unknown[]) => unknown;
}

type Operation = (target: unknown, args: readonly unknown[]) => unknown;

/** What Python can do with a JavaScript value; `_js.py` has the same numbers. */
const operations: readonly Operation[] = [
  /* 0 call */ (target, args) =>
    Method.is(target) ? target.call(args) : callable(target)(...args),
  /* 1 get */ (target, [key]) => read(target, key),
  /* 2 set */ (target, [key, value]) => {
    if (!Reflect.set(Object(target) as object, key as PropertyKey, value)) {
      throw new ColoopTypeError(
        "ERR_COLOOP_ARGUMENT",
        `the property ${String(key)} of this JavaScript object is read-only`,
      );
    }
  },
  /* 3 delete */ (target, [key]) =>
    Object.hasOwn(Object(target) as object, key as PropertyKey) &&
    Reflect.deleteProperty(Object(target) as object, key as PropertyKey),
  /* 4 keys */ (target) => propertyNames(target),
  /* 5 length */ (target) => size(target),
  /* 6 repr */ (target) => inspect(target, { depth: 1 }),
  /* 7 string */ (target) => String(target),
  /* 8 iterator */ (target) => iteratorOf(target, Symbol.iterator),
  /* 9 next */ (target) => itemOf((target as Iterator<unknown>).next()),
  /* 10 subscribe */ (target, [settle]) => {
    void subscribe(target as PromiseLike<unknown>, settle);
  },
  /* 11 async iterator */ (target) => iteratorOf(target, Symbol.asyncIterator),
  /* 12 async next */ (target) => nextItem(target as AsyncIterator<unknown>),
  /* 13 return */ (target, [value]) => (target as Partial<Generator>).return?.(value),
  /* 14 throw */ (target, [error]) => (target as Partial<Generator>).throw?.(error),
  /* 15 dispose */ (target) => ask(target, Symbol.dispose)(),
  /* 16 async dispose */ (target) => ask(target, Symbol.asyncDispose)(),
  /* 17 new */ (target, args) =>
    Reflect.construct(callable(Method.is(target) ? target.method : target), args as unknown[]),
  /* 18 get item */ (target, [key]) => lookUp(target, key),
  /* 19 set item */ (target, [key, value]) => setItem(target, key, value),
  /* 20 delete item */ (target, [key]) => removeItem(target, key),
  /* 21 contains */ (target, [key]) => contains(target, key),
  /* 22 thrown */ (target) => [
    isError(target),
    textOf(target),
    allPrimitive([target]) ? target : new Ref(target),
  ],
];

function propertyNames(target: unknown): string[] {
  const names = new Set<string>();
  for (
    let object = Object(target) as object | null;
    object !== null && object !== Object.prototype;
  ) {
    for (const name of Object.getOwnPropertyNames(object)) names.add(name);
    object = Object.getPrototypeOf(object) as object | null;
  }
  return [...names];
}

const subscribeOperation = 10;

function operate(operation: number, entry: Entry, args: readonly unknown[]): unknown {
  const perform = operations[operation];
  if (perform === undefined) throw new RangeError(`no operation has the number ${operation}`);
  if (operation === subscribeOperation) entry.observed = true;
  return perform(entry.value, args);
}

/** Performs an operation for Python, in the async context of `scope` if that is not 0. */
export function perform(operation: number, id: number, scope: number, ...args: unknown[]): unknown {
  const entry = entryOf(id);
  const resource = scopes[scope];
  const result =
    resource === undefined
      ? operate(operation, entry, args)
      : resource.runInAsyncScope(operate, undefined, operation, entry, args);
  return encodeResult(result);
}

function encodeResult(result: unknown): unknown {
  if (result === missing) return [nodeKinds.Python, handleOf(missingProxy)];
  const type = typeof result;
  if (type !== "object" && type !== "function" && type !== "symbol") return result;
  if (result === null) return null;
  if (Method.is(result))
    return [nodeKinds.Host, hostId(result, hostKinds.function), hostKinds.function];
  return encodeValue(result, "result");
}

/** What Python is told of a value that JavaScript threw; on its way back it is that very value. */
export function encodeThrown(thrown: unknown): unknown {
  return encodeValue(new Thrown(thrown), "thrown");
}

// Nothing is to be told when a context is collected.
const scopeOptions = { requireManualDestroy: true };

/** The async context of the call that is running, for the Task that it starts: its id. */
export function openScope(): number {
  const id = freeScopes.pop() ?? scopes.length;
  scopes[id] = new AsyncResource("PythonTask", scopeOptions);
  return id;
}
