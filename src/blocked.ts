// What the watchdog says of Python that blocks the JavaScript thread.

/** Python that blocked the JavaScript thread, as `py.watchdog` reports it. */
export interface Blocked {
  /** For how long, so far; from when the watchdog first saw it. */
  readonly milliseconds: number;
  /** Where Python is: its stack as Python prints it, innermost last. */
  readonly pythonStack: string;
  /** Who called it: the JavaScript stack below, innermost first. */
  readonly javaScriptStack: string;
  /** Whether it is interrupted now. */
  readonly interrupted: boolean;
}

/** Options of `py.watchdog`. */
export interface WatchdogOptions {
  /** Milliseconds, from 1 to 2147483647, that Python may hold the JavaScript thread at a time. */
  limit: number;
  /** Default `"report"`. */
  action?: "report" | "interrupt";
}

const callerFrames = 50;

/** The JavaScript stack without the frames of this package. */
export function callers(): string {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = callerFrames;
  const { stack = "" } = new Error();
  Error.stackTraceLimit = stackTraceLimit;
  const own = import.meta.url.slice(0, import.meta.url.lastIndexOf("/") + 1);
  return stack
    .split("\n")
    .slice(1)
    .filter((line) => !line.includes(own))
    .join("\n");
}

/** A listener's error is its own: thrown where nothing of Python's is on the stack. */
export function apart(listen: () => void): void {
  try {
    listen();
  } catch (thrown) {
    setImmediate(() => {
      throw thrown;
    });
  }
}

/** For a program that does not listen. */
export function warnOf({ milliseconds, pythonStack, javaScriptStack }: Blocked): void {
  process.emitWarning(
    `Python has blocked the JavaScript thread for ${Math.round(milliseconds)} ms`,
    { type: "PythonBlockedWarning", detail: `${pythonStack}${javaScriptStack}` },
  );
}
