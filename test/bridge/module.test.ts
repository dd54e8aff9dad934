// The module `coloop`, alias `erlang`, in a program of Node's: what test/python cannot show without
// JavaScript, and erlang_python's asyncio guide on the hosted loop.

import path from "node:path";
import { describe, expect, test } from "vitest";
import { atLeast, checkLeaks, rejected, startPython } from "../helpers/python.js";

const py = await startPython();
py.execSync("import sys\nsys.path.insert(0, folder)", {
  folder: path.resolve(import.meta.dirname, "..", "python"),
});
const guide = py.import("asyncio_guide");

checkLeaks(py);

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

async function withRegistered(
  functions: Record<string, (...args: never[]) => unknown>,
  work: () => unknown,
) {
  for (const [name, fn] of Object.entries(functions)) py.register(name, fn);
  try {
    await work();
  } finally {
    for (const name of Object.keys(functions)) py.unregister(name);
  }
}

describe("the asyncio guide on the hosted loop", () => {
  test.each([
    [
      "tcp_echo",
      {
        echo: "Hello, World!",
        "peer is the server": true,
        "own address is another": true,
        socket: true,
      },
    ],
    ["udp_echo", ["connected", "not connected"]],
    ["udp_broadcast", { None: false, True: true }],
    ["gather", [2, 4, 6]],
    ["wait_for", ["done", "timed out"]],
    [
      "create_task",
      ["background is made", "background begins", "meanwhile", "background ends", "result"],
    ],
    ["wait", [3, 0]],
    ["asgi_delay", [200, '{"slept": true}']],
  ])("%s", async (name, expected) => {
    expect(await guide[name]()).toEqual(expected);
  });

  test("sleep", async () => {
    expect(await guide.sleep()).toBeGreaterThanOrEqual(0.02);
  });

  test.runIf(atLeast(py, 3, 11))("timeout", async () => {
    expect(await guide.timeout()).toEqual(["done", "timed out"]);
  });

  test("subprocesses and signals are refused with the remedy", async () => {
    const texts = Object.entries((await guide.refusals()) as Record<string, string>);
    expect(texts).toHaveLength(6);
    for (const [name, text] of texts) {
      expect(text).toMatch(name.includes("signal") ? "py.onSignal()" : "node:child_process");
    }
  });
});

describe("a loop of its own on the JavaScript thread", () => {
  const ways = [
    "with_run",
    "with_install",
    "by_hand",
    ...(atLeast(py, 3, 11) ? ["with_runner"] : []),
  ];

  test.each(ways)("%s, and the hosted loop is the thread's again", async (way) => {
    expect(guide[way]()).toBe("ErlangEventLoop");
    expect(guide.loops_in_threads()).toEqual({ a: ["a", "a"], b: ["b", "b"] });
    const policy = py.import("asyncio").get_event_loop_policy();
    expect(policy.get_event_loop().toString()).toMatch(/^<ErlangEventLoop hosted running=True/);
    expect(await guide.gather()).toEqual([2, 4, 6]);
  });
});

describe("spawn_task", () => {
  async function nextFinished() {
    for (;;) {
      const finished = guide.take_finished() as string[];
      if (finished.length > 0) return finished;
      await nextTurn();
    }
  }

  test("from synchronous code the Task runs when JavaScript has its turn", async () => {
    expect(guide.handle_request("hosted")).toBe("ok");
    expect(guide.take_finished()).toEqual([]);
    expect(await nextFinished()).toEqual(["hosted"]);
  });

  test("in a coroutine", async () => {
    expect(await guide.handle_request_async("hosted")).toBe("ok, done: False");
    expect(guide.take_finished()).toEqual(["hosted"]);
  });

  test("on the hosted loop under another policy, too", async () => {
    const asyncio = py.import("asyncio");
    const policy = asyncio.get_event_loop_policy();
    asyncio.set_event_loop_policy(null);
    try {
      expect(guide.handle_request("other policy")).toBe("ok");
    } finally {
      asyncio.set_event_loop_policy(policy);
    }
    expect(await nextFinished()).toEqual(["other policy"]);
  });
});

describe("sleep", () => {
  test("blocks in a synchronous call, is a promise in a coroutine", async () => {
    const coloop = py.import("coloop");
    const begun = performance.now();
    expect(coloop.sleep(0.01)).toBeNull();
    expect(performance.now() - begun).toBeGreaterThanOrEqual(10);
    await py.exec("import coloop\nawait coloop.sleep(0.005)");
  });
});

describe("registered functions", () => {
  const functions = {
    double_it: (value: number) => value * 2,
    double_later: async (value: number) => {
      await nextTurn();
      return value * 2;
    },
    add_one: (value: number) => value + 1,
    maybe_fail: () => {
      throw new RangeError("not today");
    },
    fail_later: async () => {
      await nextTurn();
      throw new RangeError("not today either");
    },
  };

  test("erlang.call from many threads at once, each its own result", async () => {
    const numbers = Array.from({ length: 20 }, (_, i) => i);
    const expected = numbers.map((number) => number * 2);
    await withRegistered(functions, async () => {
      const threads = py.import("asyncio").to_thread;
      for (const name of ["double_it", "double_later"]) {
        expect(await threads(guide.from_threads, name, numbers)).toEqual(expected);
      }
      expect(await threads(guide.one_after_another, "add_one", 10)).toBe(10);
    });
    expect(guide.one_after_another("add_one", 0)).toBe(0);
  });

  test("erlang.async_call: in parallel, errors as exceptions", async () => {
    await withRegistered(functions, async () => {
      const names = ["double_it", "double_later", "add_one"];
      expect(await guide.in_parallel(names, 3)).toEqual([6, 6, 4]);
      expect(await guide.safe_call("maybe_fail")).toBe("RangeError: not today");
      expect(await guide.safe_call("fail_later")).toBe("RangeError: not today either");
    });
    const error = await rejected(guide.safe_call("maybe_fail") as Promise<unknown>);
    expect(error).toMatchObject({
      name: "NameError",
      message: expect.stringMatching("maybe_fail"),
    });
  });

  test("erlang.cast drops the result", async () => {
    const got: unknown[] = [];
    await withRegistered({ note: (...args: unknown[]) => got.push(args) }, () => {
      expect(py.import("erlang").cast("note", 1, "two")).toBeNull();
    });
    expect(got).toEqual([[1, "two"]]);
  });

  test("as attributes and in dir(), next to the module's own names, which cannot be taken", async () => {
    await withRegistered(functions, () => {
      py.execSync("from erlang import double_it\nassert double_it(4) == 8", {});
      expect(py.evalSync("set(dir(__import__('erlang'))) >= {'double_it', 'run'}")).toBe(true);
    });
    for (const name of ["run", "sleep", "detect_mode", "is_sandboxed", "get_event_loop_policy"]) {
      expect(() => py.register(name, () => 1)).toThrow(/a '\w+' of its own/);
    }
    expect(() => py.execSync("from erlang import double_it")).toThrow(
      "cannot import name 'double_it' from 'coloop': no JavaScript function is registered under that name; " +
        "register it with py.register('double_it', fn)",
    );
    expect(() => py.execSync("import coloop.double_it")).toThrow(
      "No module named 'coloop.double_it'",
    );
  });
});
