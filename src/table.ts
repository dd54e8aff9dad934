// The table of JavaScript values that Python holds, by id. An id lives until Python has let go of every
// object that stands for it.

import { types } from "node:util";

/** What a value can do in Python, in the order of HostKind in native/convert/sink.h. */
export const hostKinds = {
  object: 0,
  function: 1,
  promise: 2,
  iterator: 3,
  asyncIterable: 4,
  error: 5,
} as const;

/** A value that Python holds. */
export interface Entry {
  readonly value: unknown;
  readonly kind: number;
  /** A promise that Python has awaited, or that went back to JavaScript. */
  observed: boolean;
}

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
  releaseIds(given.filter((id) => entries[id] !== undefined && !adopted(id)));
}

/** Python has let go of every object that stands for these. */
export function releaseIds(released: readonly number[]): void {
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

/** The entry of an id that Python holds. */
export function entryOf(id: number): Entry {
  const entry = entries[id];
  if (entry === undefined) throw new RangeError(`no JavaScript object has the id ${id}`);
  return entry;
}

/** The value of an id, on its way back to JavaScript. */
export function hostValue(id: number): unknown {
  const entry = entryOf(id);
  entry.observed = true;
  return Method.is(entry.value) ? entry.value.bound() : entry.value;
}

/** How many values Python holds. */
export function hostCount(): number {
  return entries.reduce((count, entry) => (entry === undefined ? count : count + 1), 0);
}

/** A function that Python got as an attribute: a call has the object as `this`. */
export class Method {
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

/** The function as an attribute of that object: always the same. */
export function methodOf(target: object, method: (...args: unknown[]) => unknown): Method {
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
