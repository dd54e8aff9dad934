// Proxies of Python objects.

import { inspect } from "node:util";
import { binding, type Handle } from "./binding.js";
import { type WithOptions, withOptions } from "./call.js";
import { ColoopTypeError, PythonError } from "./errors.js";
import { HandleHolder, handleKey, handleOf, holderOf } from "./handle.js";
import { invoke } from "./invoke.js";
import { asyncIterate, iterate } from "./iterate.js";
import { isKeywords } from "./kw.js";
import { python } from "./library.js";
import { checkOptions, checkString } from "./options.js";
import { type PyView, typedView, type ViewOptions } from "./view.js";

/** What a proxied object can do; native/interp/object.h has the same bits. */
export const abilities = {
  callable: 1,
  iterable: 2,
  iterator: 4,
  asyncIterable: 8,
  asyncIterator: 16,
  awaitable: 32,
  sized: 64,
  class: 128,
  buffer: 256,
} as const;

/**
 * A proxy of a Python object: attributes by name, items by integer, calls, `new`, iteration. What is
 * coloop's own begins with `$`, which no Python name can.
 *
 * It belongs to the JavaScript thread that got it. Every use throws a {@link PythonError} if Python
 * raises, and a {@link ColoopTypeError} with `ERR_COLOOP_DISPOSED` after `$dispose()` and after
 * `close()` of its Python.
 */
export interface PyProxy {
  /** Attributes, items, calls: whatever the Python object has. */
  // biome-ignore lint/suspicious/noExplicitAny: what a Python object has is not known to TypeScript
  [name: string]: any;
  // biome-ignore lint/suspicious/noExplicitAny: the same for calls
  (...args: any[]): any;
  // biome-ignore lint/suspicious/noExplicitAny: the same for classes
  new (...args: any[]): any;
  /**
   * The function with keyword arguments, a signal, a time-out, or its result as a proxy: `f.$with({
   * timeout: 100 })(x)`.
   *
   * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` when called, for wrong options
   */
  // biome-ignore lint/suspicious/noExplicitAny: as a call without options
  $with(options: WithOptions): (...args: unknown[]) => any;
  /** A copy as a JavaScript value, if the object is of a kind that is copied; else the proxy itself. */
  $toJs(): unknown;
  /**
   * A typed array over the object's buffer, without a copy; the memory stays where it is while the
   * array lives.
   *
   * @throws ColoopTypeError `ERR_COLOOP_READ_ONLY` for read-only memory without `copy`,
   * `ERR_COLOOP_CONVERSION` for an element format that no typed array has, and for memory that is not
   * contiguous without `copy`
   * @throws PythonError (`TypeError`) if the object has no buffer
   */
  $view(options?: ViewOptions): PyView;
  /** The name of the object's class, without its module. */
  readonly $type: string;
  /** Python's `repr()`. */
  $repr(): string;
  /** Lets go of the object now; later use throws `ERR_COLOOP_DISPOSED`. A second call does nothing. */
  $dispose(): void;
  /**
   * `object[key]` with a key of any kind.
   *
   * @throws PythonError (`KeyError`, `IndexError`, `TypeError`) as Python
   */
  // biome-ignore lint/suspicious/noExplicitAny: as an item by index
  $get(key: unknown): any;
  /** `object[key] = value`. */
  $set(key: unknown, value: unknown): void;
  /** `key in object`. */
  $has(key: unknown): boolean;
  /**
   * `del object[key]`.
   *
   * @throws PythonError (`KeyError`, `IndexError`, `TypeError`) as Python
   */
  $delete(key: unknown): void;
  /**
   * An attribute of any name, also one that JavaScript uses itself; with `ref` as a proxy, not copied.
   *
   * @throws PythonError (`AttributeError`) if there is none
   */
  // biome-ignore lint/suspicious/noExplicitAny: as an attribute by name
  $attr(name: string, options?: { ref?: boolean }): any;
  /** The items, if the object is iterable; leaving the loop early closes a generator. */
  // biome-ignore lint/suspicious/noExplicitAny: what a Python object yields is not known to TypeScript
  [Symbol.iterator](): IterableIterator<any>;
  /** The items, if the object is an async iterable. */
  // biome-ignore lint/suspicious/noExplicitAny: the same for async iterables
  [Symbol.asyncIterator](): AsyncIterableIterator<any>;
}

// Bound functions are the only targets that allow call, `new`, `has`, `ownKeys` and every `get` without
// breaking an invariant. util.inspect looks at the target's prototype, not at the traps.
const targetPrototype: object = Object.create(Function.prototype, {
  [inspect.custom]: {
    value(this: unknown): string {
      const handler = holderOf(this);
      if (handler === undefined) return "[PyProxy]";
      return binding().isLive(handler.handle) ? inspectText(this) : "[PyProxy: disposed]";
    },
  },
});

// To look at an object must not throw, whatever its __repr__ does.
function inspectText(proxy: unknown): string {
  try {
    return String(python().repr(proxy));
  } catch {
    return `[PyProxy: ${String(python().typeName(proxy))} whose __repr__ raises]`;
  }
}

function base(): void {}
Object.setPrototypeOf(base, targetPrototype);

const nameNumbers = new Map<string, number>();

function nameNumber(name: string): number {
  let number = nameNumbers.get(name);
  if (number === undefined) {
    number = binding().internName(name);
    nameNumbers.set(name, number);
  }
  return number;
}

/** Names are numbered for each start of Python. */
export function forgetNames(): void {
  nameNumbers.clear();
}

const canonicalIndex = /^(0|-?[1-9]\d{0,14})$/;

// "3" is an item; "$…" is ours; everything else is an attribute.
function indexOf(key: string): number | undefined {
  const first = key.charCodeAt(0);
  if (first > 57 || (first < 48 && first !== 45)) return undefined;
  return canonicalIndex.test(key) ? Number(key) : undefined;
}

class PyHandler extends HandleHolder implements ProxyHandler<() => void> {
  proxy: unknown;

  apply(_target: unknown, _self: unknown, args: unknown[]): unknown {
    return isKeywords(args.at(-1)) ? withOptions(this, {})(...args) : invoke(this.handle, args);
  }

  construct(_target: unknown, args: unknown[]): object {
    if ((this.abilities & abilities.class) === 0) {
      throw new ColoopTypeError(
        "ERR_COLOOP_ARGUMENT",
        "only a Python class can be used with new; call the object instead",
      );
    }
    return withOptions(this, { ref: true })(...args) as object;
  }

  get(_target: unknown, key: string | symbol, receiver: unknown): unknown {
    if (typeof key === "symbol") return this.#symbol(key, receiver);
    if (key.charCodeAt(0) === 36) return this.#own(key, receiver);
    const index = indexOf(key);
    if (index !== undefined) return python().getItem(receiver, index);
    const special = specialNames[key];
    if (special !== undefined) return special(this, receiver);
    return binding().getAttribute(this.handle, nameNumber(key), false);
  }

  set(_target: unknown, key: string | symbol, value: unknown, receiver: unknown): boolean {
    if (typeof key === "symbol" || key.charCodeAt(0) === 36) {
      throw new ColoopTypeError(
        "ERR_COLOOP_ARGUMENT",
        `${String(key)} cannot be set on a Python object`,
      );
    }
    const index = indexOf(key);
    if (index === undefined) python().setAttribute(receiver, key, value);
    else python().setItem(receiver, index, value);
    return true;
  }

  has(target: unknown, key: string | symbol): boolean {
    if (typeof key === "symbol") return this.#symbol(key, target) !== undefined;
    if (key.charCodeAt(0) === 36) return key in ownNames;
    const index = indexOf(key);
    const proxy = this.proxy;
    return Boolean(
      index === undefined ? python().hasAttribute(proxy, key) : python().hasIndex(proxy, index),
    );
  }

  deleteProperty(_target: unknown, key: string | symbol): boolean {
    if (typeof key === "symbol" || key.charCodeAt(0) === 36) return false;
    const index = indexOf(key);
    if (index === undefined) python().deleteAttribute(this.proxy, key);
    else python().deleteItem(this.proxy, index);
    return true;
  }

  ownKeys(): string[] {
    return python().names(this.proxy) as string[];
  }

  getOwnPropertyDescriptor(_target: unknown, key: string | symbol): PropertyDescriptor | undefined {
    if (typeof key === "symbol" || !this.has(_target, key)) return undefined;
    const { proxy } = this;
    // Nothing is read before it is asked for: Object.keys() wants every descriptor.
    return {
      get: () => this.get(_target, key, proxy),
      set: (value) => void this.set(_target, key, value, proxy),
      enumerable: true,
      configurable: true,
    };
  }

  defineProperty(_target: unknown, key: string | symbol, descriptor: PropertyDescriptor): boolean {
    if (!("value" in descriptor)) return false;
    return this.set(_target, key, descriptor.value, this.proxy);
  }

  preventExtensions(): boolean {
    return false;
  }

  setPrototypeOf(): boolean {
    return false;
  }

  can(bits: number): boolean {
    return (this.abilities & bits) !== 0;
  }

  #own(key: string, receiver: unknown): unknown {
    return ownNames[key]?.(this, receiver);
  }

  #symbol(key: symbol, receiver: unknown): unknown {
    if (key === handleKey) return this;
    return symbolNames.get(key)?.(this, receiver);
  }
}

type Own = (handler: PyHandler, proxy: unknown) => unknown;

/** Ours, with a leading `$`. */
const ownNames: Record<string, Own> = {
  $with: (handler) => (options: WithOptions) => withOptions(handler, options),
  $toJs: (_handler, proxy) => () => python().copy(proxy),
  $view: (handler) => (options?: ViewOptions) => typedView(handler.handle, options),
  $type: (_handler, proxy) => python().typeName(proxy),
  $repr: (_handler, proxy) => () => python().repr(proxy),
  $dispose: (handler) => () => dispose(handler),
  $get: (_handler, proxy) => (key: unknown) => python().getItem(proxy, key),
  $set: (_handler, proxy) => (key: unknown, value: unknown) => python().setItem(proxy, key, value),
  $has: (_handler, proxy) => (key: unknown) => python().contains(proxy, key),
  $delete: (_handler, proxy) => (key: unknown) => python().deleteItem(proxy, key),
  $attr:
    (handler) =>
    (name: string, options: { ref?: boolean } = {}) => {
      if (typeof name !== "string") checkString(name, "the attribute's name");
      checkOptions(options, "$attr", { ref: "boolean" });
      return binding().getAttribute(handler.handle, nameNumber(name), options.ref === true);
    },
};
Object.setPrototypeOf(ownNames, null);

/** Names with a meaning of their own in JavaScript. */
const specialNames: Record<string, Own> = {
  // biome-ignore lint/suspicious/noThenProperty: awaitable objects are thenables
  then: (handler, proxy) =>
    handler.can(abilities.awaitable)
      ? (resolve: (value: unknown) => void, reject: (error: unknown) => void) => {
          (python().awaitIt(proxy) as Promise<unknown>).then(resolve, reject);
        }
      : undefined,
  toJSON: (_handler, proxy) => () => toJson(proxy),
  length: (handler, proxy) => {
    if (python().hasAttribute(proxy, "length") === true) return attribute(handler, "length");
    return handler.can(abilities.sized) ? python().length(proxy) : undefined;
  },
  apply: (handler, proxy) => functionMethod(handler, proxy, "apply"),
  call: (handler, proxy) => functionMethod(handler, proxy, "call"),
  bind: (handler, proxy) => functionMethod(handler, proxy, "bind"),
  toString: (handler: PyHandler, proxy: unknown) =>
    python().hasAttribute(proxy, "toString") === true
      ? attribute(handler, "toString")
      : () => python().string(proxy),
  valueOf: (handler: PyHandler, proxy: unknown) =>
    python().hasAttribute(proxy, "valueOf") === true
      ? attribute(handler, "valueOf")
      : () => primitive(proxy),
};
Object.setPrototypeOf(specialNames, null);

const symbolNames: Map<symbol, Own> = new Map<symbol, Own>([
  [
    Symbol.iterator,
    (handler, proxy) => (handler.can(abilities.iterable) ? () => iterate(proxy) : undefined),
  ],
  [
    Symbol.asyncIterator,
    (handler, proxy) =>
      handler.can(abilities.asyncIterable) ? () => asyncIterate(proxy) : undefined,
  ],
  [
    Symbol.toPrimitive,
    (_handler, proxy) => (hint: string) =>
      hint === "string" ? python().string(proxy) : primitive(proxy),
  ],
  [Symbol.hasInstance, (handler, proxy) => (value: unknown) => isInstance(value, handler, proxy)],
  [Symbol.toStringTag, () => "PyProxy"] as [symbol, Own],
  [inspect.custom, (_handler, proxy) => () => inspectText(proxy)],
]);
symbolNames.set(Symbol.dispose, (handler) => () => dispose(handler));

function attribute(handler: PyHandler, name: string): unknown {
  return binding().getAttribute(handler.handle, nameNumber(name), false);
}

function functionMethod(
  handler: PyHandler,
  proxy: unknown,
  name: "apply" | "call" | "bind",
): unknown {
  if (python().hasAttribute(proxy, name) === true) return attribute(handler, name);
  // The original of `bind` asks for `name`, which Python's functions do not have.
  return name === "bind" ? bindTo(proxy as PyProxy) : Function.prototype[name];
}

function bindTo(proxy: PyProxy): (self: unknown, ...bound: unknown[]) => unknown {
  return (_self, ...bound) =>
    (...args: unknown[]) =>
      proxy(...bound, ...args) as unknown;
}

// What is copied on its way to JavaScript is an instance of no Python class any more.
function isInstance(value: unknown, handler: PyHandler, proxy: unknown): boolean {
  if (!handler.can(abilities.class)) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      "only a Python class can stand on the right of instanceof",
    );
  }
  const isPython = holderOf(value) !== undefined || value instanceof PythonError;
  return isPython && python().isInstance(value, proxy) === true;
}

function primitive(proxy: unknown): unknown {
  const value = python().number(proxy);
  return value === null ? python().string(proxy) : value;
}

function toJson(proxy: unknown): unknown {
  const value = python().copy(proxy);
  if (handleOf(value) !== undefined) {
    throw new ColoopTypeError(
      "ERR_COLOOP_CONVERSION",
      `${String(python().repr(proxy))} cannot be converted to JSON`,
    );
  }
  return value;
}

function dispose(handler: PyHandler): void {
  if (!handler.kept) binding().release(handler.handle);
}

/** Makes the proxy of a Python object; native code calls it. */
export function makeProxy(handle: Handle, bits: number): unknown {
  const handler = new PyHandler(handle, bits);
  const target = base.bind(undefined);
  const proxy: unknown = new Proxy(target, handler);
  handler.proxy = proxy;
  return proxy;
}

/** True if the value is a proxy of a Python object; also of one that is disposed. */
export function isPyProxy(value: unknown): value is PyProxy {
  return holderOf(value) !== undefined;
}
