// Coroutines, promises, cancellation, streams, contexts.

import { AsyncLocalStorage } from "node:async_hooks";
import { Readable } from "node:stream";
import { beforeAll, describe, expect, test } from "vitest";
import { until } from "../fixtures/py2/start.js";
import { mustCall } from "../helpers/must-call.js";
import { atLeast, rejected, startPython } from "../helpers/python.js";

const py = await startPython();

beforeAll(() => {
  py.execSync(`
import asyncio, contextvars
log = []
variable = contextvars.ContextVar("variable", default="unset")
async def add(a, b):
    await asyncio.sleep(0)
    return a + b
async def sleeper(delay, value=None):
    try:
        await asyncio.sleep(delay)
        return value
    except asyncio.CancelledError:
        log.append("cancelled")
        raise
async def count(n):
    try:
        for i in range(n):
            await asyncio.sleep(0)
            yield i
    finally:
        log.append("closed")
async def fails_after(n):
    for i in range(n):
        yield i
    raise ValueError("mid-stream")
def take_log():
    taken = log[:]
    log.clear()
    return taken
`);
});

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe("coroutines", () => {
  test("a thousand at once", async () => {
    const sums = Array.from({ length: 1000 }, (_, i) => py.globals.add(i, 1));
    expect(await Promise.all(sums)).toEqual(Array.from({ length: 1000 }, (_, i) => i + 1));
  });

  test("timers fire in the order of their times, also when all are late", async () => {
    py.execSync(`
async def wake_at(when):
    woken = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_at(when, woken.set_result, None)
    await woken
`);
    const now = py.loop.time() as number;
    const order: number[] = [];
    const wake = (ms: number): Promise<unknown> =>
      (py.globals.wake_at(now + ms / 1000) as Promise<unknown>).then(() => order.push(ms));
    await Promise.all([30, 1, 15].map(wake));
    expect(order).toEqual([1, 15, 30]);
  });

  test("gather, wait_for, Event, Queue, Lock", async () => {
    await py.exec(`
assert await asyncio.gather(add(1, 2), add(3, 4)) == [3, 7]
try:
    await asyncio.wait_for(asyncio.sleep(60), 0.001)
    raise AssertionError("no time-out")
except asyncio.TimeoutError:
    pass
event = asyncio.Event()
waiting = asyncio.ensure_future(event.wait())
await asyncio.sleep(0)
event.set()
assert await waiting
queue = asyncio.Queue(1)
async def produce():
    for i in range(5):
        await queue.put(i)
producer = asyncio.ensure_future(produce())
assert [await queue.get() for _ in range(5)] == [0, 1, 2, 3, 4]
async with asyncio.Lock():
    pass
`);
  });

  test("TaskGroup and timeout(), where Python has them", async () => {
    const code = `
async with asyncio.timeout(5), asyncio.TaskGroup() as group:
    tasks = [group.create_task(add(i, i)) for i in range(3)]
assert [task.result() for task in tasks] == [0, 2, 4]
`;
    if (atLeast(py, 3, 11)) await py.exec(code);
    else expect(py.evalSync("hasattr(asyncio, 'TaskGroup')")).toBe(false);
  });

  test("eval and exec await at the top level", async () => {
    expect(await py.eval("await add(40, 2)")).toBe(42);
    await py.exec("total = 0\nasync for i in count(4): total += i");
    expect(py.globals.total).toBe(6);
    py.globals.take_log();
  });

  test("py.call with keyword arguments", async () => {
    const kwargs = { delay: 0.001, result: "done" };
    expect(await py.call("asyncio", "sleep", [], { kwargs })).toBe("done");
  });

  test("a Task and a Future are promises", async () => {
    expect(await py.evalSync("asyncio.get_event_loop().create_task(add(1, 1))")).toBe(2);
    py.execSync("future = asyncio.get_event_loop().create_future()");
    const promise = py.globals.future as Promise<unknown>;
    py.execSync("future.set_result(7)");
    expect(await promise).toBe(7);
  });

  test("a ready queue that never empties does not starve JavaScript", async () => {
    const spin = py.exec("spinning = True\nwhile spinning: await asyncio.sleep(0)");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await turn();
    py.execSync("spinning = False");
    await spin;
  });

  test("an eager Task, where Python has it", async () => {
    const code = `
started = []
async def start():
    started.append(1)
    await asyncio.sleep(0)
task = asyncio.Task(start(), loop=asyncio.get_running_loop(), eager_start=True)
assert started == [1]
await task
`;
    if (atLeast(py, 3, 12)) await py.exec(code);
    else expect(py.evalSync("hasattr(asyncio, 'eager_task_factory')")).toBe(false);
  });
});

describe("promises in Python", () => {
  test("fulfilled, pending, thenable", async () => {
    const later = new Promise((resolve) => setTimeout(resolve, 2, "late"));
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
    const thenable = { then: (resolve: (value: string) => void) => resolve("thenable") };
    const promises = { a: Promise.resolve(1), b: later, c: thenable };
    expect(await py.eval("[await a, await b, await c]", promises)).toEqual([1, "late", "thenable"]);
  });

  test("a rejection is raised, and is the same error when it leaves", async () => {
    const error = new TypeError("no");
    expect(await rejected(py.eval("await p", { p: Promise.reject(error) }))).toBe(error);
  });

  test("an async function of JavaScript's, a thousand times", async () => {
    py.execSync("async def total(f):\n    return sum([await f(i) for i in range(1000)])");
    expect(await py.globals.total(async (i: number) => i)).toBe(499_500);
  });

  test("gather over promises", async () => {
    const f = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms, ms));
    const seen = py.eval("await asyncio.gather(*[f(n) for n in (3, 1, 2)])", {
      f,
      asyncio: py.import("asyncio"),
    });
    expect(await seen).toEqual([3, 1, 2]);
  });

  test("a promise that nothing can settle is refused in a blocking run", () => {
    py.execSync(
      "import coloop\nasync def wait(p):\n    await p\ndef block(p):\n    coloop.run(wait(p))",
    );
    expect(() => py.globals.block(Promise.resolve())).toThrow(
      /cannot settle while this loop blocks/,
    );
  });
});

describe("cancellation", () => {
  test("by an AbortSignal: at once, and the Task is cancelled", async () => {
    const controller = new AbortController();
    const promise = py.globals.sleeper.$with({ signal: controller.signal })(60);
    await turn();
    const reason = new Error("enough");
    controller.abort(reason);
    const error = await rejected(promise as Promise<unknown>);
    expect([error.name, error.cause]).toEqual(["AbortError", reason]);
    await until(() => py.evalSync("len(log)") === 1, "the Task is cancelled");
    expect(py.globals.take_log()).toEqual(["cancelled"]);
  });

  test("a signal that is aborted already: nothing runs", async () => {
    const signal = AbortSignal.abort();
    const error = await rejected(py.globals.sleeper.$with({ signal })(0) as Promise<unknown>);
    expect(error).toMatchObject({ name: "AbortError", code: "ERR_COLOOP_ABORTED" });
    expect(py.globals.take_log()).toEqual([]);
  });

  test("by a time-out", async () => {
    const error = await rejected(py.call("asyncio", "sleep", [60], { timeout: 5 }));
    expect(error).toMatchObject({ name: "PythonTimeoutError", code: "ERR_COLOOP_TIMEOUT" });
  });

  test("by Python itself", async () => {
    const error = await rejected(
      py.exec("task = asyncio.ensure_future(asyncio.sleep(60))\ntask.cancel()\nawait task"),
    );
    expect(error.name).toBe("AbortError");
  });

  test("AbortSignal.any and AbortSignal.timeout", async () => {
    const signal = AbortSignal.any([AbortSignal.timeout(5), new AbortController().signal]);
    const error = await rejected(py.call("asyncio", "sleep", [60], { signal }));
    expect((error.cause as Error).name).toBe("TimeoutError");
  });
});

describe("streams", () => {
  test("an async generator to its end", async () => {
    expect(await collect(py.globals.count(50))).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(py.globals.take_log()).toEqual(["closed"]);
  });

  test("left early it is closed", async () => {
    for await (const item of py.globals.count(1000)) if (item === 3) break;
    expect(py.globals.take_log()).toEqual(["closed"]);
  });

  test("an error comes after the items", async () => {
    const seen: number[] = [];
    const read = async (): Promise<void> => {
      for await (const item of py.globals.fails_after(3)) seen.push(item as number);
    };
    expect((await rejected(read())).message).toBe("mid-stream");
    expect(seen).toEqual([0, 1, 2]);
  });

  test("py.stream in lockstep", async () => {
    py.execSync(
      "made = []\nasync def make():\n    for i in range(5):\n        made.append(i)\n        yield i",
    );
    const stream = py.stream("__main__", "make", [], { highWaterMark: 0 });
    expect((await stream.next()).value).toBe(0);
    await turn();
    expect(py.evalSync("made")).toEqual([0]);
    await stream.return?.();
  });

  test("an async generator of JavaScript's", async () => {
    const left = mustCall(() => {});
    async function* letters(): AsyncGenerator<string> {
      try {
        yield* ["a", "b", "c"];
      } finally {
        left();
      }
    }
    expect(await py.eval("[x async for x in g]", { g: letters() })).toEqual(["a", "b", "c"]);
  });

  test("a Readable and a web stream", async () => {
    const sources = { a: Readable.from(["x", "y"]), b: new Blob(["text"]).stream() };
    expect(await py.eval("[x async for x in a]", sources)).toEqual(["x", "y"]);
    expect(await py.eval("b''.join([bytes(x) async for x in b]).decode()", sources)).toBe("text");
  });

  test("Readable.from over Python's generator", async () => {
    expect(await Readable.from(py.globals.count(5) as AsyncIterable<number>).toArray()).toEqual([
      0, 1, 2, 3, 4,
    ]);
    py.globals.take_log();
  });
});

describe("contexts", () => {
  test("AsyncLocalStorage goes with the Task, through its awaits", async () => {
    const storage = new AsyncLocalStorage<number>();
    py.execSync(
      "async def ask(f, n):\n    for _ in range(n): await asyncio.sleep(0)\n    return f()",
    );
    const asked = Array.from({ length: 20 }, (_, i) =>
      storage.run(i, () => py.globals.ask(() => storage.getStore(), i % 4)),
    );
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 20 }, (_, i) => i));
  });

  test("the store is there in a thread of to_thread", async () => {
    const storage = new AsyncLocalStorage<string>();
    const asked = storage.run("mine", () =>
      py.eval("await asyncio.to_thread(f)", {
        asyncio: py.import("asyncio"),
        f: () => storage.getStore(),
      }),
    );
    expect(await asked).toBe("mine");
  });

  test("contextvars stay in their Task", async () => {
    py.execSync(
      "async def keep(v):\n    variable.set(v)\n    await asyncio.sleep(0)\n    return variable.get()",
    );
    expect(await Promise.all([1, 2, 3].map((n) => py.globals.keep(n)))).toEqual([1, 2, 3]);
    expect(py.evalSync("variable.get()")).toBe("unset");
  });
});
