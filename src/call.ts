// Calls with more than positional arguments, and how they end early.

import { binding, type Handle } from "./binding.js";
import { Encoder, encodeAll, Thrown } from "./encode.js";
import { AbortError, ColoopTypeError, PythonAbortError, TimeoutError } from "./errors.js";
import { isKeywords } from "./kw.js";
import { python } from "./library.js";
import { checkOptions } from "./options.js";

/**
 * How a call of an `async def` may be ended early. Neither option stops Python that computes without an
 * `await`; a function that is no `async def` has ended by the time that they could.
 */
export interface RunOptions {
  /**
   * Cancels the Task; the promise rejects at once with an {@link AbortError}. With a signal that is
   * aborted already Python is not called.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds, from 0 to 2147483647, after which the Task is cancelled and the promise rejects with
   * a {@link TimeoutError}. The timer alone does not keep the process alive.
   */
  timeout?: number;
}

/** Options of {@link PythonContext.call}. */
export interface CallOptions extends RunOptions {
  /** Keyword arguments. */
  kwargs?: Readonly<Record<string, unknown>>;
}

/** Options of {@link PyProxy.$with}. */
export interface WithOptions extends CallOptions {
  /** The result crosses as a proxy, whatever it is: a list is then Python's own. Default false. */
  ref?: boolean;
}

/**
 * Calls a Python object with keyword arguments, a signal, a time-out, or a result by reference; `names`
 * are what errors call the arguments.
 */
export function withOptions(
  handle: Handle,
  options: WithOptions,
  names: readonly string[] = [],
): (...args: unknown[]) => unknown {
  checkOptions(options, "$with", {
    kwargs: "object",
    signal: "signal",
    timeout: "milliseconds",
    ref: "boolean",
  });
  return (...given) => {
    const last = given.at(-1);
    const args = isKeywords(last) ? given.slice(0, -1) : given;
    const kwargs = isKeywords(last)
      ? { ...options.kwargs, ...last.kwargs }
      : (options.kwargs ?? {});
    if (options.signal?.aborted === true) return Promise.reject(abortError(options.signal));
    const native = binding();
    const encoder = new Encoder();
    const encoded = encodeAll(encoder, args, names);
    const keywords = Object.keys(kwargs);
    const values = keywords.map((name) => encoder.encode(kwargs[name], "kwargs", name));
    let result: [value: unknown, task?: unknown];
    try {
      result = native.callWith(handle, encoded, keywords, values, options.ref === true, names);
    } catch (error) {
      encoder.drop();
      throw error;
    }
    const [value, task] = result;
    return task === undefined ? value : endEarly(value as Promise<unknown>, task, options);
  };
}

// One listener for each signal: Node warns of a leak when an AbortSignal has more than ten.
const abortListeners = new WeakMap<AbortSignal, Set<() => void>>();

function onAbort(signal: AbortSignal, listener: () => void): void {
  let listeners = abortListeners.get(signal);
  if (listeners === undefined) {
    const added = new Set<() => void>();
    listeners = added;
    abortListeners.set(signal, added);
    signal.addEventListener("abort", () => added.forEach((each) => void each()), { once: true });
  }
  listeners.add(listener);
}

function offAbort(signal: AbortSignal, listener: () => void): void {
  abortListeners.get(signal)?.delete(listener);
}

function abortError(signal: AbortSignal): AbortError {
  return new AbortError("The operation was aborted", { cause: signal.reason });
}

/**
 * A promise that rejects as soon as the signal or the time-out says so, whatever the Task makes of its
 * cancellation; what the Task raises afterwards goes to the loop's exception handler.
 */
export function endEarly(
  promise: Promise<unknown>,
  task: unknown,
  options: RunOptions,
): Promise<unknown> {
  const { signal, timeout } = options;
  if (signal === undefined && timeout === undefined) return promise;
  return new Promise((resolve, reject) => {
    let ended = false;
    let timer: NodeJS.Timeout | undefined;
    const finish = (): void => {
      ended = true;
      if (signal !== undefined) offAbort(signal, aborted);
      clearTimeout(timer);
    };
    const cancelWith = (error: Error): void => {
      finish();
      reject(error);
      python().cancel(task);
    };
    const aborted = (): void => cancelWith(abortError(signal as AbortSignal));
    if (signal !== undefined) onAbort(signal, aborted);
    if (timeout !== undefined) {
      timer = setTimeout(
        () =>
          cancelWith(new TimeoutError(`the call took longer than its time-out of ${timeout} ms`)),
        timeout,
      );
      timer.unref();
    }
    promise.then(
      (value) => {
        if (ended) return;
        finish();
        resolve(value);
      },
      (error: unknown) => {
        if (!ended) {
          finish();
          reject(error);
        } else if (!(error instanceof PythonAbortError)) {
          python().reportLate(new Thrown(error), task);
        }
      },
    );
  });
}

/** Checks that a value is a function that can be called from Python. */
export function checkFunction(
  value: unknown,
  what: string,
): asserts value is (...args: never[]) => unknown {
  if (typeof value !== "function") {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `${what} must be a function, not ${value === null ? "null" : typeof value}`,
    );
  }
}
