// The rows of the table of the hosted loop's states: idle, synchronous call, drain, nested call, owned
// loop inside a synchronous call, exiting (test/process). The titles name the row.

import { type LoopError, PythonError } from "coloop";
import { describe, expect, test } from "vitest";
import { checkLeaks, rejection, startPython, until } from "../fixtures/py2/start.js";
import { mustCall } from "../helpers/must-call.js";

const py = await startPython();
const mod = py.import("seam_loop");

checkLeaks(py);

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("idle", () => {
  test("the loop says that it runs, from attach to close", () => {
    expect(mod.is_running()).toBe(true);
    expect(py.loop.is_running()).toBe(true);
    expect(py.loop.is_closed()).toBe(false);
  });

  test("a thread's call into JavaScript is served at once", async () => {
    expect(await mod.to_thread((value: number) => value + 1, 41)).toBe(42);
  });
});

describe("synchronous Python call from JavaScript, outermost", () => {
  test("get_running_loop() raises: there is none", () => {
    expect(mod.running()).toBe("none");
  });

  test("get_event_loop() gives the hosted loop, without a warning", () => {
    expect(mod.event_loop()).toBe("hosted");
  });

  test("there is no current task", () => {
    expect(mod.current()).toBe("none, no task");
  });

  test("an error is raised to JavaScript", () => {
    expect(() => mod._fail("to the caller")).toThrow("to the caller");
  });

  test("what it scheduled has run, or runs without more being done", async () => {
    const report = mustCall((_: string) => {});
    mod.current_in_callback(report);
    await nextTurn();
    await nextTurn();
  });

  test("a thread's calls into JavaScript wait until it returns", async () => {
    const seen: string[] = [];
    const thread = mod.to_thread(() => seen.push("thread")) as Promise<unknown>;
    mod.sleep_sync(0.03);
    seen.push("after the call");
    await thread;
    expect(seen).toEqual(["after the call", "thread"]);
  });
});

describe("drain: callbacks and Tasks run", () => {
  test("the running loop is the hosted one, the current task is the Task", async () => {
    expect(await mod.current_in_task("mine")).toEqual(["hosted, mine", "hosted, mine"]);
  });

  test("a callback has the hosted loop and no task", async () => {
    const report = mustCall((seen: string) => expect(seen).toBe("hosted, no task"));
    mod.current_in_callback(report);
    await nextTurn();
    await nextTurn();
  });

  test("afterwards there is none again", async () => {
    await mod.current_in_task("x");
    expect(mod.running()).toBe("none");
  });

  test("100 Tasks at once each see themselves", async () => {
    const names = Array.from({ length: 100 }, (_, i) => `task ${i}`);
    const seen = (await Promise.all(names.map((name) => mod.current_in_task(name)))) as string[][];
    expect(seen).toEqual(names.map((name) => [`hosted, ${name}`, `hosted, ${name}`]));
  });
});

describe("Python called by JavaScript that a Task called (nested)", () => {
  test("running loop and current task are unchanged", async () => {
    const seen = await mod.current_around(() => mod.current());
    expect(seen).toEqual(["hosted, outer", "hosted, outer", "hosted, outer"]);
  });

  test("three languages' borders deep", async () => {
    const seen = await mod.current_around(() => mod.call(() => mod.call(() => mod.current())));
    expect(seen).toEqual(["hosted, outer", "hosted, outer", "hosted, outer"]);
  });

  test("an error is raised to that JavaScript", async () => {
    const caught = await mod.current_around(() => {
      try {
        mod._fail("nested");
      } catch (error) {
        return (error as Error).message;
      }
      return "nothing";
    });
    expect(caught).toEqual(["hosted, outer", "nested", "hosted, outer"]);
  });

  test("a coroutine called there starts, and ends after the outermost call", async () => {
    let inner: Promise<string[]> | undefined;
    const seen = await mod.current_around(() => {
      inner = mod.current_in_task("inner") as Promise<string[]>;
      return mod.current();
    });
    expect(seen).toEqual(["hosted, outer", "hosted, outer", "hosted, outer"]);
    expect(await inner).toEqual(["hosted, inner", "hosted, inner"]);
  });

  test("in a synchronous call's JavaScript there is no loop, and none is left behind", () => {
    expect(mod.call(() => mod.current())).toBe("none, no task");
    expect(mod.running()).toBe("none");
  });

  test("a coroutine called inside a synchronous call does not run before that returns", async () => {
    const order: string[] = [];
    let inner: Promise<unknown> = Promise.resolve();
    mod.call(() => {
      inner = mod.spin_in_task(() => true).then(() => order.push("coroutine")) as Promise<unknown>;
      order.push("javascript");
    });
    order.push("returned");
    await inner;
    expect(order).toEqual(["javascript", "returned", "coroutine"]);
  });
});

describe("coloop.run, asyncio.run on the JavaScript thread (owned loop in a synchronous call)", () => {
  const runs = ["asyncio_run", "coloop_run"] as const;
  for (const run of runs) {
    test(`${run}: the running loop is the owned one`, () => {
      expect(mod[run](40, 2)).toBe(42);
      expect(mod.take_log()).toEqual(["owned"]);
    });

    test(`${run}: the policy gives the hosted loop again afterwards`, async () => {
      mod[run](1, 1);
      mod.take_log();
      expect(mod.event_loop()).toBe("hosted");
      expect(mod.running()).toBe("none");
      expect(await mod.current_in_task("after")).toEqual(["hosted, after", "hosted, after"]);
    });
  }

  test.skipIf(py.version.startsWith("3.10."))("asyncio.Runner with coloop.new_event_loop", () => {
    expect(mod.runner()).toEqual(["1 ErlangEventLoop", "2 ErlangEventLoop", "3 ErlangEventLoop"]);
    mod.take_log();
  });

  test("awaiting a JavaScript promise raises: it could never settle", () => {
    expect(mod.run_and_await(Promise.resolve(1))).toMatch(/cannot settle while this loop blocks/);
  });

  test("JavaScript can be called, and has the owned loop and its Task", () => {
    expect(mod.run_and_call((seen: string) => seen.split(",")[0])).toBe("owned");
  });

  test("JavaScript called there can call Python", () => {
    expect(mod.run_and_call(() => mod.running())).toBe("owned");
  });

  test("threads' calls into JavaScript are served inside the owned run", () => {
    const seen: number[] = [];
    const square = (value: number) => {
      seen.push(value);
      return value * value;
    };
    expect(mod.run_while_threads_call(square, 8)).toEqual([0, 1, 4, 9, 16, 25, 36, 49]);
    expect(seen.sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test("errors without a promise go to that loop's handler, not to loopError", () => {
    const wrong = mustCall(() => {}, 0);
    py.on("loopError", wrong);
    expect(mod.raise_in_owned()).toMatch(/Exception in callback/);
    py.off("loopError", wrong);
  });

  test("an exception of main() is raised to JavaScript", () => {
    expect(() => mod.run_in_owned_raises("ValueError")).toThrow("out of run");
    let error: unknown;
    try {
      mod.run_in_owned_raises("SystemExit");
    } catch (caught) {
      error = caught;
    }
    expect((error as PythonError).pythonType).toBe("SystemExit");
    expect(mod.running()).toBe("none");
  });

  test("inside a run, or inside a Task, it raises as everywhere", async () => {
    const refused = /cannot be called from a running event loop|another loop is running/;
    expect(mod.nested_run()).toMatch(refused);
    expect(await mod.run_inside_task()).toMatch(refused);
  });

  test("hosted Tasks stand still meanwhile and go on afterwards", async () => {
    const ticking = mod.ticks(10, 0.001) as Promise<number>;
    mod.coloop_run(1, 1);
    mod.take_log();
    expect(await ticking).toBe(10);
  });

  test("200 runs one after the other leave nothing", () => {
    for (let i = 0; i < 200; i++) mod.coloop_run(i, 1);
    mod.take_log();
  });
});

describe("errors without a promise: exception handler and loopError", () => {
  const nextError = () => new Promise<LoopError>((resolve) => py.once("loopError", resolve));

  const cases: [string, (message: string) => void][] = [
    ["a callback", (message) => mod.fail_in_callback(message)],
    ["a timer", (message) => mod.fail_in_timer(message)],
    ["a reader", (message) => mod.fail_in_reader(message)],
    ["a callback of another thread", (message) => mod.fail_in_threadsafe(message)],
  ];
  for (const [name, fail] of cases) {
    test(name, async () => {
      const error = nextError();
      fail(`in ${name}`);
      const { message, exception } = await error;
      expect(message).toMatch(/^Exception in callback/);
      expect(exception).toBeInstanceOf(PythonError);
      expect(exception?.message).toBe(`in ${name}`);
    });
  }

  test("a Task that is never awaited", async () => {
    const error = nextError();
    mod.fail_in_task("alone");
    await nextTurn();
    await nextTurn();
    py.import("gc").collect();
    const { message, exception, context } = await error;
    expect(message).toBe("Task exception was never retrieved");
    expect(exception?.message).toBe("alone");
    expect(context.$has("future")).toBe(true);
  });

  for (const kind of ["SystemExit", "KeyboardInterrupt"]) {
    test(`${kind} in a callback`, async () => {
      const error = nextError();
      mod.fail_in_callback("leave", kind);
      expect(((await error).exception as PythonError).pythonType).toBe(kind);
      expect(mod.is_running()).toBe(true);
    });

    test(`${kind} in a Task that is never awaited ends nothing`, async () => {
      const seen: LoopError[] = [];
      const listener = (error: LoopError) => seen.push(error);
      py.on("loopError", listener);
      mod.leave_in_task(kind);
      for (let i = 0; i < 5; i++) await nextTurn();
      py.import("gc").collect();
      await until(() => seen.length > 0, "loopError");
      py.off("loopError", listener);
      expect(seen.map(({ exception }) => (exception as PythonError).pythonType)).toEqual([kind]);
      expect(await mod.current_in_task("alive")).toEqual(["hosted, alive", "hosted, alive"]);
    });
  }

  test("a handler set by set_exception_handler gets them too", async () => {
    const handler = mustCall((message: string) =>
      expect(message).toMatch(/^Exception in callback/),
    );
    const error = nextError();
    mod.use_handler(handler);
    mod.fail_in_callback("handled");
    await error;
    mod.use_handler(null);
  });

  test("a rejected promise that is handled is no loopError", async () => {
    const wrong = mustCall(() => {}, 0);
    py.on("loopError", wrong);
    await rejection(mod.thread_raises("handled"));
    for (let i = 0; i < 5; i++) await nextTurn();
    py.off("loopError", wrong);
  });
});
