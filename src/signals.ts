// Signals: handlers in either language, and an orderly end of the process.

import { constants } from "node:os";
import { inspect } from "node:util";
import { isMainThread } from "node:worker_threads";
import { binding } from "./binding.js";
import { checkFunction } from "./call.js";
import { ColoopError, ColoopTypeError } from "./errors.js";
import { python } from "./library.js";
import { checkOptions } from "./options.js";
import { isPyProxy, type PyProxy } from "./proxy.js";

/**
 * What a signal calls, with its name and number: a JavaScript function, or a Python callable, which is
 * a function to TypeScript.
 */
export type SignalHandler = (signal: NodeJS.Signals, number: number) => unknown;

/** Options of {@link Python.onSignal}. */
export interface SignalOptions {
  /**
   * Python that blocks the JavaScript thread when the signal comes gets a `KeyboardInterrupt`; the
   * handler is called when it has ended. Default false: the handler is called when Python returns.
   */
  interrupt?: boolean;
}

/** Options of {@link Python.shutdownOnSignals}. */
export interface ShutdownOptions {
  /** The signals. Default SIGINT and SIGTERM. */
  signals?: readonly NodeJS.Signals[];
  /** Milliseconds, from 0 to 2147483647, until the process ends in any case. Default 5000. */
  grace?: number;
}

const defaultSignals: readonly NodeJS.Signals[] = ["SIGINT", "SIGTERM"];
const defaultGrace = 5000;
const uncatchable = new Set(["SIGKILL", "SIGSTOP"]);

function numberOf(name: unknown): number {
  const number =
    typeof name === "string" && Object.hasOwn(constants.signals, name)
      ? constants.signals[name as NodeJS.Signals]
      : undefined;
  if (number === undefined || uncatchable.has(name as string)) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      `${JSON.stringify(name)} is no signal that can be handled; write its name, such as "SIGTERM"`,
    );
  }
  return number;
}

/** Whatever was thrown: the end goes on. */
function warnOfHook(reason: unknown): void {
  try {
    process.emitWarning(
      reason instanceof Error ? reason : `an onShutdown hook threw ${inspect(reason)}`,
    );
  } catch {
    process.emitWarning("an onShutdown hook threw something that cannot be shown");
  }
}

/** Throws in a Worker. */
export function checkMainThread(what: string): void {
  if (isMainThread) return;
  throw new ColoopError(
    "ERR_COLOOP_ARGUMENT",
    `${what} works on the main thread only, where the process gets its signals`,
  );
}

/** The handlers of one Python, which end with it. */
export class Signals {
  readonly #removers = new Set<() => void>();
  readonly #hooks = new Set<() => unknown>();
  #shuttingDown = false;

  on(name: NodeJS.Signals, handler: SignalHandler, options: SignalOptions): () => void {
    checkMainThread("onSignal");
    const number = numberOf(name);
    if (!isPyProxy(handler)) checkFunction(handler, "the handler");
    checkOptions(options, "onSignal", { interrupt: "boolean" });
    const remove = this.#listen(name, () => {
      if (isPyProxy(handler)) void python().handleSignal(handler, name, number);
      else void handler(name, number);
    });
    if (options.interrupt !== true) return remove;
    const native = binding();
    const request = native.interruptOnSignal(number);
    return this.#remover(() => {
      native.forgetSignal(request);
      remove();
    });
  }

  onShutdown(hook: (() => unknown) | PyProxy): () => void {
    checkFunction(hook, "the hook");
    const call = (): unknown => (hook as () => unknown)();
    this.#hooks.add(call);
    return () => this.#hooks.delete(call);
  }

  shutdownOn(options: ShutdownOptions, close: (timeout: number) => Promise<void>): () => void {
    checkMainThread("shutdownOnSignals");
    checkOptions(options, "shutdownOnSignals", { signals: "strings", grace: "milliseconds" });
    const { signals = defaultSignals, grace = defaultGrace } = options;
    const numbers = signals.map(numberOf);
    const native = binding();
    const removers = signals.map((name, i) =>
      this.#listen(name, () => void this.#shutDown(numbers[i] as number, grace, close)),
    );
    const requests = numbers.map((number) => native.endOnSignal(number, grace));
    const onExit = (): void => native.exitBegins();
    process.prependListener("exit", onExit);
    return this.#remover(() => {
      for (const request of requests) native.forgetSignal(request);
      process.off("exit", onExit);
      for (const remove of removers) remove();
    });
  }

  /** Removes every handler. */
  clear(): void {
    if (this.#shuttingDown) return; // the second signal ends the process
    for (const remove of [...this.#removers]) remove();
    this.#hooks.clear();
  }

  #listen(name: NodeJS.Signals, listener: () => void): () => void {
    process.on(name, listener);
    return this.#remover(() => process.off(name, listener));
  }

  #remover(remove: () => void): () => void {
    const once = (): void => {
      if (this.#removers.delete(once)) remove();
    };
    this.#removers.add(once);
    return once;
  }

  async #shutDown(
    number: number,
    grace: number,
    close: (timeout: number) => Promise<void>,
  ): Promise<void> {
    const end = (): never => process.exit(128 + number);
    if (this.#shuttingDown) end();
    this.#shuttingDown = true;
    // Python may have held the thread for a while.
    const deadline = performance.now() + grace - binding().sinceSignal(number);
    const left = (): number => Math.max(0, deadline - performance.now());
    setTimeout(end, left());
    try {
      await python().cancelTasks(left() / 1000);
      const hooks = [...this.#hooks].map(async (hook) => hook());
      for (const outcome of await Promise.allSettled(hooks)) {
        if (outcome.status === "rejected") warnOfHook(outcome.reason);
      }
      await close(left());
    } finally {
      end();
    }
  }
}
