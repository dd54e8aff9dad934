// Every error of ours: one table of codes, few classes. An error is recognised by its `code`, which
// survives two copies of the package.

/** The stable codes of coloop's errors and what each says; docs/guide/errors.md shows them. */
export const errorCodes = {
  ERR_COLOOP_ABORTED: "the operation was aborted or its Task cancelled",
  ERR_COLOOP_ADDON: "the native addon could not be loaded",
  ERR_COLOOP_ARGUMENT: "an argument or option is of the wrong type or unknown",
  ERR_COLOOP_CLOSED: "Python is closed in this environment",
  ERR_COLOOP_CONVERSION: "a value cannot cross between JavaScript and Python",
  ERR_COLOOP_DISPOSED: "a proxy is used after it was disposed",
  ERR_COLOOP_DLOPEN: "libpython could not be loaded",
  ERR_COLOOP_EXITED: "the process is exiting",
  ERR_COLOOP_INTERRUPTED: "Python was interrupted",
  ERR_COLOOP_NO_SHARED_LIBPYTHON: "the interpreter has no shared libpython",
  ERR_COLOOP_OTHER_INTERPRETER: "another interpreter or another configuration runs already",
  ERR_COLOOP_OWN_INTERPRETER: "an interpreter of its own cannot be had here",
  ERR_COLOOP_POLICY: "the sandbox policy is not valid, or another one is in force",
  ERR_COLOOP_PYTHON: "Python raised an exception",
  ERR_COLOOP_PYTHON_BROKEN: "the interpreter does not start",
  ERR_COLOOP_PYTHON_NOT_FOUND: "no Python interpreter was found",
  ERR_COLOOP_PYTHON_UNSUPPORTED: "the interpreter is of an unsupported version or kind",
  ERR_COLOOP_READ_ONLY: "a view of read-only memory was asked for",
  ERR_COLOOP_STACK: "too little stack is left to run Python, or to tell of an error",
  ERR_COLOOP_START: "Python did not start",
  ERR_COLOOP_TIMEOUT: "the operation took longer than its time-out",
  ERR_COLOOP_WORKER_FIRST: "a Worker used Python before the main thread started it",
} as const;

/**
 * A stable error code; docs/guide/errors.md lists what each says. Compare `error.code` with it, not
 * classes or messages: it stays the same when a program holds two copies of the package.
 */
export type ErrorCode = keyof typeof errorCodes;

/** An error of coloop itself: Python does not start, is closed, or ends. */
export class ColoopError extends Error {
  /** The stable code. */
  readonly code: ErrorCode;

  /** @internal */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ColoopError";
    this.code = code;
  }
}

/**
 * A value or an argument that cannot be used: a `TypeError` with the code `ERR_COLOOP_ARGUMENT`,
 * `ERR_COLOOP_CONVERSION`, `ERR_COLOOP_DISPOSED` or `ERR_COLOOP_READ_ONLY`. Python has not been called
 * then.
 */
export class ColoopTypeError extends TypeError {
  /** The stable code. */
  readonly code: ErrorCode;

  /** @internal */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

const typeErrorCodes = new Set<string>([
  "ERR_COLOOP_ARGUMENT",
  "ERR_COLOOP_CONVERSION",
  "ERR_COLOOP_DISPOSED",
  "ERR_COLOOP_READ_ONLY",
]);

/** The error object for a code and a message that native code gives. */
export function makeOwnError(code: ErrorCode, message: string): Error {
  return typeErrorCodes.has(code)
    ? new ColoopTypeError(code, message)
    : new ColoopError(code, message);
}

/** One frame of a Python traceback. */
export interface PythonFrame {
  /** The file's name; `<coloop>` for the code of `eval` and `exec`. */
  readonly file: string;
  /** The number of the line, from 1. */
  readonly line: number;
  /** The function's name; `<module>` outside of functions. */
  readonly function: string;
  /** The line of source without its indentation; null if it cannot be read. */
  readonly source: string | null;
}

/** What JavaScript threw before, or what Python tells of an exception of its own. */
export type Described = [fromJavaScript: true, value: unknown] | [false, ExceptionDescription];

/** What Python tells of one exception. */
export interface ExceptionDescription {
  readonly name: string;
  readonly message: string;
  readonly pythonType: string;
  readonly traceback: string;
  readonly frames: PythonFrame[];
  readonly category: "error" | "cancelled" | "timeout" | "interrupt" | "stack";
  /** The proxy of the exception. */
  readonly value: unknown;
  readonly cause: Described | null;
  readonly errors: Described[] | null;
}

/**
 * An exception that Python raised. `name` is the name of its class, `message` its text, `cause` the
 * exception that it was raised from or while handling, `stack` the JavaScript frames and below them Python's.
 *
 * One exception is one object: raised again, or passed back to Python, it is what it was.
 */
export class PythonError extends Error {
  /** The stable code: `ERR_COLOOP_PYTHON`, or that of a subclass. */
  readonly code: ErrorCode;
  /** The qualified name of the exception's class, for example `json.decoder.JSONDecodeError`. */
  readonly pythonType: string;
  /** The traceback as Python prints it. */
  readonly traceback: string = "";
  /** The last 100 frames of the traceback, outermost first. */
  readonly frames: readonly PythonFrame[] = [];
  /** The exceptions of an ExceptionGroup; what came from JavaScript is itself. */
  declare readonly errors?: readonly unknown[];
  /** The exception itself: a proxy, by which its own attributes are reached. */
  // biome-ignore lint/suspicious/noExplicitAny: a PyProxy, whose file imports this one
  declare readonly value: any;

  /** @internal */
  constructor(description: ExceptionDescription, code: ErrorCode = "ERR_COLOOP_PYTHON") {
    const cause = description.cause === null ? undefined : makeError(description.cause);
    super(description.message, cause === undefined ? undefined : { cause });
    this.name = description.name;
    this.code = code;
    this.pythonType = description.pythonType;
    if (description.errors !== null) this.errors = description.errors.map(makeError);
    // Not enumerable: util.inspect of an error would print the proxy as well.
    Object.defineProperty(this, "value", { value: description.value });
    showTraceback(this, description);
  }
}

const pythonLine = "[Python]";

// The engine captured the stack under the class's own name.
function showTraceback(
  error: { -readonly [K in "traceback" | "frames"]: PythonError[K] } & Error,
  { traceback, frames }: ExceptionDescription,
): void {
  error.traceback = traceback;
  error.frames = frames;
  const javaScript = (error.stack ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line) && !line.endsWith(pythonLine));
  const python = frames.map(
    (frame) => `    at ${frame.function} (${frame.file}:${frame.line}) ${pythonLine}`,
  );
  Object.defineProperty(error, "stack", {
    value: [`${error.name}: ${error.message}`, ...javaScript, ...python.reverse()].join("\n"),
    writable: true,
    configurable: true,
  });
}

/**
 * `asyncio.CancelledError`: Python cancelled the Task, or `close()` did. Its `name` is `AbortError`, as
 * in `fetch`, its code `ERR_COLOOP_ABORTED`.
 */
export class PythonAbortError extends PythonError {
  /** @internal */
  constructor(description: ExceptionDescription) {
    super(
      {
        ...description,
        name: "AbortError",
        message: description.message || "The Task was cancelled",
      },
      "ERR_COLOOP_ABORTED",
    );
  }
}

/** Python's own `TimeoutError`, of any module; its code is `ERR_COLOOP_TIMEOUT`. */
export class PythonTimeoutError extends PythonError {
  /** @internal */
  constructor(description: ExceptionDescription) {
    super({ ...description, name: "PythonTimeoutError" }, "ERR_COLOOP_TIMEOUT");
  }
}

/** `KeyboardInterrupt`: Python was interrupted; its code is `ERR_COLOOP_INTERRUPTED`. */
export class PythonInterruptedError extends PythonError {
  /** @internal */
  constructor(description: ExceptionDescription) {
    super({ ...description, name: "PythonInterruptedError" }, "ERR_COLOOP_INTERRUPTED");
  }
}

/**
 * An operation that its AbortSignal ended, with the code `ERR_COLOOP_ABORTED`; `cause` is the signal's
 * reason. The promise rejects with it at once, whatever the Task makes of its cancellation.
 */
export class AbortError extends ColoopError {
  /** @internal */
  constructor(message: string, options?: ErrorOptions) {
    super("ERR_COLOOP_ABORTED", message, options);
    this.name = "AbortError";
  }
}

/**
 * An operation that took longer than its `timeout`, with the code `ERR_COLOOP_TIMEOUT`; its `name` is
 * `PythonTimeoutError`, as that of Python's own.
 */
export class TimeoutError extends ColoopError {
  /** @internal */
  constructor(message: string, options?: ErrorOptions) {
    super("ERR_COLOOP_TIMEOUT", message, options);
    this.name = "PythonTimeoutError";
  }
}

/** JavaScript had too little stack left to tell what it had thrown. */
class PythonStackError extends PythonError {
  constructor(description: ExceptionDescription) {
    super(description, "ERR_COLOOP_STACK");
  }
}

const classes = {
  stack: PythonStackError,
  error: PythonError,
  cancelled: PythonAbortError,
  timeout: PythonTimeoutError,
  interrupt: PythonInterruptedError,
};

// One Python exception is one error object for as long as that or its proxy lives. No WeakRef: what
// one has been made for, the engine keeps until the microtasks end, and a loop that catches would grow.
const errorsByValue = new WeakMap<object, PythonError>();

/** The error object of a Python exception; what came from JavaScript is itself. */
export function makeError([fromJavaScript, description]: Described): unknown {
  if (fromJavaScript) return description;
  const key = description.value as object;
  const known = errorsByValue.get(key);
  if (known !== undefined) {
    showTraceback(known, description); // it has come through more frames since
    return known;
  }
  const error = new classes[description.category](description);
  errorsByValue.set(key, error);
  return error;
}
