// The public names of coloop.

export type { Blocked, WatchdogOptions } from "./blocked.js";
export type { CallOptions, RunOptions, WithOptions } from "./call.js";
export type { CloseOptions, Locals, PythonContext } from "./context.js";
export { discoverInterpreter, type Interpreter } from "./discover.js";
export { type Ref, ref } from "./encode.js";
export {
  AbortError,
  ColoopError,
  ColoopTypeError,
  type ErrorCode,
  PythonAbortError,
  PythonError,
  type PythonFrame,
  PythonInterruptedError,
  PythonTimeoutError,
  TimeoutError,
} from "./errors.js";
export type { SandboxFrame } from "./frame.js";
export type { StreamOptions } from "./iterate.js";
export { type Keywords, kw } from "./kw.js";
export type { Metrics } from "./metrics.js";
export { isPyProxy, type PyProxy } from "./proxy.js";
export { type LoopError, Python, type PythonEvents, type StartOptions } from "./python.js";
export type {
  Sandbox,
  SandboxEvent,
  SandboxOptions,
  SandboxRule,
  SandboxRules,
  SandboxTightening,
} from "./sandbox.js";
export type { ShutdownOptions, SignalHandler, SignalOptions } from "./signals.js";
export type {
  SubprocessChange,
  SubprocessDecision,
  SubprocessPolicy,
  SubprocessRefusal,
  SubprocessRequest,
  SubprocessStream,
} from "./subprocess.js";
export type { PyView, ViewOptions } from "./view.js";
