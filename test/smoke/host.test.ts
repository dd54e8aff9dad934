// Functions of JavaScript's in Python, and Python's threads.

import { threadId } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { rejected, startPython } from "../helpers/python.js";

const py = await startPython();
py.execSync("import asyncio, threading, coloop, erlang");

describe("registered functions", () => {
  test("are imported by name, from both modules", async () => {
    py.register("twice", (n: number) => n * 2);
    await py.exec(
      "from coloop import twice\nassert twice(2) == erlang.twice(2) == erlang.call('twice', 2) == 4",
    );
    expect([py.unregister("twice"), py.unregister("twice")]).toEqual([true, false]);
  });

  test("asynchronous ones are awaited", async () => {
    py.register("later", async (n: number) => n + 1);
    expect(await py.eval("(await coloop.later(1), await coloop.async_call('later', 2))")).toEqual([
      2, 3,
    ]);
    py.unregister("later");
  });

  test("cast drops the result", () => {
    const seen: unknown[] = [];
    py.register("note", (value: unknown) => seen.push(value));
    expect(py.evalSync("coloop.cast('note', [1])")).toBeNull();
    py.unregister("note");
    expect(seen).toEqual([[1]]);
  });

  test("one that is not there is an error with the remedy", () => {
    expect(() => py.evalSync("coloop.nope")).toThrow(/register it with py\.register\('nope', fn\)/);
    expect(() => py.evalSync("coloop.call('nope')")).toThrow(
      expect.objectContaining({ name: "NameError" }),
    );
  });

  test("what they throw can be caught", () => {
    py.register("fail", () => {
      throw new RangeError("host");
    });
    py.execSync(
      "def guarded():\n    try: coloop.fail()\n    except coloop.JsError as e: return e.name",
    );
    expect(py.globals.guarded()).toBe("RangeError");
    py.unregister("fail");
  });

  test("awaiting on the JavaScript thread without await is refused", () => {
    py.register("later", async () => 1);
    expect(() => py.evalSync("coloop.call('later')")).toThrow(/cannot settle while Python blocks/);
    py.unregister("later");
  });

  test("call one another fifty borders deep", () => {
    py.execSync("def down(f, n):\n    return f(n)");
    const f = (n: number): number => (n === 0 ? 0 : 1 + (py.globals.down(f, n - 1) as number));
    expect(py.globals.down(f, 50)).toBe(50);
  });
});

describe("threads", () => {
  test("to_thread and an executor run beside JavaScript", async () => {
    expect(
      await py.eval("await asyncio.to_thread(sum, [1, 2])", { asyncio: py.import("asyncio") }),
    ).toBe(3);
    const loop = py.evalSync("asyncio.get_event_loop().run_in_executor(None, threading.get_ident)");
    expect(await loop).not.toBe(py.evalSync("threading.get_ident()"));
  });

  test("JavaScript is called on its own thread, and a thread can wait for a promise", async () => {
    py.register("where", () => threadId);
    py.register("soon", async (n: number) => n);
    const call = "await asyncio.to_thread(lambda: (coloop.where(), coloop.call('soon', 5)))";
    expect(await py.eval(call)).toEqual([threadId, 5]);
    py.unregister("where");
    py.unregister("soon");
  });

  test("eight threads call at once, each gets its own answer", async () => {
    py.register("square", (n: number) => n * n);
    const answers = await py.eval<number[][]>(
      "await asyncio.gather(*[asyncio.to_thread(lambda i=i: [coloop.square(i * 100 + j) for j in range(50)]) for i in range(8)])",
    );
    expect(answers.flat()).toEqual(
      Array.from({ length: 400 }, (_, k) => (Math.floor(k / 50) * 100 + (k % 50)) ** 2),
    );
    py.unregister("square");
  });

  test("call_soon_threadsafe and run_coroutine_threadsafe reach the hosted loop", async () => {
    await py.exec(`
loop = asyncio.get_running_loop()
async def double(n):
    return n * 2
def work():
    done = threading.Event()
    loop.call_soon_threadsafe(done.set)
    assert done.wait(10)
    return asyncio.run_coroutine_threadsafe(double(21), loop).result(10)
assert await asyncio.to_thread(work) == 42
`);
  });

  test("what a thread raises rejects", async () => {
    const error = await rejected(py.eval("await asyncio.to_thread(int, 'x')"));
    expect(error.name).toBe("ValueError");
  });

  test("a loop of its own in a thread", async () => {
    await py.exec(`
async def main():
    await coloop.sleep(0.001)
    return type(asyncio.get_running_loop()).__name__
assert await asyncio.to_thread(lambda: coloop.run(main())) == "ErlangEventLoop"
assert await asyncio.to_thread(lambda: asyncio.run(main())) == "ErlangEventLoop"
`);
  });

  test("a thread local and a lock are Python's own", async () => {
    await py.exec(`
local = threading.local()
lock = threading.Lock()
total = 0
def work():
    global total
    local.value = 0
    for _ in range(1000):
        local.value += 1
        with lock:
            total += 1
    return local.value
assert await asyncio.gather(*[asyncio.to_thread(work) for _ in range(4)]) == [1000] * 4
assert total == 4000
`);
  });
});
