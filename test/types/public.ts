// What the public types make of ordinary programs. Nothing here runs: `tsc` is the test.

import {
  AbortError,
  ColoopError,
  ColoopTypeError,
  type ErrorCode,
  type PyProxy,
  type Python,
  PythonError,
  TimeoutError,
} from "coloop";

/** Fails unless the two types are the same; `any` is the same as nothing else. */
type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <_Same extends true>(): void => {};

export function signalHandlers(py: Python, proxy: PyProxy): void {
  py.onSignal("SIGHUP", (name, number) => {
    same<Same<typeof name, NodeJS.Signals>>();
    same<Same<typeof number, number>>();
  });
  py.onSignal("SIGHUP", async () => undefined);
  py.onSignal("SIGHUP", proxy);
  py.onShutdown(proxy);
  // @ts-expect-error a handler is a function
  py.onSignal("SIGHUP", "handler");
}

export function whatPythonHas(py: Python, proxy: PyProxy): void {
  py.import("sys").$attr("path", { ref: true }).insert(0, "/x");
  const { length } = proxy.$get(0).name;
  proxy.$with({ timeout: 1 })(length).anything();
  proxy.$attr("name").toUpperCase();
}

export function errors(error: unknown): ErrorCode | undefined {
  if (error instanceof PythonError) {
    same<Same<typeof error.code, ErrorCode>>();
    return error.value.code === 1 ? error.code : undefined;
  }
  if (error instanceof TimeoutError || error instanceof AbortError) return error.code;
  if (error instanceof ColoopTypeError) return error.code;
  if (!(error instanceof ColoopError)) return undefined;
  // @ts-expect-error no such code
  if (error.code === "ERR_COLOOP_NO_SUCH_CODE") return undefined;
  return error.code;
}
