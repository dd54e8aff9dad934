import { AbortError, type PyProxy, PythonInterruptedError, TimeoutError } from "coloop";
import { describe, expect, test } from "vitest";
import { collect } from "../helpers/gc.js";
import { checkLeaks, rejected, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const mod = py.import("fixture_interrupts");
const errors: string[] = [];
py.on("loopError", ({ message }) => errors.push(message));
checkLeaks(py);

// Python's own limit is no more than a few milliseconds; a machine with other work takes longer.
const prompt = 1000;

async function stops(name: string, ms = 30): Promise<TimeoutError> {
  const start = performance.now();
  const error = await rejected<TimeoutError>(
    py.call("fixture_interrupts", name, [], { timeout: ms }),
  );
  const took = performance.now() - start;
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ name: "PythonTimeoutError", code: "ERR_COLOOP_TIMEOUT" });
  expect(took).toBeGreaterThanOrEqual(ms - 1);
  expect(took).toBeLessThan(ms + prompt);
  return error;
}

test("a time-out says how long native code went on that could not be interrupted", () => {
  const code = "__import__('hashlib').pbkdf2_hmac('sha256', b'', b'', 3_000_000)"; // a second or more
  const start = performance.now();
  const error = thrown(() => py.evalSync(code, undefined, { timeout: 20 }));
  const took = performance.now() - start;
  const [, told] =
    /^.* of 20 ms, and could be ended only after (\d+) ms$/.exec(error.message) ?? [];
  expect(Number(told)).toBeGreaterThan(120);
  expect(Number(told)).toBeLessThanOrEqual(Math.ceil(took));
});

test("a time-out stops an exception whose text never ends", () => {
  const fails = py.evalSync<PyProxy>(
    "lambda spin: (_ for _ in ()).throw(type('Endless', (Exception,), {'__str__': lambda _: spin()})())",
  );
  const error = thrown(() => fails.$with({ timeout: 50 })(mod.spin));
  expect(error).toMatchObject({ name: "PythonTimeoutError", code: "ERR_COLOOP_TIMEOUT" });
});

test("a time-out that stops Python at once says no more", () => {
  let least = Number.POSITIVE_INFINITY;
  let message = "";
  for (let attempt = 0; attempt < 20 && least > 100; attempt++) {
    const start = performance.now();
    message = thrown(() => mod.spin.$with({ timeout: 20 })()).message;
    least = performance.now() - start;
  }
  expect(message).toBe("the call took longer than its time-out of 20 ms");
});

describe("a time-out stops Python on the JavaScript thread", () => {
  const blocking = ["spin", "sleep", "lock", "recv", "regex", "power", "join", "event"];
  test.each([...blocking, "owned_loop"])("in %s", async (name) => {
    const error = await stops(name);
    expect(error.cause).toBeInstanceOf(PythonInterruptedError);
    expect(error.cause).toMatchObject({ pythonType: "KeyboardInterrupt" });
  });

  test.each(["never_awaits", "spins_later", "blocks_later"])("in the Task %s", async (name) => {
    expect((await stops(name, 300)).cause).toBeInstanceOf(PythonInterruptedError);
    expect(errors).toEqual([]);
  });

  test("in a loop that catches everything", async () => {
    expect((await stops("catches_all")).cause).toBeInstanceOf(PythonInterruptedError);
  });

  test("in a loop that catches everything and keeps it, at every line in the end", () => {
    const keeps = `
import sys, time
def trace(*_): return None
sys.settrace(trace)
kept = []
while True:
    try:
        time.sleep(60)
    except BaseException as error:
        kept.append(error)
`;
    const error = thrown(() => py.execSync(keeps, {}, { timeout: 20 }));
    expect(error).toMatchObject({ name: "PythonTimeoutError" });
    // The program's own trace function is back, and what comes next is not hit.
    expect(py.evalSync("__import__('sys').gettrace().__name__")).toBe("trace");
    py.execSync("import sys\nsys.settrace(None)\nfor _ in range(100):\n    pass");
  });

  test("in a __del__, whose exceptions go nowhere, and in what comes after it", async () => {
    py.execSync(
      "import sys; before = sys.unraisablehook; sys.unraisablehook = lambda report: None",
    );
    await stops("in_finalizer");
    py.execSync("sys.unraisablehook = before; del before");
  });

  test("the traceback says where Python was", async () => {
    const { cause } = await stops("spin");
    expect((cause as PythonInterruptedError).frames.at(-1)).toMatchObject({ function: "spin" });
  });

  test("evalSync and execSync throw it", () => {
    for (const run of [py.evalSync.bind(py), py.execSync.bind(py)]) {
      const error = thrown(() => run("f()", { f: mod.spin }, { timeout: 20 }));
      expect(error).toBeInstanceOf(TimeoutError);
    }
  });

  test("$with throws it", () => {
    expect(thrown(() => mod.spin.$with({ timeout: 20 })())).toBeInstanceOf(TimeoutError);
  });

  test("a time-out of 0", () => {
    expect(thrown(() => mod.spin.$with({ timeout: 0 })())).toBeInstanceOf(TimeoutError);
  });

  test("clean-up that takes its time is not interrupted", () => {
    const controller = new AbortController();
    const { signal } = controller;
    const error = thrown(() => mod.cleans_up.$with({ signal })(0.3, () => controller.abort()));
    expect(error).toBeInstanceOf(AbortError);
    expect(mod.log.at(-1)).toBe("cleaned up");
  });

  test("it ends with the time-out though Python makes a value of it", () => {
    const error = thrown(() => mod.returns_anyway.$with({ timeout: 20 })());
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.cause).toBeUndefined();
  });

  test("a call that is in time has its value", async () => {
    expect(mod.blocks_for.$with({ timeout: 5000 })(0.001)).toBe("done");
    expect(await mod.finishes.$with({ timeout: 5000 })(7)).toBe(7);
  });
});

describe("an AbortSignal stops Python", () => {
  test("that called the function which aborts it", () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const abort = (): void => controller.abort(reason);
    const { signal } = controller;
    const error = thrown(() => mod.call_then_spin.$with({ signal })(abort));
    expect(error).toBeInstanceOf(AbortError);
    expect(error.cause).toBe(reason);
  });

  test("and is asked before Python is called", () => {
    const signal = AbortSignal.abort("no");
    expect(thrown(() => py.evalSync("f()", { f: mod.spin }, { signal }))).toBeInstanceOf(
      AbortError,
    );
  });
});

describe("interrupt", () => {
  test("is false when nothing runs", () => {
    expect(py.interrupt()).toBe(false);
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test("stops the Python that called this function", () => {
    const error = thrown(() => mod.call_then_spin(() => py.interrupt()));
    expect(error).toBeInstanceOf(PythonInterruptedError);
    expect(error).toMatchObject({ code: "ERR_COLOOP_INTERRUPTED" });
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test("comes even if Python returns at once", () => {
    let said: boolean | undefined;
    const stop = (): void => {
      said = py.interrupt();
    };
    expect(thrown(() => mod.call_it(stop))).toBeInstanceOf(PythonInterruptedError);
    expect(said).toBe(true);
  });

  test("what Python catches is its own affair", () => {
    const code = "try:\n  stop()\n  while True: pass\nexcept KeyboardInterrupt: caught = 1";
    py.execSync(code, { stop: () => py.interrupt() });
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test("many of them cost a call's end nothing", () => {
    const interrupts = (): void => {
      for (let i = 0; i < 50_000; i++) py.interrupt();
    };
    const start = performance.now();
    expect(thrown(() => mod.call_it(interrupts))).toBeInstanceOf(PythonInterruptedError);
    expect(performance.now() - start).toBeLessThan(10 * prompt);
  });

  test("a namespace has it, too", async () => {
    const context = await py.namespace();
    expect(context.interrupt()).toBe(false);
    await context.close();
  });

  test("options are checked", () => {
    expect(() => py.interrupt({ thread: 1 } as never)).toThrow(/threadId/);
  });
});

describe("an interrupt does not hit another call", () => {
  test("the time-out of a nested call leaves the outer one", () => {
    // The error itself would keep the frame that holds this function: a cycle through both languages.
    const nested = (): string => thrown(() => mod.spin.$with({ timeout: 20 })()).name;
    expect(mod.call_it.$with({ timeout: 5000 })(nested)).toBe("PythonTimeoutError");
  });

  test("the outer call's time-out stops the nested call", () => {
    const nested = (): unknown => mod.spin();
    expect(thrown(() => mod.call_it.$with({ timeout: 20 })(nested))).toBeInstanceOf(TimeoutError);
  });

  test("the time-out of a Task that waits does not stop what runs meanwhile", async () => {
    const waiting = rejected(mod.finishes.$with({ timeout: 20 })(1) as Promise<number>);
    expect(mod.blocks_for(0.1)).toBe("done");
    expect(mod.counted(2_000_000)).toBe(2_000_000);
    expect(await waiting).toBeInstanceOf(TimeoutError);
  });

  test("two Tasks: only the one that is out of time", async () => {
    const late = rejected(mod.spins_later.$with({ timeout: 30 })() as Promise<unknown>);
    const other = mod.finishes.$with({ timeout: 10_000 })(5) as Promise<number>;
    expect(await late).toBeInstanceOf(TimeoutError);
    expect(await other).toBe(5);
  });
});

test("the function that $with gives keeps its object", () => {
  const call = py.evalSync<PyProxy>("lambda: 7").$with({ timeout: 5000 });
  collect();
  expect(call()).toBe(7);
});
