import { spawnSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { checkLeaks, rejection, startPython } from "../fixtures/py2/start.js";
import { mustCall } from "../helpers/must-call.js";

const py = await startPython();
const mod = py.import("seam_loop");

checkLeaks(py);

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

describe("fairness", () => {
  // Counted, not timed: a side that starves never comes to its number.
  const enough = 50;

  test("callbacks that schedule each other do not starve JavaScript's timers", async () => {
    let ticks = 0;
    const stopped = new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        ticks += 1;
        if (ticks < enough) return;
        clearInterval(timer);
        resolve();
      }, 1);
    });
    mod.spin(() => ticks >= enough);
    await stopped;
    await nextTurn();
    await nextTurn();
    expect((mod.take_log() as unknown[]).length).toBeGreaterThan(enough);
  });

  test("a Task in a sleep(0) loop does not starve JavaScript's immediates", async () => {
    let turns = 0;
    const spinning = mod.spin_in_task(() => turns >= enough) as Promise<number>;
    while (turns < enough) {
      await nextTurn();
      turns += 1;
    }
    expect(await spinning).toBeGreaterThan(enough);
  });

  test("setImmediate in a loop does not starve Python", async () => {
    let done = false;
    const loop = async () => {
      while (!done) await nextTurn();
    };
    const turning = loop();
    expect(await mod.ticks(enough, 0.001)).toBe(enough);
    done = true;
    await turning;
  });

  test("microtasks and Tasks interleave", async () => {
    let rounds = 0;
    const spinning = mod.spin_in_task(() => rounds >= enough) as Promise<number>;
    while (rounds < enough) {
      for (let i = 0; i < 100; i++) await null;
      await nextTurn();
      rounds += 1;
    }
    expect(await spinning).toBeGreaterThan(0);
  });
});

describe("timers", () => {
  test("never early, in order of their times", async () => {
    const delays = [0.02, 0.001, 0.0005, 0.01, 0.005, 0];
    const fired = (await mod.fire_timers(delays)) as [number, number][];
    expect(fired.map(([delay]) => delay)).toEqual([...delays].sort((a, b) => a - b));
    for (const [delay, took] of fired) expect(took).toBeGreaterThanOrEqual(delay);
  });

  test("1,000 at once", async () => {
    const sleep = py.import("asyncio").sleep;
    const start = performance.now();
    const calls = Array.from({ length: 1000 }, (_, i) => sleep((i % 10) / 1000, i));
    expect(await Promise.all(calls)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(performance.now() - start).toBeLessThan(2000);
  });
});

describe("threads and executors", () => {
  test("run_in_executor runs JavaScript functions: they run on the JavaScript thread", async () => {
    expect(await mod.in_executor((value: number) => value * 2, 21)).toBe(42);
  });

  test("16 jobs at once", async () => {
    const squares = await mod.many_in_executor((value: number) => value * value, 16);
    expect(squares).toEqual(Array.from({ length: 16 }, (_, i) => i * i));
  });

  test("run_in_executor with Python's own functions", async () => {
    expect(await mod.in_executor(py.import("math").factorial, 20)).toBe(2432902008176640000n);
  });

  test("an exception in a thread rejects", async () => {
    expect(((await rejection(mod.thread_raises("in a thread"))) as Error).message).toBe(
      "in a thread",
    );
  });

  test("an error that JavaScript throws to a thread is the same object on arrival", async () => {
    const error = new RangeError("thrown to a thread");
    const fail = () => {
      throw error;
    };
    expect(await rejection(mod.to_thread(fail))).toBe(error);
  });

  test("call_soon_threadsafe wakes the loop", async () => {
    expect(await mod.wait_for_thread()).toBe("worker");
  });

  test("run_coroutine_threadsafe", async () => {
    expect(await mod.run_threadsafe()).toBe(42);
    mod.take_log();
  });

  test("a thread has a loop of its own", async () => {
    expect(await mod.loop_in_thread()).toEqual(["owned", "owned"]);
  });

  test("a promise is awaited on the loop of another thread", async () => {
    const later = new Promise((resolve) => setTimeout(resolve, 5, "value"));
    expect(await mod.await_in_thread_loop(later)).toBe("value");
    const error = new Error("rejected");
    expect(await rejection(mod.await_in_thread_loop(Promise.reject(error)))).toBe(error);
  });

  test("coloop.call from a thread: a synchronous function, an async one, one that fails", async () => {
    py.register("double_now", (value: number) => value * 2);
    py.register("double_later", async (value: number) => {
      await nextTurn();
      return value * 2;
    });
    const error = new Error("from the host");
    py.register("fail_later", async () => {
      await nextTurn();
      throw error;
    });
    try {
      expect(await mod.call_registered_in_thread("double_now", 4)).toBe(8);
      expect(await mod.call_registered_in_thread("double_later", 4)).toBe(8);
      expect(await rejection(mod.call_registered_in_thread("fail_later"))).toBe(error);
      expect(await mod.async_call_registered("double_later", 5)).toBe(10);
      expect(await mod.async_call_registered("double_now", 5)).toBe(10);
    } finally {
      for (const name of ["double_now", "double_later", "fail_later"]) py.unregister(name);
    }
  });

  test("coloop.call of an async function on the JavaScript thread raises with the remedy", () => {
    py.register("later", async () => 1);
    try {
      expect(() => mod.call_registered("later")).toThrow(/cannot settle .* await it/s);
    } finally {
      py.unregister("later");
    }
  });
});

describe("watches", () => {
  test("add_reader and add_writer: 1 MB through a socket pair", async () => {
    const data = new Uint8Array(1024 * 1024).map((_, i) => i % 251);
    const received = (await mod.pipe_through_watches(data)) as Uint8Array;
    expect(Buffer.compare(received, data)).toBe(0);
  });
});

describe("what belongs to the host is refused, with the remedy", () => {
  test.each(["add_signal_handler", "remove_signal_handler"])("%s", (method) => {
    expect(mod.refusal(method)).toMatch(/^NotImplementedError: .*(process\.on|JavaScript|Node)/);
  });

  test.each(["run_forever", "stop", "close"])("%s of the hosted loop", (method) => {
    expect(mod.refusal(method)).toMatch(/^RuntimeError: .*(coloop\.run|py\.close)/);
  });

  test("run_until_complete of the hosted loop", () => {
    expect(mod.refusal_run_until_complete()).toMatch(/coloop\.run\(\)/);
  });

  test.each([false, true])("subprocesses (shell: %s)", async (shell) => {
    expect(await mod.refused_subprocess(shell)).toMatch(
      /^(NotImplemented|Runtime)Error: .*node:child_process/,
    );
  });
});

describe("facts", () => {
  test("OpenSSL and zlib are the interpreter's own, not Node's", () => {
    const here = mod.runtime_versions() as Record<string, string>;
    const program =
      "import json,ssl,zlib; print(json.dumps([ssl.OPENSSL_VERSION, zlib.ZLIB_RUNTIME_VERSION]))";
    const { stdout } = spawnSync(here["executable"] as string, ["-c", program], {
      encoding: "utf8",
    });
    expect([here["ssl"], here["zlib"]]).toEqual(JSON.parse(stdout));
  });

  test("the loop's class and its repr", () => {
    expect(py.loop.$type).toBe("ErlangEventLoop");
    expect(py.loop.$repr()).toMatch(/hosted running=True closed=False debug=False/);
  });

  test("debug mode warns of slow callbacks", async () => {
    const messages = (await mod.debug_slow_callback()) as string[];
    expect(messages.join("\n")).toMatch(/Executing .* took 0\.0[3-9]/);
  });

  test("Python.start again gives the same handle", async () => {
    const { Python } = await import("coloop");
    expect(await Python.start()).toBe(py);
  });
});

test("a callback of JavaScript's as call_soon target", async () => {
  const callback = mustCall((value: number) => expect(value).toBe(7));
  py.loop.call_soon(callback, 7);
  await nextTurn();
  await nextTurn();
});
