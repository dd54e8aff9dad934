// JavaScript values to what native code reads: primitives as they are, everything else as a node, an
// array that begins with its kind (native/convert/kinds.def). All of the walk is here, so user code
// (getters, proxies) runs before Python is entered, and a native read never comes back to JavaScript.

import { inspect, types } from "node:util";
import { markAsUntransferable } from "node:worker_threads";
import { binding } from "./binding.js";
import { ColoopTypeError } from "./errors.js";
import { handleOf } from "./handle.js";
import { isKeywords } from "./kw.js";
import { dropUnadopted, hostId, hostKinds } from "./table.js";

/** Node kinds, in the order of native/convert/kinds.def. */
export const nodeKinds = {
  List: 0,
  Numbers: 1,
  Object: 2,
  Map: 3,
  Set: 4,
  Date: 5,
  Buffer: 6,
  Host: 7,
  Python: 8,
  Back: 9,
} as const;

/** Nesting beyond this is an error, as in the other direction. */
export const maxDepth = 1000;

const minBulkNumbers = 16;

// V8 ends the process for an array that grows a little beyond this.
const maxElements = 112_000_000;

/** What {@link ref} makes: a value that crosses as a proxy in place of a copy. */
export class Ref<T = unknown> {
  /** The value itself. */
  readonly value: T;
  /** @internal */
  constructor(value: T) {
    this.value = value;
  }
}

/**
 * Passes a JavaScript value to Python as a proxy in place of a copy, as an argument or within one.
 *
 * @param value - any JavaScript value; of primitives, which have no identity, it is the value that
 * crosses
 * @example
 * ```ts
 * import { Python, ref } from "coloop";
 *
 * const py = await Python.start();
 * const list = [1, 2];
 * py.execSync("numbers.push(3)", { numbers: ref(list) });
 * console.log(list); // [ 1, 2, 3 ]
 * await py.close();
 * ```
 */
export function ref<T>(value: T): Ref<T> {
  return new Ref(value);
}

/** What was thrown, or what a promise was rejected with: an exception in Python, whatever it is. */
export class Thrown {
  readonly value: unknown;
  constructor(value: unknown) {
    this.value = value;
  }
}

const formats: Record<string, string> = {
  Int8Array: "b",
  Uint8Array: "B",
  Uint8ClampedArray: "B",
  Int16Array: "h",
  Uint16Array: "H",
  Int32Array: "i",
  Uint32Array: "I",
  Float32Array: "f",
  Float64Array: "d",
  BigInt64Array: "q",
  BigUint64Array: "Q",
};

const TypedArray = Object.getPrototypeOf(Uint8Array.prototype) as object;
const typedArrayTag = Object.getOwnPropertyDescriptor(TypedArray, Symbol.toStringTag)?.get as (
  this: unknown,
) => string;

/** Encodes the values of one call; shared references and cycles among them are kept. */
export class Encoder {
  #seen: Map<object, number> | undefined;
  #begun = 0;
  #path: (string | number)[] = [];
  #root = "";
  #failure: unknown;
  readonly #fresh: number[] = [];

  /** The encoded form of one value; `root` and `where` name it in errors. */
  encode(value: unknown, root: string, where?: string | number): unknown {
    this.#root = root;
    this.#path.length = 0;
    try {
      return this.#encode(value, where);
    } catch (error) {
      this.drop();
      throw this.#explain(error);
    }
  }

  /** After a failure: forgets the JavaScript objects that Python did not take. */
  drop(): void {
    dropUnadopted(this.#fresh, binding().adopted);
  }

  #encode(value: unknown, where?: string | number): unknown {
    switch (typeof value) {
      case "object":
        if (value === null) return null;
        break;
      case "function":
        break;
      case "symbol":
        this.#fail("a symbol cannot cross to Python", where);
        break;
      default:
        return value;
    }
    if (where === undefined) return this.#encodeObject(value as object);
    this.#path.push(where);
    if (this.#path.length > maxDepth) {
      this.#path.length = 1;
      this.#fail(`nested deeper than ${maxDepth} levels; pass it as a proxy with ref()`);
    }
    const node = this.#encodeObject(value as object);
    this.#path.pop();
    return node;
  }

  #encodeObject(value: object): unknown {
    if (typeof value === "function") {
      const handle = handleOf(value);
      if (handle !== undefined) return [nodeKinds.Python, handle];
      return this.#host(value, hostKinds.function);
    }
    if (Array.isArray(value)) return this.#seenBefore(value) ?? this.#list(value);
    const prototype = Object.getPrototypeOf(value) as object | null;
    if (prototype === null || prototype === Object.prototype) {
      return isThenable(value) ? this.#host(value, hostKinds.promise) : this.#plain(value);
    }
    return (
      this.#special(value) ??
      (isForeignPlain(prototype) ? this.#plain(value) : this.#byReference(value))
    );
  }

  #special(value: object): unknown {
    if (value instanceof Ref) return this.#reference(value.value);
    if (value instanceof Thrown) return this.#thrown(value.value);
    if (types.isMap(value)) return this.#seenBefore(value) ?? this.#map(value);
    if (types.isSet(value)) return this.#seenBefore(value) ?? this.#set(value);
    if (types.isDate(value)) return this.#date(value);
    if (ArrayBuffer.isView(value) || types.isAnyArrayBuffer(value)) return this.#buffer(value);
    if (types.isNativeError(value) || value instanceof Error) return this.#error(value);
    if (isKeywords(value)) {
      this.#fail("kw() must be the last argument of a call, and the only one of its kind");
    }
    return undefined;
  }

  #seenBefore(value: object): unknown {
    this.#seen ??= new Map();
    const index = this.#seen.get(value);
    if (index !== undefined) return [nodeKinds.Back, index];
    this.#seen.set(value, this.#begun++);
    return undefined;
  }

  #list(value: readonly unknown[]): unknown {
    if (value.length >= minBulkNumbers && allNumbers(value)) {
      return [nodeKinds.Numbers, Float64Array.from(value as number[])];
    }
    this.#checkSize(value.length, maxElements, "an array", "elements");
    const node: unknown[] = [nodeKinds.List];
    for (let i = 0; i < value.length; i++) node.push(this.#encode(value[i], i));
    return node;
  }

  #plain(value: object): unknown {
    const back = this.#seenBefore(value);
    if (back !== undefined) return back;
    const node: unknown[] = [nodeKinds.Object];
    const keys = Object.keys(value);
    this.#checkSize(keys.length, maxElements / 2, "an object", "properties");
    for (const key of keys) {
      node.push(key, this.#encode((value as Record<string, unknown>)[key], key));
    }
    return node;
  }

  #map(value: Map<unknown, unknown>): unknown {
    const node: unknown[] = [nodeKinds.Map];
    let index = 0;
    for (const [key, item] of mapEntries.call(value) as IterableIterator<[unknown, unknown]>) {
      const where = typeof key === "string" ? key : index;
      node.push(this.#encode(key, where), this.#encode(item, where));
      index++;
    }
    return node;
  }

  #set(value: Set<unknown>): unknown {
    const node: unknown[] = [nodeKinds.Set];
    let index = 0;
    for (const item of setValues.call(value) as IterableIterator<unknown>) {
      node.push(this.#encode(item, index++));
    }
    return node;
  }

  #date(value: Date): unknown {
    const time = dateTime.call(value) as number;
    if (Number.isNaN(time)) this.#fail("an invalid Date cannot cross to Python");
    return [nodeKinds.Date, time];
  }

  #buffer(value: ArrayBufferView | ArrayBufferLike): unknown {
    const isView = ArrayBuffer.isView(value);
    const memory = isView ? value.buffer : value;
    const shared = types.isSharedArrayBuffer(memory);
    if (!shared && (memory as { resizable?: boolean }).resizable === true) {
      this.#fail(
        "a resizable ArrayBuffer cannot be shared with Python; pass a copy (buffer.slice())",
      );
    }
    let bytes: Uint8Array;
    try {
      bytes = isView
        ? new Uint8Array(memory, value.byteOffset, value.byteLength)
        : new Uint8Array(memory);
    } catch {
      this.#fail("a detached ArrayBuffer cannot cross to Python; pass it before it is transferred");
    }
    // While Python may look at it, nobody may transfer it away.
    if (!shared) markAsUntransferable(memory);
    const name = isView ? (typedArrayTag.call(value) ?? "DataView") : "Uint8Array";
    const itemSize = (value as { BYTES_PER_ELEMENT?: number }).BYTES_PER_ELEMENT ?? 1;
    return [
      nodeKinds.Buffer,
      hostId(value, hostKinds.object),
      bytes,
      formats[name] ?? "B",
      itemSize,
    ];
  }

  #error(value: Error): unknown {
    const handle = handleOf((value as { value?: unknown }).value);
    const isOurs =
      handle !== undefined && (value as { pythonType?: unknown }).pythonType !== undefined;
    return isOurs ? [nodeKinds.Python, handle] : this.#host(value, hostKinds.error);
  }

  #reference(value: unknown): unknown {
    const handle = handleOf(value);
    if (handle !== undefined) return [nodeKinds.Python, handle];
    return this.#host(value, typeof value === "function" ? hostKinds.function : hostKinds.object);
  }

  #thrown(value: unknown): unknown {
    try {
      if (isError(value)) return this.#error(value);
      const handle = handleOf(value);
      if (handle !== undefined) return [nodeKinds.Python, handle];
    } catch {
      // An error whose own properties throw is a value like any other.
    }
    return this.#host(value, hostKinds.error);
  }

  #byReference(value: object): unknown {
    if (types.isPromise(value)) return this.#host(value, hostKinds.promise);
    const like = value as {
      then?: unknown;
      next?: unknown;
      [Symbol.iterator]?: unknown;
      [Symbol.asyncIterator]?: unknown;
    };
    if (typeof like[Symbol.asyncIterator] === "function")
      return this.#host(value, hostKinds.asyncIterable);
    if (typeof like.then === "function") return this.#host(value, hostKinds.promise);
    if (typeof like[Symbol.iterator] === "function" && typeof like.next === "function") {
      return this.#host(value, hostKinds.iterator);
    }
    return this.#host(value, hostKinds.object);
  }

  #host(value: unknown, kind: number): unknown {
    const id = hostId(value, kind);
    this.#fresh.push(id);
    return [nodeKinds.Host, id, kind];
  }

  #checkSize(size: number, limit: number, what: string, parts: string): void {
    if (size <= limit) return;
    this.#fail(
      `${what} with ${size} ${parts} is too large to be copied, which goes up to ${limit}; pass it as a proxy with ref()`,
    );
  }

  #fail(message: string, where?: string | number): never {
    const steps = where === undefined ? this.#path : [...this.#path, where];
    this.#failure = new ColoopTypeError(
      "ERR_COLOOP_CONVERSION",
      `${pathText(this.#root, steps)}: ${message}`,
    );
    throw this.#failure;
  }

  // Getters and the traps of proxies may throw anything.
  #explain(thrown: unknown): unknown {
    if (this.#failure !== undefined && thrown === this.#failure) return thrown;
    if (isStackOverflow(thrown)) return thrown;
    const path = pathText(this.#root, this.#path);
    return new ColoopTypeError(
      "ERR_COLOOP_CONVERSION",
      `${path}: reading it threw ${textOf(thrown)}`,
      { cause: thrown },
    );
  }
}

// The originals: a subclass or a patched prototype has no say in what a container holds.
const mapEntries = Map.prototype.entries;
const setValues = Set.prototype.values;
const dateTime = Date.prototype.getTime;

/** True for an error; no trap of a proxy is let through. */
export function isError(value: unknown): value is Error {
  try {
    return types.isNativeError(value) || value instanceof Error;
  } catch {
    return false;
  }
}

// V8's own; whoever has more stack is to see it as it is.
function isStackOverflow(thrown: unknown): boolean {
  return isError(thrown) && thrown.message === "Maximum call stack size exceeded";
}

/** A text for any value, whatever its getters and traps do. */
export function textOf(value: unknown): string {
  try {
    return isError(value) ? `${value.name}: ${value.message}` : inspect(value, { depth: 1 });
  } catch {
    return "a value that cannot be shown";
  }
}

function isThenable(value: object): boolean {
  return typeof (value as { then?: unknown }).then === "function";
}

// Not `every`, which passes over the holes.
function allNumbers(values: readonly unknown[]): boolean {
  for (const value of values) if (typeof value !== "number") return false;
  return true;
}

// An object literal of another realm (a vm context).
function isForeignPlain(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf");
}

function pathText(root: string, steps: readonly (string | number)[]): string {
  return steps.reduce<string>(
    (text, step) => (typeof step === "number" ? `${text}[${step}]` : `${text}.${step}`),
    root,
  );
}

/** True if every argument crosses as it is. */
export function allPrimitive(values: readonly unknown[]): boolean {
  for (const value of values) {
    const type = typeof value;
    if (type === "function" || type === "symbol" || (type === "object" && value !== null))
      return false;
  }
  return true;
}

/** The encoded forms of a call's arguments; `names` are those that errors say. */
export function encodeAll(
  encoder: Encoder,
  values: readonly unknown[],
  names: readonly string[] = [],
): unknown[] {
  return values.map((value, index) => {
    const name = names[index];
    return name === undefined ? encoder.encode(value, "args", index) : encoder.encode(value, name);
  });
}

/** The encoded form of one value. */
export function encodeValue(value: unknown, root: string): unknown {
  return new Encoder().encode(value, root);
}
