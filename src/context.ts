// Evaluation and calls on the host loop, in one namespace.

import { threadId } from "node:worker_threads";
import { binding } from "./binding.js";
import {
  type CallOptions,
  checkFunction,
  type RunOptions,
  throwIfAborted,
  withOptions,
} from "./call.js";
import { ColoopError, ColoopTypeError } from "./errors.js";
import { handleOf, setKept } from "./handle.js";
import { asyncIterate, type StreamOptions } from "./iterate.js";
import { closedError, libraryFunction, python } from "./library.js";
import { checkOptions, checkString } from "./options.js";
import { isPyProxy, type PyProxy } from "./proxy.js";

/**
 * Variables of `eval` and `exec`: names and values, which the code sees besides the globals. They end
 * with the code, and so does what it assigns. Or a proxy of a Python dict: what the code assigns is in
 * it afterwards.
 */
export type Locals = Readonly<Record<string, unknown>> | PyProxy;

/** Options of {@link PythonContext.close}. */
export interface CloseOptions {
  /** Milliseconds, from 0 to 2147483647, that cancelled Tasks get to finish. Default 2000. */
  timeout?: number;
}

/**
 * One place where Python runs; the same interface wherever that is.
 *
 * Everything here is used on the JavaScript thread that started it (the main thread or a Worker), where
 * Python runs as well: what computes there blocks JavaScript. What Python raises is a
 * {@link PythonError}; a wrong argument is a {@link ColoopTypeError} with the code
 * `ERR_COLOOP_ARGUMENT`, a value that cannot cross one with `ERR_COLOOP_CONVERSION`; use after `close`
 * is a {@link ColoopError} with `ERR_COLOOP_CLOSED`. Methods that return a promise reject with these
 * errors.
 */
export interface PythonContext extends AsyncDisposable {
  /**
   * Imports a module, calls a function of it, and awaits the result if that is awaitable.
   *
   * @typeParam T - the result's type, which is not checked
   * @param module - the module's dotted name
   * @param name - the function, class or other callable of the module
   * @param args - the positional arguments
   * @param options - keyword arguments, and how the call may end early
   * @throws PythonError if Python raises, `AbortError` and `TimeoutError` as the options say
   * @example
   * ```ts
   * import { Python } from "coloop";
   *
   * const py = await Python.start();
   * console.log(await py.call<number>("math", "hypot", [3, 4])); // 5
   * await py.close();
   * ```
   */
  call<T = unknown>(
    module: string,
    name: string,
    args?: readonly unknown[],
    options?: CallOptions,
  ): Promise<T>;
  /**
   * Evaluates an expression; `await` is allowed in it.
   *
   * @typeParam T - the result's type, which is not checked
   * @param expression - Python source
   * @param locals - variables that it sees besides the globals
   * @throws PythonError if Python raises (also `SyntaxError`), `AbortError` and `TimeoutError` as the
   * options say
   */
  eval<T = unknown>(expression: string, locals?: Locals, options?: RunOptions): Promise<T>;
  /**
   * Runs statements; top-level `await` is allowed. What they assign stays in the globals, unless there
   * are locals.
   *
   * @param code - Python source
   * @param locals - variables that it sees besides the globals
   * @throws PythonError if Python raises (also `SyntaxError`), `AbortError` and `TimeoutError` as the
   * options say
   */
  exec(code: string, locals?: Locals, options?: RunOptions): Promise<void>;
  /**
   * Iterates what an async generator function of a module yields. The generator is closed when the loop
   * is left early, and goes on no further than the read-ahead while nobody asks for items.
   *
   * @typeParam T - the items' type, which is not checked
   * @param module - the module's dotted name
   * @param name - a function of the module that returns an async iterable
   * @param args - the positional arguments
   * @throws PythonError if the call raises; what the generator raises rejects the promise of `next()`
   */
  stream<T = unknown>(
    module: string,
    name: string,
    args?: readonly unknown[],
    options?: StreamOptions,
  ): AsyncIterableIterator<T>;
  /**
   * Makes a JavaScript function known to Python: `from coloop import name`, or
   * `coloop.call("name", …)`. Python may call it from any thread; it runs on this one, and that thread
   * waits. A function of the same name is replaced.
   *
   * @param name - a Python identifier
   * @param fn - its arguments and result cross as everywhere; if it returns a promise, Python can await
   * it
   * @throws PythonError (ValueError) for a name that is no identifier or that the module has itself
   */
  register(name: string, fn: (...args: never[]) => unknown): void;
  /** Forgets a registered function; false if the name was not known. */
  unregister(name: string): boolean;
  /**
   * A context with globals of its own in the same place; modules and registered functions are shared.
   * Its `close` lets go of the globals only.
   */
  namespace(): Promise<PythonContext>;
  /**
   * Stops what Python does for JavaScript here now: it gets a `KeyboardInterrupt`, its caller a
   * {@link PythonInterruptedError}. JavaScript of this thread can say so only in a function that Python
   * called.
   *
   * @returns whether there was anything to stop; Tasks that wait are not
   */
  interrupt(): boolean;
  /**
   * Ends the context. Closing twice does nothing.
   *
   * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` for wrong options
   */
  close(options?: CloseOptions): Promise<void>;
}

function checkArgs(args: unknown): void {
  if (!Array.isArray(args)) {
    throw new ColoopTypeError("ERR_COLOOP_ARGUMENT", "the arguments must be an array");
  }
}

function checkLocals(locals: unknown): void {
  const isObject = typeof locals === "object" && locals !== null && !Array.isArray(locals);
  if (locals !== undefined && !isObject && !isPyProxy(locals)) {
    throw new ColoopTypeError(
      "ERR_COLOOP_ARGUMENT",
      "the locals must be an object of names and values, or a proxy of a Python dict",
    );
  }
}

/** Finds `module.name`, which must be a proxy: only that can be called. */
function functionOf(module: string, name: string): PyProxy {
  checkString(module, "the module");
  checkString(name, "the function's name");
  const imported = python().importModule(module) as PyProxy;
  const found = imported.$attr(name, { ref: true });
  if (isPyProxy(found)) return found;
  throw new ColoopTypeError(
    "ERR_COLOOP_ARGUMENT",
    `${module}.${name} is no function of Python's; import(${JSON.stringify(module)}) reads it`,
  );
}

/** One start of Python, up to its close. */
export interface Start {
  closed: boolean;
}

/** Python on the host loop with one set of globals. */
export class HostContext implements PythonContext {
  /** The module whose names are the globals. */
  readonly globals: PyProxy;
  readonly #start: Start;
  #closed = false;

  constructor(globals: PyProxy, start: Start) {
    this.globals = globals;
    this.#start = start;
    setKept(globals, true);
  }

  async call<T = unknown>(
    module: string,
    name: string,
    args: readonly unknown[] = [],
    options: CallOptions = {},
  ): Promise<T> {
    this.checkOpen();
    checkArgs(args);
    checkOptions(options, "call", { kwargs: "object", signal: "signal", timeout: "milliseconds" });
    const handle = handleOf(functionOf(module, name)) as number;
    return (await withOptions({ handle }, options)(...args)) as T;
  }

  async eval<T = unknown>(expression: string, locals?: Locals, options?: RunOptions): Promise<T> {
    checkString(expression, "the expression");
    return (await this.#run("evaluateAsync", expression, locals, options)) as T;
  }

  async exec(code: string, locals?: Locals, options?: RunOptions): Promise<void> {
    if (typeof code !== "string") checkString(code, "the code");
    await this.#run("executeAsync", code, locals, options);
  }

  stream<T = unknown>(
    module: string,
    name: string,
    args: readonly unknown[] = [],
    options: StreamOptions = {},
  ): AsyncIterableIterator<T> {
    this.checkOpen();
    checkArgs(args);
    const iterable = functionOf(module, name)(...args) as unknown;
    return asyncIterate(iterable, options) as AsyncIterableIterator<T>;
  }

  register(name: string, fn: (...args: never[]) => unknown): void {
    this.checkOpen();
    checkString(name, "the name");
    checkFunction(fn, `the function registered as ${JSON.stringify(name)}`);
    python().register(name, fn);
  }

  unregister(name: string): boolean {
    this.checkOpen();
    checkString(name, "the name");
    return python().unregister(name) as boolean;
  }

  async namespace(): Promise<PythonContext> {
    this.checkOpen();
    return new HostContext(python().newNamespace() as PyProxy, this.#start);
  }

  interrupt(): boolean {
    return binding().interruptThread(threadId);
  }

  async close(options: CloseOptions = {}): Promise<void> {
    checkOptions(options, "close", { timeout: "milliseconds" });
    this.#closed = true;
    setKept(this.globals, false);
    this.globals.$dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Evaluates an expression and waits for nothing: what cannot be copied comes as a proxy. */
  evalSync<T = unknown>(expression: string, locals?: Locals, options?: RunOptions): T {
    checkString(expression, "the expression");
    return this.#runSync("evaluate", expression, locals, options) as T;
  }

  /** Runs statements. */
  execSync(code: string, locals?: Locals, options?: RunOptions): void {
    if (typeof code !== "string") checkString(code, "the code");
    this.#runSync("execute", code, locals, options);
  }

  #runSync(
    name: "evaluate" | "execute",
    code: string,
    locals: Locals | undefined,
    options: RunOptions | undefined,
  ): unknown {
    this.checkOpen();
    checkLocals(locals);
    const args = [code, locals ?? null, this.globals, isPyProxy(locals)];
    if (options === undefined) return python()[name](...args);
    checkOptions(options, "evalSync and execSync", { signal: "signal", timeout: "milliseconds" });
    throwIfAborted(options);
    const [handle, names] = libraryFunction(name);
    return withOptions({ handle }, options, names)(...args);
  }

  #run(
    name: "evaluateAsync" | "executeAsync",
    code: string,
    locals: Locals | undefined,
    options: RunOptions = {},
  ): unknown {
    this.checkOpen();
    checkLocals(locals);
    checkOptions(options, "eval and exec", { signal: "signal", timeout: "milliseconds" });
    const [handle, names] = libraryFunction(name);
    const run = withOptions({ handle }, options, names);
    return run(code, locals ?? null, this.globals, isPyProxy(locals));
  }

  /** Throws unless this start of Python goes on. */
  checkOpen(): void {
    if (this.#start.closed) throw closedError();
    if (!this.#closed) return;
    throw new ColoopError(
      "ERR_COLOOP_CLOSED",
      "this namespace is closed; py.namespace() makes another",
    );
  }
}
