import { type PyProxy, PythonError } from "coloop";
import { describe, expect, test } from "vitest";
import { checkLeaks, rejection, startPython } from "../fixtures/py2/start.js";
import { mustCall } from "../helpers/must-call.js";

const py = await startPython();
const mod = py.import("seam_promise");

checkLeaks(py);

describe("a coroutine is a promise", () => {
  test("the call returns a Promise", async () => {
    const promise = mod.add(1, 2) as unknown;
    expect(promise).toBeInstanceOf(Promise);
    expect(await promise).toBe(3);
  });

  test("a coroutine that never suspends", async () => {
    expect(await mod.add(1, 2)).toBe(3);
  });

  test("a coroutine that suspends many times", async () => {
    expect(await mod.turns(1000, "x")).toBe("x");
  });

  test("a coroutine that sleeps", async () => {
    const start = performance.now();
    expect(await mod.later(0.03, [1])).toEqual([1]);
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
  });

  test("a Task that only its promise waits for is not collected", async () => {
    // The wait is a cycle of the Task, its frame and a Future: asyncio holds none of them.
    const promise = mod.alone() as Promise<string>;
    await new Promise(setImmediate);
    py.import("gc")["collect"]();
    expect(await promise).toBe("woken");
  });

  test("two sleeps at once take as long as one", async () => {
    const start = performance.now();
    await Promise.all([mod.later(0.1, 1), mod.later(0.1, 2), mod.later(0.1, 3)]);
    expect(performance.now() - start).toBeLessThan(250);
  });

  test("results come back to their own callers", async () => {
    const calls = Array.from({ length: 200 }, (_, i) => mod.turns(i % 7, i) as Promise<number>);
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });

  test("an exception before the first await rejects", async () => {
    const error = (await rejection(mod.fail("at once"))) as PythonError;
    expect(error).toBeInstanceOf(PythonError);
    expect([error.name, error.message]).toEqual(["ValueError", "at once"]);
  });

  test("an exception after an await rejects, with the frames of Python", async () => {
    const error = (await rejection(mod.fail_later("afterwards"))) as PythonError;
    expect(error.message).toBe("afterwards");
    expect(error.frames.at(-1)?.function).toBe("fail_later");
  });

  test("a coroutine that returns a coroutine is adopted by the promise", async () => {
    expect(await mod.coroutine_of_coroutine()).toBe(3);
  });

  test("the promise settles once for each of its handlers", async () => {
    const promise = mod.later(0.001, 5) as Promise<number>;
    const handler = mustCall((value: number) => value + 1, 2);
    expect(await Promise.all([promise.then(handler), promise.then(handler)])).toEqual([6, 6]);
  });

  test("the first part of the coroutine runs in order with JavaScript", async () => {
    const log: string[] = [];
    const promise = mod.order((text: string) => log.push(text)) as Promise<string>;
    log.push("called");
    expect(await promise).toBe("done");
    expect(log.filter((entry) => entry !== "called")).toEqual(["started", "after a turn"]);
  });
});

describe("Tasks and futures", () => {
  test("a Task is a promise", async () => {
    expect(await mod.task("t")).toBe("t");
  });

  test("a finished future is a promise", async () => {
    expect(await mod.done_future("f")).toBe("f");
  });

  test("a future that is set later settles its promise", async () => {
    const future = mod.future.$with({ ref: true })() as PyProxy;
    const waiting = mod.wait_for_it(future) as Promise<string>;
    future.set_result("set");
    expect(await waiting).toBe("set");
  });

  test("a future that is cancelled rejects with an AbortError", async () => {
    const future = mod.future.$with({ ref: true })() as PyProxy;
    const waiting = mod.wait_for_it(future) as Promise<string>;
    future.cancel();
    const error = (await rejection(waiting)) as Error;
    expect(error.name).toBe("AbortError");
  });

  test("an object with __await__ stays a proxy that can be awaited", async () => {
    const object = mod.awaitable.$with({ ref: true })(9) as PyProxy;
    expect(object.result).toBe(9);
    expect(await object).toBe(9);
    expect(await object).toBe(9);
  });
});

describe("SystemExit and KeyboardInterrupt in a hosted Task reject its promise", () => {
  for (const kind of ["SystemExit", "KeyboardInterrupt"]) {
    test(kind, async () => {
      const error = (await rejection(mod.leave(kind))) as PythonError;
      expect(error.pythonType).toBe(kind);
      expect(await mod.add(1, 1)).toBe(2);
    });
  }
});

describe("Python awaits promises", () => {
  test("a pending one that is fulfilled", async () => {
    const promise = new Promise((resolve) => setTimeout(resolve, 5, "late"));
    expect(await mod.wait_for_it(promise)).toBe("late");
  });

  test("one that is fulfilled already", async () => {
    expect(await mod.wait_for_it(Promise.resolve([1, { a: 2 }]))).toEqual([1, { a: 2 }]);
  });

  test("the same one twice", async () => {
    expect(await mod.wait_twice(Promise.resolve(4))).toEqual([4, 4]);
  });

  test("one that is rejected with an error: it is the same object on arrival", async () => {
    const reason = new RangeError("no");
    expect(await rejection(mod.wait_for_it(Promise.reject(reason)))).toBe(reason);
  });

  test("a rejection is a JsError with name and message", async () => {
    const seen = await mod.kind_of_rejection(Promise.reject(new RangeError("no")));
    expect(seen).toMatchObject({ type: "JsError", name: "RangeError", text: "RangeError: no" });
  });

  for (const reason of ["text", 7, null, undefined, { a: 1 }, 10n ** 30n, true]) {
    test(`one that is rejected with ${String(reason)}`, async () => {
      const seen = (await mod.kind_of_rejection(Promise.reject(reason))) as {
        type: string;
        value: unknown;
      };
      expect(seen.type).toBe("JsError");
      expect(seen.value ?? null).toEqual(reason ?? null);
    });
  }

  test("one that is rejected with a symbol, which cannot cross", async () => {
    const seen = (await mod.kind_of_rejection(Promise.reject(Symbol("s")))) as { type: string };
    expect(seen.type).toBe("JsError");
  });

  test("one that is fulfilled with what cannot cross", async () => {
    const error = (await rejection(mod.wait_for_it(Promise.resolve(Symbol("s"))))) as Error;
    expect(error.message).toMatch(/symbol/);
  });

  test("a thenable", async () => {
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
    const thenable = { then: (resolve: (value: string) => void) => resolve("thenable") };
    expect(await mod.wait_for_it(thenable)).toBe("thenable");
  });

  test("a thenable that settles several times counts once", async () => {
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
      then: (resolve: (value: number) => void, reject: (error: Error) => void) => {
        resolve(1);
        resolve(2);
        reject(new Error("no"));
      },
    };
    expect(await mod.wait_for_it(thenable)).toBe(1);
  });

  test("a thenable whose then throws", async () => {
    const error = new Error("in then");
    const thenable = {
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
      then: () => {
        throw error;
      },
    };
    expect(await rejection(mod.wait_for_it(thenable))).toBe(error);
  });

  test("one that never settles: the Task that waits can be cancelled", async () => {
    const never = new Promise(() => {});
    expect(await mod.cancel_while_waiting(never)).toEqual(["cancelled"]);
  });

  test("one that settles after its waiter was cancelled", async () => {
    let settle: (value: string) => void = () => {};
    const promise = new Promise<string>((resolve) => {
      settle = resolve;
    });
    expect(await mod.cancel_while_waiting(promise)).toEqual(["cancelled"]);
    settle("late");
    expect(await mod.wait_for_it(promise)).toBe("late");
  });

  test("the promise of a coroutine: through JavaScript and back", async () => {
    expect(await mod.wait_for_it(mod.later(0.001, "round"))).toBe("round");
  });

  test("a rejection with a Python exception is that exception", async () => {
    const first = (await rejection(mod.fail("same"))) as PythonError;
    const second = await rejection(mod.wait_for_it(Promise.reject(first)));
    expect(second).toBe(first);
    const seen = await mod.kind_of_rejection(Promise.reject(first));
    expect(seen).toMatchObject({ type: "ValueError", text: "same" });
    // Its traceback holds the promises, and they hold the error: a cycle through both languages.
    (first.value as PyProxy).$dispose();
  });

  test("a rejection with StopIteration is a RuntimeError, which a future takes", async () => {
    const stop = py.import("builtins").StopIteration.$with({ ref: true })(1) as PyProxy;
    const seen = (await mod.kind_of_rejection(Promise.reject(stop))) as { type: string };
    expect(["RuntimeError", "JsError"]).toContain(seen.type);
  });
});

describe("asyncio's own tools over promises", () => {
  const wait = (ms: number, value: unknown) =>
    new Promise((resolve) => setTimeout(resolve, ms, value));

  test("gather keeps the order", async () => {
    expect(await mod.gather_all([wait(10, "a"), wait(1, "b"), Promise.resolve("c")])).toEqual([
      "a",
      "b",
      "c",
    ]);
  });

  test("gather raises the first failure", async () => {
    const error = new Error("first");
    expect(await rejection(mod.gather_all([wait(30, "a"), Promise.reject(error)]))).toBe(error);
  });

  test("gather with return_exceptions", async () => {
    const promises = [Promise.resolve(1), Promise.reject(new TypeError("t"))];
    expect(await mod.gather_exceptions(promises)).toEqual(["int: 1", "JsError: TypeError: t"]);
  });

  test("wait for the first", async () => {
    expect(await mod.first_of([wait(5, "quick"), new Promise(() => {})])).toBe("quick");
  });

  test("wait_for in time and too late", async () => {
    expect(await mod.with_timeout(wait(1, "v"), 5)).toBe("in time: v");
    expect(await mod.with_timeout(new Promise(() => {}), 0.01)).toBe("too late");
  });

  test("Python's TimeoutError is a PythonTimeoutError", async () => {
    const error = (await rejection(mod.timeout_raises(0.001))) as PythonError;
    expect([error.name, error.code]).toEqual(["PythonTimeoutError", "ERR_COLOOP_TIMEOUT"]);
  });

  test("shield", async () => {
    expect(await mod.shielded(wait(1, "v"))).toBe("v");
  });
});

describe("both ways at once", () => {
  test("Python calls an async JavaScript function and awaits it", async () => {
    const double = async (value: number) => {
      await new Promise((resolve) => setImmediate(resolve));
      return value * 2;
    };
    expect(await mod.call_and_await(double, 21)).toBe(42);
  });

  test("coroutines and async functions call each other 50 deep", async () => {
    const through = async (depth: number): Promise<number> =>
      (await mod.ping_pong(through, depth)) as number;
    expect(await through(50)).toBe(50);
  });

  test("an error goes through 20 layers of both languages and is the same object", async () => {
    const error = new Error("deep");
    const through = async (depth: number): Promise<unknown> => {
      if (depth === 1) throw error;
      return (await mod.ping_pong(through, depth)) as number;
    };
    expect(await rejection(through(20))).toBe(error);
  });
});

describe("eval and exec with top-level await", () => {
  test("await in an expression", async () => {
    expect(await py.eval("await p + 1", { p: Promise.resolve(1) })).toBe(2);
  });

  test("await in statements, with a proxy as locals", async () => {
    const names = py.evalSync<PyProxy>("__import__('collections').UserDict()");
    await py.exec("import asyncio\nawait asyncio.sleep(0)\nx = 5", names);
    expect(names.$get("x")).toBe(5);
  });

  test("an expression without await", async () => {
    expect(await py.eval("2 ** 100")).toBe(2n ** 100n);
  });

  test("a coroutine as value is awaited", async () => {
    expect(await py.eval("m.add(2, 3)", { m: mod })).toBe(5);
  });
});
