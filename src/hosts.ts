// JavaScript values that Python holds: a table by id, and the operations that Python performs on them.
// An id lives until Python has let go of every object that stands for it.

import { AsyncResource } from "node:async_hooks";
import { inspect, types } from "node:util";
import { binding } from "./binding.js";
import { allPrimitive, encodeValue, isError, nodeKinds, Ref, Thrown, textOf } from "./encode.js";
import { ColoopTypeError } from "./errors.js";
import { handleOf, invoke, type PyProxy } from "./proxy.js";

/** What a value can do in Python, in the order of HostKind in native/convert/sink.h. */
export const hostKinds = {
  object: 0,
  function: 1,
  promise: 2,
  iterator: 3,
  asyncIterable: 4,
  error: 5,
} as const;

interface Entry {
  readonly value: unknown;
  readonly kind: number;
  /** A promise that Python has awaited, or that went back to JavaScript. */
  observed: boolean;
}

// The async contexts that Tasks run in. Nobody passes them on, so they need no identity.
const scopes: (AsyncResource | undefined)[] = [undefined];
const freeScopes: number[] = [];

const entries: (Entry | undefined)[] = [undefined]; // id 0 is "none"
const freeIds: number[] = [];
const ids = new WeakMap<object, number>();

/** The id of a value in the table; a new one if it is not there. */
export function hostId(value: unknown, kind: number): number {
  const isObject = (typeof value === "object" && value !== null) || typeof value === "function";
  if (isObject) {
    const known = ids.get(value);
    if (known !== undefined) return known;
  }
  const id = freeIds.pop() ?? entries.length;
  entries[id] = { value, kind, observed: false };
  if (isObject) ids.set(value, id);
  // Whether it is rejected unseen is told when Python lets go of it; until then it may be awaited.
  if (types.isPromise(value)) value.then(undefined, ignore);
  return id;
}

function ignore(): void {}

/** After a call that failed before Python took its arguments: drops ids that nobody holds. */
export function dropUnadopted(given: readonly number[], adopted: (id: number) => boolean): void {
  release(given.filter((id) => entries[id] !== undefined && !adopted(id)));
}

/** Python has let go of these objects, and of these async contexts. */
export function release(released: readonly number[], releasedScopes: readonly number[] = []): void {
  for (const id of releasedScopes) {
    scopes[id] = undefined;
    freeScopes.push(id);
  }
  for (const id of released) {
    const entry = entries[id];
    if (entry === undefined) continue;
    entries[id] = undefined;
    freeIds.push(id);
    const { value } = entry;
    if ((typeof value === "object" && value !== null) || typeof value === "function")
      ids.delete(value);
    // A rejection that Python never looked at is Node's `unhandledRejection` after all.
    if (!entry.observed && types.isPromise(value)) void value.then();
  }
}

/** The value of an id, on its way back to JavaScript. */
export function hostValue(id: number): unknown {
  const entry = entries[id];
  if (entry === undefined) throw new RangeError(`no JavaScript object has the id ${id}`);
  entry.observed = true;
  return Method.is(entry.value) ? entry.value.bound() : entry.value;
}

/** How many values Python holds. */
export function hostCount(): number {
  return entries.reduce((count, entry) => (entry === undefined ? count : count + 1), 0);
}

/** A function that Python got as an attribute: a call has the object as `this`. */
class Method {
  readonly target: object;
  readonly method: (...args: unknown[]) => unknown;
  readonly #ours = true;

  /** Unlike `instanceof`, this calls no trap of a proxy. */
  static is(value: unknown): value is Method {
    return typeof value === "object" && value !== null && #ours in value && value.#ours;
  }

  constructor(target: object, method: (...args: unknown[]) => unknown) {
    this.target = target;
    this.method = method;
  }

  call(args: readonly unknown[]): unknown {
    return this.method.apply(this.target, args as unknown[]);
  }

  bound(): unknown {
    return this.method;
  }
}

const methods = new WeakMap<object, WeakMap<object, Method>>();

function methodOf(target: object, method: (...args: unknown[]) => unknown): Method {
  let byTarget = methods.get(method);
  if (byTarget === undefined) {
    byTarget = new WeakMap();
    methods.set(method, byTarget);
  }
  let found = byTarget.get(target);
  if (found === undefined) {
    found = new Method(target, method);
    byTarget.set(target, found);
  }
  return found;
}

const missing = Symbol("missing");
let missingProxy: PyProxy | undefined; // kept, for its handle lives no longer than it

/** Tells which Python object says "no such property". */
export function setMissing(proxy: PyProxy): void {
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

async function subscribe(promise: PromiseLike<unknown>, settle: PyProxy): Promise<void> {
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

function tell(settle: PyProxy, ok: boolean, value: unknown): void {
  invoke(handleOf(settle) as number, [ok, ok ? value : new Thrown(value)], ["ok", "result"]);
}

/** True if whoever waited is gone: its loop was closed, or the process is exiting. */
function isGone(settle: PyProxy, error: unknown): boolean {
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
    void subscribe(target as PromiseLike<unknown>, settle as PyProxy);
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
  const entry = entries[id];
  if (entry === undefined) throw new RangeError(`no JavaScript object has the id ${id}`);
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
