import { AbortError, type LoopError, PythonError, TimeoutError } from "coloop";
import { describe, expect, test } from "vitest";
import { checkLeaks, rejection, startPython, until } from "../fixtures/py2/start.js";

const py = await startPython();
const mod = py.import("seam_cancel");

checkLeaks(py);

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** The errors that reach `loopError` while `work` runs and for a few turns after. */
async function loopErrors(work: () => Promise<unknown>): Promise<LoopError[]> {
  const errors: LoopError[] = [];
  const listener = (error: LoopError) => errors.push(error);
  py.on("loopError", listener);
  try {
    await work();
    for (let i = 0; i < 20; i++) await nextTurn();
  } finally {
    py.off("loopError", listener);
  }
  return errors;
}

describe("an AbortSignal", () => {
  test("aborted before: nothing runs", async () => {
    const reason = new Error("before");
    const error = (await rejection(
      mod.sleeper.$with({ signal: AbortSignal.abort(reason) })(),
    )) as AbortError;
    expect(error).toBeInstanceOf(AbortError);
    expect([error.name, error.code, error.cause]).toEqual([
      "AbortError",
      "ERR_COLOOP_ABORTED",
      reason,
    ]);
    expect(mod.take_log()).toEqual([]);
  });

  test("aborted during: the promise rejects at once and the Task is cancelled", async () => {
    const controller = new AbortController();
    const promise = mod.sleeper.$with({ signal: controller.signal })() as Promise<unknown>;
    await nextTurn();
    const reason = new Error("enough");
    controller.abort(reason);
    const error = (await rejection(promise)) as AbortError;
    expect([error.name, error.cause]).toEqual(["AbortError", reason]);
    await until(() => mod.pending() === 0, "the Task ends");
    expect(mod.take_log()).toEqual(["started", "cancelled"]);
  });

  test("aborted in the turn of the call", async () => {
    const controller = new AbortController();
    const promise = mod.sleeper.$with({ signal: controller.signal })() as Promise<unknown>;
    controller.abort();
    expect(((await rejection(promise)) as Error).name).toBe("AbortError");
    await until(() => mod.pending() === 0, "the Task ends");
    expect((mod.take_log() as string[]).filter((entry) => entry === "finished")).toEqual([]);
  });

  test("aborted after: the result stays, the signal keeps no listener", async () => {
    const controller = new AbortController();
    expect(await mod.sleeper.$with({ signal: controller.signal })(0.001)).toBe("slept");
    controller.abort();
    expect(mod.take_log()).toEqual(["started", "finished"]);
  });

  test("without a reason the cause is the signal's own DOMException", async () => {
    const controller = new AbortController();
    const promise = mod.sleeper.$with({ signal: controller.signal })() as Promise<unknown>;
    controller.abort();
    const error = (await rejection(promise)) as AbortError;
    expect(error.cause).toBe(controller.signal.reason);
    mod.take_log();
  });

  test("one signal for many calls", async () => {
    const controller = new AbortController();
    const call = mod.sleeper.$with({ signal: controller.signal });
    const promises = Array.from({ length: 20 }, () => call() as Promise<unknown>);
    await nextTurn();
    controller.abort();
    const settled = await Promise.allSettled(promises);
    expect(settled.map((result) => result.status)).toEqual(Array(20).fill("rejected"));
    await until(() => mod.pending() === 0, "all Tasks end");
    expect((mod.take_log() as string[]).filter((entry) => entry === "cancelled")).toHaveLength(20);
  });

  test("a coroutine that ends at once is not disturbed", async () => {
    const controller = new AbortController();
    expect(await mod.immediate.$with({ signal: controller.signal })()).toBe("at once");
    controller.abort();
  });

  test("a synchronous function takes a signal too: there is no Task to cancel", () => {
    expect(mod.synchronous.$with({ signal: new AbortController().signal })()).toBe("no Task");
  });

  test("in py.call, with keyword arguments", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const call = (delay: number) =>
      py.call("seam_cancel", "with_keyword", [delay], { signal, kwargs: { result: "r" } });
    expect(await call(0.001)).toBe("r");
    const promise = call(60);
    controller.abort();
    expect(((await rejection(promise)) as Error).name).toBe("AbortError");
  });

  test("in py.eval and py.exec", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const running = [
      py.eval("await m.sleeper()", { m: mod }, { signal }),
      py.exec("await m.sleeper()", { m: mod }, { signal }),
    ];
    await nextTurn();
    controller.abort();
    for (const promise of running) {
      expect(((await rejection(promise)) as Error).name).toBe("AbortError");
    }
    await until(() => mod.pending() === 0, "both Tasks end");
    mod.take_log();
  });

  test("cancels a Task that waits for a JavaScript promise", async () => {
    const controller = new AbortController();
    const never = new Promise(() => {});
    const promise = mod.waits_for.$with({ signal: controller.signal })(never) as Promise<unknown>;
    await nextTurn();
    controller.abort();
    await rejection(promise);
    await until(() => mod.pending() === 0, "the Task ends");
    expect(mod.take_log()).toEqual(["cancelled"]);
  });

  test("cancels the children of a gather", async () => {
    const controller = new AbortController();
    const promise = mod.children.$with({ signal: controller.signal })() as Promise<unknown>;
    await nextTurn();
    await nextTurn();
    controller.abort();
    await rejection(promise);
    await until(() => mod.pending() === 0, "all Tasks end");
    expect((mod.take_log() as string[]).sort()).toEqual(["a", "b"]);
  });
});

describe("what the Task makes of its cancellation", () => {
  test("a Task that swallows it goes on; the promise is rejected all the same", async () => {
    const controller = new AbortController();
    const errors = await loopErrors(async () => {
      const promise = mod.swallower.$with({ signal: controller.signal })() as Promise<unknown>;
      await nextTurn();
      controller.abort();
      expect(((await rejection(promise)) as Error).name).toBe("AbortError");
      await until(() => mod.pending() === 0, "the Task ends");
    });
    expect(mod.take_log()).toEqual(["swallowed", "went on"]);
    expect(errors).toEqual([]);
  });

  test("a late failure goes to loopError", async () => {
    const controller = new AbortController();
    const errors = await loopErrors(async () => {
      const promise = mod.fails_when_cancelled.$with({ signal: controller.signal })(
        "too late",
      ) as Promise<unknown>;
      await nextTurn();
      controller.abort();
      expect(((await rejection(promise)) as Error).name).toBe("AbortError");
      await until(() => mod.pending() === 0, "the Task ends");
    });
    mod.take_log();
    expect(errors).toHaveLength(1);
    expect(errors[0]?.message).toBe("a Task failed after it was aborted");
    expect(errors[0]?.exception).toBeInstanceOf(PythonError);
    expect(errors[0]?.exception?.message).toBe("too late");
  });

  test("clean-up that awaits runs to its end", async () => {
    const controller = new AbortController();
    const promise = mod.cleans_up.$with({ signal: controller.signal })() as Promise<unknown>;
    await nextTurn();
    controller.abort();
    await rejection(promise);
    await until(() => mod.pending() === 0, "the Task ends");
    expect(mod.take_log()).toEqual(["cleaned up"]);
  });

  test("a second abort has no effect", async () => {
    const controller = new AbortController();
    const promise = mod.cleans_up.$with({ signal: controller.signal })() as Promise<unknown>;
    await nextTurn();
    controller.abort();
    controller.abort();
    await rejection(promise);
    await until(() => mod.pending() === 0, "the Task ends");
    expect(mod.take_log()).toEqual(["cleaned up"]);
  });
});

describe("a time-out", () => {
  test("rejects with a PythonTimeoutError and cancels the Task", async () => {
    const start = performance.now();
    const error = (await rejection(mod.sleeper.$with({ timeout: 30 })())) as TimeoutError;
    expect(performance.now() - start).toBeGreaterThanOrEqual(28);
    expect(error).toBeInstanceOf(TimeoutError);
    expect([error.name, error.code]).toEqual(["PythonTimeoutError", "ERR_COLOOP_TIMEOUT"]);
    await until(() => mod.pending() === 0, "the Task ends");
    expect(mod.take_log()).toEqual(["started", "cancelled"]);
  });

  test("of zero cancels the Task: where JavaScript is free to, nothing is interrupted", async () => {
    for (let call = 0; call < 20; call++) {
      const error = (await rejection(mod.sleeper.$with({ timeout: 0 })())) as Error;
      expect(error.name).toBe("PythonTimeoutError");
    }
    await until(() => mod.pending() === 0, "the Tasks end");
    // Not all on a machine so busy that one step takes longer than the interrupt waits.
    const cancelled = mod.take_log().filter((line: string) => line === "cancelled");
    expect(cancelled.length).toBeGreaterThan(10);
  });

  test("that is not reached changes nothing", async () => {
    expect(await mod.sleeper.$with({ timeout: 5000 })(0.001)).toBe("slept");
    mod.take_log();
  });

  test("and a signal: the first of them counts", async () => {
    const controller = new AbortController();
    const call = mod.sleeper.$with({ timeout: 20, signal: controller.signal });
    expect(((await rejection(call())) as Error).name).toBe("PythonTimeoutError");
    const promise = call() as Promise<unknown>;
    controller.abort();
    expect(((await rejection(promise)) as Error).name).toBe("AbortError");
    await until(() => mod.pending() === 0, "the Tasks end");
    mod.take_log();
  });

  test("of a Task that swallows its cancellation", async () => {
    const error = (await rejection(mod.swallower.$with({ timeout: 10 })())) as Error;
    expect(error.name).toBe("PythonTimeoutError");
    await until(() => mod.pending() === 0, "the Task ends");
    expect(mod.take_log()).toEqual(["swallowed", "went on"]);
  });

  for (const timeout of [-1, Number.NaN, "1", 2 ** 31]) {
    test(`of ${String(timeout)} is refused`, () => {
      expect(() => mod.sleeper.$with({ timeout: timeout as number })).toThrow(/"timeout"/);
    });
  }
});

describe("CancelledError is an AbortError, both ways", () => {
  test("a Task that cancels itself", async () => {
    const error = (await rejection(mod.cancels_itself())) as PythonError;
    expect([error.name, error.code]).toEqual(["AbortError", "ERR_COLOOP_ABORTED"]);
    expect(error.pythonType).toBe("asyncio.exceptions.CancelledError");
  });

  test("a coroutine that raises it", async () => {
    expect(((await rejection(mod.raises_cancelled())) as Error).name).toBe("AbortError");
  });

  test("an AbortError of JavaScript's is a JsError in Python, no cancellation", async () => {
    const aborted = (async () => {
      AbortSignal.abort().throwIfAborted();
    })();
    expect(await mod.catches_abort(aborted)).toMatch(/^JsError AbortError: /);
  });

  test("a Task cancelled from Python through its proxy", async () => {
    const task = py.evalSync("__import__('asyncio').get_event_loop().create_task(m.sleeper())", {
      m: mod,
    }) as Promise<unknown>;
    const error = rejection(task);
    await nextTurn();
    py.execSync(
      "import asyncio\n[t.cancel() for t in asyncio.all_tasks(asyncio.get_event_loop())]",
      {},
    );
    expect(((await error) as Error).name).toBe("AbortError");
    mod.take_log();
  });
});

test("aborts around the moment of completion: one outcome each, 500 times", async () => {
  for (let i = 0; i < 500; i++) {
    const controller = new AbortController();
    const promise = mod.sleeper.$with({ signal: controller.signal })(0) as Promise<unknown>;
    const outcome = promise.then(
      (value) => String(value),
      (error: Error) => error.name,
    );
    for (let turn = 0; turn < i % 4; turn++) await null;
    if (i % 3 === 0) await nextTurn();
    controller.abort();
    expect(["slept", "AbortError"]).toContain(await outcome);
  }
  await until(() => mod.pending() === 0, "the Tasks end");
  mod.take_log();
});

test("a Task that swallows and returns while its caller is told of the abort", async () => {
  const controller = new AbortController();
  const promise = mod.swallow_and_return_soon.$with({
    signal: controller.signal,
  })() as Promise<unknown>;
  await nextTurn();
  controller.abort();
  expect(((await rejection(promise)) as Error).name).toBe("AbortError");
  await until(() => mod.pending() === 0, "the Task ends");
});
