// Calls with more than positional arguments, and how they end early.

import { binding, type Handle } from "./binding.js";
import { Encoder, encodeAll, Thrown } from "./encode.js";
import {
  AbortError,
  ColoopError,
  ColoopTypeError,
  PythonAbortError,
  PythonInterruptedError,
  TimeoutError,
} from "./errors.js";
import { isKeywords } from "./kw.js";
import { python } from "./library.js";
import { checkOptions } from "./options.js";

/**
 * How a call may be ended early. A Task is cancelled at its `await`; Python that computes or waits in a
 * blocking call gets a `KeyboardInterrupt`, and another one if it goes on. What C code does without
 * looking for interrupts goes on until it returns to Python.
 */
export interface RunOptions {
  /**
   * Ends the call with an {@link AbortError}; a promise rejects at once. With a signal that is aborted
   * already Python is not called. A thread that Python blocks gets no events: there it takes a
   * JavaScript function that Python calls, or a `timeout`.
   */
  signal?: AbortSignal;
  /**
   * Milliseconds, from 0 to 2147483647, after which the call ends with a {@link TimeoutError}, whatever
   * Python returns later. The timer alone does not keep the process alive.
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
 * are what errors call the arguments. The function keeps the proxy alive that `callee` belongs to.
 */
export function withOptions(
  callee: { readonly handle: Handle },
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
    const encoder = new Encoder();
    const encoded = encodeAll(encoder, args, names);
    const keywords = Object.keys(kwargs);
    const values = keywords.map((name) => encoder.encode(kwargs[name], "kwargs", name));
    const limits = hasLimits(options) ? new Limits(options) : undefined;
    let result: [value: unknown, task?: unknown];
    try {
      const byReference = options.ref === true;
      const { watch } = limits ?? {};
      result = binding().callWith(
        callee.handle,
        encoded,
        keywords,
        values,
        byReference,
        names,
        watch,
      );
    } catch (error) {
      encoder.drop();
      throw limits?.end(error) ?? error;
    }
    const [value, task] = result;
    if (limits === undefined) return value;
    if (task !== undefined) return endEarly(value as Promise<unknown>, task, limits);
    const early = limits.end();
    if (early === undefined) return value;
    if (!(value instanceof Promise)) throw early;
    // A Task that was interrupted before it waited for anything.
    return value.then(
      () => Promise.reject(early),
      (error: unknown) => Promise.reject(limits.error(error)),
    );
  };
}

function hasLimits({ signal, timeout }: RunOptions): boolean {
  return signal !== undefined || timeout !== undefined;
}

/** Throws if the signal is aborted already: Python is not called then. */
export function throwIfAborted({ signal }: RunOptions): void {
  if (signal?.aborted === true) throw abortError(signal);
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

const due = 1;
const interrupted = 2;
/** Milliseconds; above what an interrupt takes on any thread. */
const tellableDelay = 100;

/** What ends one call early: its native watch, its signal, its time-out. */
class Limits {
  readonly watch: number;
  readonly #signal: AbortSignal | undefined;
  readonly #timeout: number | undefined;
  readonly #start = performance.now();
  #onAbort: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor({ signal, timeout }: RunOptions) {
    this.#signal = signal;
    this.#timeout = timeout;
    this.watch = binding().watch(timeout ?? -1);
    this.#onAbort = () => binding().interruptWatch(this.watch);
    if (signal !== undefined) onAbort(signal, this.#onAbort);
  }

  /** The Task waits: from now on `ended` is called when the signal or the timer says so. */
  waitWith(ended: (error: Error) => void): void {
    const { signal, timeout } = { signal: this.#signal, timeout: this.#timeout };
    if (signal?.aborted === true) {
      ended(this.error());
      return;
    }
    if (signal !== undefined) {
      offAbort(signal, this.#onAbort);
      this.#onAbort = () => ended(this.error());
      onAbort(signal, this.#onAbort);
    }
    if (timeout !== undefined) {
      const left = Math.max(0, timeout - (performance.now() - this.#start));
      this.#timer = setTimeout(() => ended(this.error()), left);
      this.#timer.unref();
    }
  }

  /** The call is over; the error that takes the place of its result, if it came too late. */
  end(cause?: unknown): Error | undefined {
    return (this.#finish() & due) === 0 ? undefined : this.error(cause);
  }

  /** The Task is over; the same, but only if Python was interrupted. */
  endTask(cause?: unknown): Error | undefined {
    return (this.#finish() & interrupted) === 0 ? undefined : this.error(cause);
  }

  #finish(): number {
    clearTimeout(this.#timer);
    if (this.#signal !== undefined) offAbort(this.#signal, this.#onAbort);
    return binding().unwatch(this.watch);
  }

  /** What the caller gets. */
  error(cause?: unknown): Error {
    if (this.#signal?.aborted === true) return abortError(this.#signal);
    const took = performance.now() - this.#start;
    // Native code that does not return cannot be interrupted, and who waits for it is to know.
    const late = took - (this.#timeout ?? 0) > tellableDelay;
    return new TimeoutError(
      `the call took longer than its time-out of ${this.#timeout} ms${late ? `, and could be ended only after ${Math.round(took)} ms` : ""}`,
      cause === undefined ? undefined : { cause },
    );
  }
}

/**
 * For what nobody called: an interrupt that hits it is not told, and what it broke is done again. Where Python is
 * closed there is nothing left to do.
 */
function despiteInterrupts(act: () => unknown, times: number): void {
  for (let i = 0; i < times; i++) {
    try {
      act();
      return;
    } catch (error) {
      if (error instanceof ColoopError && error.code === "ERR_COLOOP_CLOSED") return;
      if (!(error instanceof PythonInterruptedError)) throw error;
    }
  }
}

/**
 * A promise that rejects as soon as the signal or the time-out says so, whatever the Task makes of its
 * cancellation; what the Task raises afterwards goes to the loop's exception handler.
 */
function endEarly(promise: Promise<unknown>, task: unknown, limits: Limits): Promise<unknown> {
  return new Promise((resolve, reject) => {
    let ended = false;
    let interrupted = false;
    limits.waitWith((error) => {
      ended = true;
      interrupted = limits.endTask() !== undefined;
      reject(error);
      despiteInterrupts(() => python().cancel(task), 3);
    });
    promise.then(
      (value) => {
        if (ended) return;
        const early = limits.endTask();
        if (early === undefined) resolve(value);
        else reject(early);
      },
      (error: unknown) => {
        if (!ended) {
          reject(limits.endTask(error) ?? error);
        } else if (
          !(error instanceof PythonAbortError) &&
          !(interrupted && error instanceof PythonInterruptedError)
        ) {
          despiteInterrupts(() => python().reportLate(new Thrown(error), task), 1);
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
