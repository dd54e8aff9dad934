// The host loop's Python: start, the synchronous half, events, close and exit.

import { constants as bufferLimits } from "node:buffer";
import { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { isMainThread, threadId } from "node:worker_threads";
import {
  type Binding,
  binding,
  loadBinding,
  noteStarted,
  packageFolder,
  type SandboxPolicy,
  startedInterpreter,
  useBinding,
} from "./binding.js";
import { apart, type Blocked, callers, type WatchdogOptions, warnOf } from "./blocked.js";
import type { CallOptions, RunOptions } from "./call.js";
import { connectChildren } from "./children.js";
import {
  type CloseOptions,
  HostContext,
  type Locals,
  type PythonContext,
  type Start,
} from "./context.js";
import type { Interpreter } from "./discover.js";
import { threadsAbove, watchEnds } from "./ends.js";
import { ColoopTypeError } from "./errors.js";
import { helpers } from "./helpers.js";
import { setMissing } from "./hosts.js";
import {
  checkOwnInterpreter,
  checkSettings,
  chooseInterpreter,
  type Settings,
} from "./interpreter.js";
import type { StreamOptions } from "./iterate.js";
import { connectLibrary, python } from "./library.js";
import { type LoopMetrics, type Metrics, metricsOf } from "./metrics.js";
import { checkGiven, checkOptions, checkString } from "./options.js";
import { forgetNames, type PyProxy } from "./proxy.js";
import { deliverReports, listen, Sandbox, type SandboxOptions, sandboxPolicy } from "./sandbox.js";
import {
  checkMainThread,
  type ShutdownOptions,
  type SignalHandler,
  type SignalOptions,
  Signals,
} from "./signals.js";

/** Options of {@link Python.start}. */
export interface StartOptions {
  /**
   * An interpreter's path, a venv's folder, or a version such as `"3.12"`. Without it: the one that
   * runs in this process, else `COLOOP_PYTHON`, `./.venv`, `VIRTUAL_ENV`, `python3` on PATH.
   */
  python?: string;
  /** Events or groups of docs/sandbox.md that are allowed or denied besides the defaults. */
  sandbox?: SandboxOptions;
  /**
   * What `signal.signal` does in Python. `"refuse"`, the default: it raises and says where to go.
   * `"host"`: the handler is called on the main thread, as in a process of Python's own, also while
   * Python blocks it, and Node.js keeps its own handlers. For scripts written for plain Python.
   */
  signals?: "refuse" | "host";
  /**
   * What a Worker runs Python in. `"shared"`, the default: the main thread's interpreter, with its
   * modules; one thread at a time computes. `"own"`: an interpreter of the Worker's own with a GIL of
   * its own, so that it computes beside the others. It has modules of its own, and takes no extension
   * that was not made for this (numpy among them). Python 3.12 or newer, in a Worker.
   */
  interpreter?: "shared" | "own";
  /**
   * Milliseconds, from 0 to 2147483647, that Python's threads and exit handlers get at the process's
   * end. Default 2000.
   */
  exitGrace?: number;
}

/** An error without a promise, as the loop's exception handler got it. */
export interface LoopError {
  /** What asyncio says of it. */
  readonly message: string;
  /** The exception, if there is one. */
  readonly exception: Error | null;
  /** The handler's whole context: a proxy of the dict. */
  readonly context: PyProxy;
}

/** The events of {@link Python}, emitted on the JavaScript thread that started it. */
export interface PythonEvents {
  /**
   * An error that no promise carries: a callback, a transport, a Task that nobody awaited. Python's own
   * handler, which logs it, has had it by then.
   */
  loopError: [error: LoopError];
  /**
   * Python blocks this thread. The listener is called in the midst of it, so it should be short.
   * Without a listener it is a warning of the process's.
   */
  blocked: [blocked: Blocked];
}

const defaultGrace = 2000;
const defaultCloseTimeout = 2000;

let running: Python | undefined;
let closing: Promise<void> | undefined;
let setUp = false;
let settings: Settings = { interpreter: "shared", signals: "refuse", exitGrace: defaultGrace };

function setUpFor(native: Binding): void {
  native.setup(helpers, bufferLimits.MAX_LENGTH);
  if (setUp) return;
  setUp = true;
  watchEnds(native, (code) => {
    native.exit(settings.exitGrace, code);
    deliverReports(native);
  });
}

/**
 * CPython on the loop of one JavaScript thread: the main thread's, or a Worker's. Made by
 * {@link Python.start}; the synchronous methods run Python to its end before they return.
 */
export class Python extends EventEmitter<PythonEvents> implements PythonContext {
  /** The version of Python, for example `3.12.1`. */
  readonly version: string;
  /** The interpreter that this one is: Python's `sys.executable`. */
  readonly executable: string;
  /** The policy of the process, to be made stricter. */
  readonly sandbox: Sandbox = new Sandbox();
  readonly #start: Start = { closed: false };
  readonly #context: HostContext;
  readonly #signals = new Signals();

  private constructor(interpreter: Interpreter, own: boolean) {
    super();
    if (interpreter === undefined) {
      throw new ColoopTypeError(
        "ERR_COLOOP_ARGUMENT",
        "Python is not made by `new`: use `await Python.start()`",
      );
    }
    // Where the interpreter is shared, a Worker's names are its own.
    const globals = isMainThread || own ? python().mainNamespace() : python().newNamespace();
    this.#context = new HostContext(globals as PyProxy, this.#start);
    this.version = interpreter.version;
    this.executable = interpreter.executable;
  }

  /**
   * Starts Python in this environment, or returns the one that runs; after a `close()` that goes on,
   * when that is done. An option that is left out is what it was at the first start.
   *
   * The first start of a process is on the main thread; a Worker can start its own afterwards, on
   * the same interpreter or in one of its own. An interpreter lives as long as the process.
   *
   * @param options - unknown ones throw
   * @throws ColoopError `ERR_COLOOP_PYTHON_NOT_FOUND`, `ERR_COLOOP_PYTHON_UNSUPPORTED`,
   * `ERR_COLOOP_NO_SHARED_LIBPYTHON`, `ERR_COLOOP_ADDON`: what was tried and what to do;
   * `ERR_COLOOP_OTHER_INTERPRETER` if another interpreter runs, or with other options;
   * `ERR_COLOOP_POLICY` if another policy is in force, or this one is not valid;
   * `ERR_COLOOP_WORKER_FIRST` in a Worker before the main thread; `ERR_COLOOP_OWN_INTERPRETER` if
   * `interpreter: "own"` cannot be had
   */
  static async start(options: StartOptions = {}): Promise<Python> {
    checkOptions(options, "Python.start", {
      python: "string",
      sandbox: "object",
      signals: "signals",
      interpreter: "interpreter",
      exitGrace: "milliseconds",
    });
    const policy = sandboxPolicy(options.sandbox);
    const interpreter = chooseInterpreter(options.python, startedInterpreter());
    if (options.interpreter === "own") checkOwnInterpreter(interpreter);
    while (closing !== undefined) await closing.catch(() => undefined);
    if (running !== undefined) return running.#startAgain(options, policy);
    // What was routed stays so.
    if (settings.signals === "host") checkSettings({ signals: options.signals }, settings);
    const { binding: native, mode } = loadBinding(interpreter);
    setUpFor(native);
    useBinding(native);
    const wanted: Settings = {
      interpreter: options.interpreter ?? settings.interpreter,
      signals: options.signals ?? settings.signals,
      exitGrace: options.exitGrace ?? settings.exitGrace,
    };
    const own = wanted.interpreter === "own";
    try {
      const bridge = native.start({
        executable: interpreter.executable,
        packageFolder,
        deepBind: mode === "isolated",
        mainThread: isMainThread,
        ownInterpreter: own,
        threadId,
        threadsAbove: threadsAbove(),
        exitGrace: wanted.exitGrace,
        ...policy,
      }) as PyProxy;
      settings = wanted;
      noteStarted(interpreter);
      if (settings.signals === "host" && isMainThread) native.routeSignals();
      if (isMainThread) listen(native, options.sandbox?.onEvent);
      connectLibrary(bridge);
      connectChildren(options.sandbox?.subprocess);
      setMissing(bridge.$attr("MISSING", { ref: true }) as PyProxy);
      const handle = new Python(interpreter, own);
      running = handle;
      python().connect(
        native.loop(),
        (message: string, exception: Error | null, context: PyProxy) =>
          handle.#report({ message, exception, context }),
      );
      return handle;
    } catch (error) {
      running = undefined;
      native.close(); // what it has opened before it failed
      throw error;
    }
  }

  #startAgain(options: StartOptions, policy: SandboxPolicy): this {
    checkSettings(options, settings);
    binding().checkSandbox(policy);
    if (options.sandbox?.onEvent !== undefined) listen(binding(), options.sandbox.onEvent);
    connectChildren(options.sandbox?.subprocess);
    return this;
  }

  /**
   * Imports a module: a proxy.
   *
   * @param name - the module's name; submodules by their dotted name
   * @throws PythonError (`ModuleNotFoundError`, or whatever the module raises)
   */
  import(name: string): PyProxy {
    this.#context.checkOpen();
    checkString(name, "the module's name");
    return python().importModule(name) as PyProxy;
  }

  /**
   * Evaluates an expression in the shared namespace, synchronously. Of a coroutine the result is a
   * promise.
   *
   * @typeParam T - the result's type, which is not checked
   * @throws PythonError if Python raises, also `SyntaxError`; `AbortError` and `TimeoutError` as the
   * options say
   */
  evalSync<T = unknown>(expression: string, locals?: Locals, options?: RunOptions): T {
    return this.#context.evalSync<T>(expression, locals, options);
  }

  /**
   * Runs statements in the shared namespace, synchronously.
   *
   * @throws PythonError if Python raises, also `SyntaxError`; `AbortError` and `TimeoutError` as the
   * options say
   */
  execSync(code: string, locals?: Locals, options?: RunOptions): void {
    this.#context.execSync(code, locals, options);
  }

  /**
   * The names that `eval` and `exec` share: on the main thread the module `__main__`. `$dispose()` of
   * it does nothing.
   */
  get globals(): PyProxy {
    return this.#context.globals;
  }

  /** The asyncio loop that runs on Node's: a proxy of the `ErlangEventLoop`. */
  get loop(): PyProxy {
    this.#context.checkOpen();
    return binding().loop() as PyProxy;
  }

  call<T = unknown>(
    module: string,
    name: string,
    args?: readonly unknown[],
    options?: CallOptions,
  ): Promise<T> {
    return this.#context.call<T>(module, name, args, options);
  }

  eval<T = unknown>(expression: string, locals?: Locals, options?: RunOptions): Promise<T> {
    return this.#context.eval<T>(expression, locals, options);
  }

  exec(code: string, locals?: Locals, options?: RunOptions): Promise<void> {
    return this.#context.exec(code, locals, options);
  }

  stream<T = unknown>(
    module: string,
    name: string,
    args?: readonly unknown[],
    options?: StreamOptions,
  ): AsyncIterableIterator<T> {
    return this.#context.stream<T>(module, name, args, options);
  }

  register(name: string, fn: (...args: never[]) => unknown): void {
    this.#context.register(name, fn);
  }

  unregister(name: string): boolean {
    return this.#context.unregister(name);
  }

  namespace(): Promise<PythonContext> {
    return this.#context.namespace();
  }

  /**
   * What the hosted loop does and holds right now, for whoever asks why it is slow: how late its
   * timers are, what waits, how long this thread waited for the GIL. It may be called at any time, also
   * in a function that Python calls; the loop spends next to nothing on it until then.
   *
   * @throws ColoopError `ERR_COLOOP_CLOSED` after `close()`
   */
  metrics(): Metrics {
    this.#context.checkOpen();
    return metricsOf(python().metrics() as LoopMetrics);
  }

  /**
   * Stops what Python does for JavaScript on this thread, or on another one of this process: it gets a
   * `KeyboardInterrupt`, its caller a {@link PythonInterruptedError}. A blocking call is broken off on
   * the main thread; elsewhere the interrupt comes when the call returns.
   *
   * @param options - `threadId`: a Worker's, or 0 for the main thread; this thread's by default, where
   * only a function that Python called can say so
   * @returns whether there was anything to stop; Tasks that wait are not
   */
  interrupt(options: { threadId?: number } = {}): boolean {
    checkOptions(options, "interrupt", { threadId: "count" });
    return binding().interruptThread(options.threadId ?? threadId);
  }

  /**
   * Calls a handler whenever the process gets a signal, besides those of `process.on`. What a Python
   * handler raises goes to the loop's exception handler; an `async def` runs as a Task. `close` removes it.
   *
   * @param name - `"SIGTERM"`, `"SIGHUP"`, …
   * @param handler - gets the signal's name and number
   * @returns a function that removes the handler
   * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` for a name that is no signal's, or one that cannot be
   * handled
   * @throws ColoopError `ERR_COLOOP_ARGUMENT` in a Worker
   */
  onSignal(name: NodeJS.Signals, handler: SignalHandler, options: SignalOptions = {}): () => void {
    return this.#signals.on(name, handler, options);
  }

  /**
   * Ends the process in good order when a signal comes: cancels the Tasks, calls the hooks of
   * {@link Python.onShutdown}, closes Python and exits with the status 128 + the signal's number. After
   * `grace` milliseconds Python that blocks the thread is interrupted and the process ends in any case;
   * so does a second signal.
   *
   * @returns a function that takes it back
   * @throws ColoopError `ERR_COLOOP_ARGUMENT` in a Worker
   */
  shutdownOnSignals(options: ShutdownOptions = {}): () => void {
    return this.#signals.shutdownOn(options, (timeout) => this.close({ timeout }));
  }

  /**
   * Something to do when {@link Python.shutdownOnSignals} ends the process, after the Tasks were
   * cancelled: a JavaScript function or a Python callable, which may be async. All hooks run at once.
   *
   * @returns a function that removes the hook
   */
  onShutdown(hook: (() => unknown) | PyProxy): () => void {
    return this.#signals.onShutdown(hook);
  }

  /**
   * Watches for Python that blocks the JavaScript thread for longer than `limit` milliseconds at a
   * time. It is reported by the event `blocked`, once for each call or callback; with the action
   * `"interrupt"` it gets a `KeyboardInterrupt` besides, again after every `limit`. C code that does not
   * return to Python is reported when it does. A second watchdog replaces the first; `close` ends it.
   *
   * @returns a function that ends it
   * @throws ColoopError `ERR_COLOOP_ARGUMENT` in a Worker
   */
  watchdog(options: WatchdogOptions): () => void {
    this.#context.checkOpen();
    checkMainThread("watchdog");
    checkOptions(options, "watchdog", { limit: "duration", action: "action" });
    checkGiven(options, "watchdog", "limit");
    const native = binding();
    const interrupted = options.action === "interrupt";
    python().watchBlocking((milliseconds: number, pythonStack: string) => {
      const javaScriptStack = callers();
      this.#reportBlocked({ milliseconds, pythonStack, javaScriptStack, interrupted });
    });
    native.watchdog(Math.ceil(options.limit), interrupted);
    return () => {
      if (running !== this) return;
      native.watchdog(0, false);
      python().watchBlocking(null);
    };
  }

  /**
   * Numbers of live objects by kind, for tests and for people who look for a leak. The kinds are not
   * stable.
   */
  counters(): Record<string, number> {
    return binding().counters();
  }

  /**
   * Cancels the Tasks, closes the loop and every proxy. The interpreter lives as long as the process;
   * `Python.start` works again. Promises of Tasks that do not end within the time-out stay pending.
   *
   * @throws ColoopTypeError `ERR_COLOOP_ARGUMENT` for wrong options
   */
  async close(options: CloseOptions = {}): Promise<void> {
    checkOptions(options, "close", { timeout: "milliseconds" });
    if (running !== this) return;
    running = undefined;
    closing = this.#close(options.timeout ?? defaultCloseTimeout).finally(() => {
      closing = undefined;
    });
    await closing;
  }

  async #close(timeout: number): Promise<void> {
    this.#signals.clear();
    await python().cancelAll(timeout / 1000);
    if (isMainThread) python().disconnectChildren("Python was closed");
    this.#start.closed = true;
    connectLibrary(undefined);
    forgetNames();
    if (isMainThread) {
      deliverReports(binding());
      listen(binding(), undefined);
    }
    binding().close();
    // The loop's handles close in Node's close phase, which comes after that of `setImmediate`.
    await turn();
    await turn();
  }

  /** The same as `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #report(error: LoopError): void {
    apart(() => this.emit("loopError", error));
  }

  #reportBlocked(blocked: Blocked): void {
    apart(() => {
      if (!this.emit("blocked", blocked)) warnOf(blocked);
    });
  }
}
