// The functions that native code calls.

import { makeError, makeOwnError } from "./errors.js";
import { encodeThrown, openScope, perform, release } from "./hosts.js";
import { makeProxy } from "./proxy.js";
import { hostValue } from "./table.js";

/** In the order of `Helper` in native/bridge/helpers.h. */
export const helpers = [
  makeProxy,
  makeError,
  makeOwnError,
  perform,
  encodeThrown,
  hostValue,
  release,
  () => new Map(),
  () => new Set(),
  fill,
  (numbers: Float64Array) => Array.from(numbers),
  setOwn,
  openScope,
  (length: number) => new ArrayBuffer(length),
  (promise: Promise<unknown>) => void promise.catch(() => undefined),
] as readonly ((...args: never[]) => unknown)[];

function fill(container: Map<unknown, unknown> | Set<unknown>, contents: readonly unknown[]): void {
  if (container instanceof Map) {
    for (let i = 0; i < contents.length; i += 2) container.set(contents[i], contents[i + 1]);
  } else {
    for (const item of contents) container.add(item);
  }
}

function setOwn(object: object, key: string, value: unknown): void {
  Object.defineProperty(object, key, {
    value,
    writable: true,
    enumerable: true,
    configurable: true,
  });
}
