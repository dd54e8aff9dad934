// Evaluation and calls on the host loop, in one namespace.

import { type CallOptions, checkFunction, type RunOptions, withOptions } from "./call.js";
import { ColoopTypeError } from "./errors.js";
import { asyncIterate, type StreamOptions } from "./iterate.js";
import { libraryHandle, python } from "./library.js";
import { checkOptions, checkString } from "./options.js";
import { handleOf, isPyProxy, type PyProxy } from "./proxy.js";

/**
 * Variables of `eval` and `exec`: names and values, which the code sees besides the globals and which
 * end with it; or a proxy of a Python dict, which it writes to.
 */
export type Locals = Readonly<Record<string, unknown>> | PyProxy;

/** Options of `close`. */
export interface CloseOptions {
  /** Milliseconds that cancelled Tasks get to finish. Default 2000. */
  timeout?: number;
}

/** One place where Python runs; the same interface wherever that is. */
export interface PythonContext extends AsyncDisposable {
  /**
   * Calls a function of a module and awaits its result.
   *
   * @throws PythonError if Python raises, AbortError and TimeoutError as the options say
   */
  call<T = unknown>(
    module: string,
    name: string,
    args?: readonly unknown[],
    options?: CallOptions,
  ): Promise<T>;
  /** Evaluates an expression; top-level `await` is allowed. */
  eval<T = unknown>(expression: string, locals?: Locals, options?: RunOptions): Promise<T>;
  /** Runs statements; top-level `await` is allowed. */
  exec(code: string, locals?: Locals, options?: RunOptions): Promise<void>;
  /** Iterates what an async generator function of a module yields. */
  stream<T = unknown>(
    module: string,
    name: string,
    args?: readonly unknown[],
    options?: StreamOptions,
  ): AsyncIterableIterator<T>;
  /**
   * Makes a JavaScript function known to Python: `from coloop import name`.
   *
   * @throws PythonError (ValueError) for a name that is no identifier or that the module has itself
   */
  register(name: string, fn: (...args: never[]) => unknown): void;
  /** Forgets a registered function; false if the name was not known. */
  unregister(name: string): boolean;
  /** A context with globals of its own in the same place. */
  namespace(): Promise<PythonContext>;
  /** Ends the context. */
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

/** Finds `module.name` as a proxy, whatever it is. */
function functionOf(module: string, name: string): PyProxy {
  checkString(module, "the module");
  checkString(name, "the function's name");
  const imported = python().importModule(module) as PyProxy;
  return imported.$attr(name, { ref: true }) as PyProxy;
}

/** Python on the host loop with one set of globals. */
export class HostContext implements PythonContext {
  /** The module whose names are the globals. */
  readonly globals: PyProxy;

  constructor(globals: PyProxy) {
    this.globals = globals;
  }

  async call<T = unknown>(
    module: string,
    name: string,
    args: readonly unknown[] = [],
    options: CallOptions = {},
  ): Promise<T> {
    checkArgs(args);
    checkOptions(options, "call", { kwargs: "object", signal: "signal", timeout: "milliseconds" });
    const handle = handleOf(functionOf(module, name)) as number;
    return (await withOptions(handle, options)(...args)) as T;
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
    checkArgs(args);
    const iterable = functionOf(module, name)(...args) as unknown;
    return asyncIterate(iterable, options) as AsyncIterableIterator<T>;
  }

  register(name: string, fn: (...args: never[]) => unknown): void {
    checkString(name, "the name");
    checkFunction(fn, `the function registered as ${JSON.stringify(name)}`);
    python().register(name, fn);
  }

  unregister(name: string): boolean {
    checkString(name, "the name");
    return python().unregister(name) as boolean;
  }

  async namespace(): Promise<PythonContext> {
    return new HostContext(python().newNamespace() as PyProxy);
  }

  async close(_options?: CloseOptions): Promise<void> {
    this.globals.$dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Evaluates an expression and waits for nothing: what cannot be copied comes as a proxy. */
  evalSync<T = unknown>(expression: string, locals?: Locals): T {
    checkString(expression, "the expression");
    checkLocals(locals);
    return python().evaluate(expression, locals ?? null, this.globals, isPyProxy(locals)) as T;
  }

  /** Runs statements. */
  execSync(code: string, locals?: Locals): void {
    if (typeof code !== "string") checkString(code, "the code");
    checkLocals(locals);
    python().execute(code, locals ?? null, this.globals, isPyProxy(locals));
  }

  #run(
    name: "evaluateAsync" | "executeAsync",
    code: string,
    locals: Locals | undefined,
    options: RunOptions = {},
  ): unknown {
    checkLocals(locals);
    checkOptions(options, "eval and exec", { signal: "signal", timeout: "milliseconds" });
    const run = withOptions(libraryHandle(name), options);
    return run(code, locals ?? null, this.globals, isPyProxy(locals));
  }
}
