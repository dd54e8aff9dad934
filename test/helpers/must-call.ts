// Callbacks whose calls are counted: checked when the test that made them ends.

import { expect, onTestFinished } from "vitest";

// biome-ignore lint/suspicious/noExplicitAny: parameters are contravariant; no narrower type takes every function
type AnyFunction = (...args: any[]) => unknown;

/** `fn`, which must be called exactly `times` times before the test ends. */
export function mustCall<F extends AnyFunction>(fn: F, times = 1): F {
  let calls = 0;
  const made = new Error(`mustCall was made here`);
  onTestFinished(() => {
    if (calls === times) return;
    throw new Error(`called ${calls} times, not ${times}`, { cause: made });
  });
  const counted = function (this: unknown, ...args: unknown[]): unknown {
    calls += 1;
    return fn.apply(this, args);
  };
  return counted as F;
}

/** A function whose call fails the test at the end, also when its caller swallows the error. */
export function mustNotCall(what = "this function"): (...args: unknown[]) => never {
  const calls: unknown[][] = [];
  onTestFinished(() => {
    expect(calls, `${what} must not be called`).toEqual([]);
  });
  return (...args) => {
    calls.push(args);
    throw new Error(`${what} must not be called`);
  };
}
