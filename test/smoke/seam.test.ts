// The most telling cases, fast: they run on every Python that is found.

import { AsyncLocalStorage } from "node:async_hooks";
import { readFileSync } from "node:fs";
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kw, type PyProxy, Python, PythonError } from "../../src/index.js";

let py: Python;

beforeAll(async () => {
  py = await Python.start();
  py.execSync(`
import asyncio, threading
async def echo(value, delay=0):
    await asyncio.sleep(delay)
    return value
async def count(n):
    for i in range(n):
        yield i
def invoke(function, *args):
    return function(*args)
`);
});

afterAll(async () => {
  await py.close();
});

test("it is the interpreter that was chosen", () => {
  const sys = py.import("sys");
  expect(sys.executable).toBe(py.executable);
  expect(sys.version.startsWith(py.version)).toBe(true);
});

test("values of every kind go there and back", () => {
  const value = {
    list: [1, -2.5, 2 ** 53, 10n ** 30n, true, null, "text \u{1f40d} \ud800", Number.NaN],
    map: new Map<unknown, unknown>([[1, "a"]]),
    set: new Set([1, 2]),
    date: new Date(1e12),
    __proto__: { ignored: 1 },
  };
  const back = py.globals.invoke(<T>(x: T) => x, { ...value });
  expect(back).toEqual({
    ...value,
    list: [...value.list.slice(0, 2), 2 ** 53, ...value.list.slice(3)],
  });
});

test("big lists of numbers keep -0 and the difference of int and float", () => {
  const list = Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? i : i / 2));
  list.push(-0);
  const back = py.globals.invoke((x: number[]) => x, list) as number[];
  expect(back).toEqual(list);
  expect(Object.is(back.at(-1), -0)).toBe(true);
  expect(py.evalSync("[type(x).__name__ for x in v[:2]]", { v: list })).toEqual(["int", "float"]);
});

test("cycles and shared references", () => {
  const cyclic: Record<string, unknown> = {};
  cyclic["self"] = cyclic;
  const back = py.evalSync<{ self: unknown }>("x", { x: cyclic });
  expect(back.self).toBe(back);
});

test("a proxy is the same object on both sides", () => {
  const object = py.evalSync("object()");
  expect(py.evalSync("[x, x]", { x: object })).toEqual([object, object]);
  const fn = (): void => {};
  expect(py.evalSync("f is g", { f: fn, g: fn })).toBe(true);
  expect(py.evalSync("f", { f: fn })).toBe(fn);
});

test("keyword arguments, classes, attributes, items", () => {
  expect(py.evalSync<PyProxy>("dict")(kw({ a: 1 }))).toEqual({ a: 1 });
  const Fraction = py.import("fractions").Fraction;
  expect(String(new Fraction(1, 2))).toBe("1/2");
  const list = py.evalSync("__import__('coloop').ref([1, 2, 3])") as { [key: number]: number };
  list[0] = 7;
  expect(list[0]).toBe(7);
  expect(Reflect.get(list, "length")).toBe(3);
});

test("buffers are shared, not copied", () => {
  const numbers = new Float32Array([1.5, 2.5]);
  py.execSync("v[0] = 4.5", { v: numbers });
  expect(numbers[0]).toBe(4.5);
  expect(py.evalSync("(v.format, v.itemsize)", { v: numbers })).toEqual(["f", 4]);
});

test("an exception arrives with type, message, traceback and frames", () => {
  const error = (() => {
    try {
      py.execSync("def fail():\n    raise ValueError('no')\nfail()");
    } catch (thrown) {
      return thrown as PythonError;
    }
    throw new Error("nothing was thrown");
  })();
  expect(error).toBeInstanceOf(PythonError);
  expect([error.name, error.message, error.code]).toEqual([
    "ValueError",
    "no",
    "ERR_COLOOP_PYTHON",
  ]);
  expect(error.traceback).toContain("ValueError: no");
  expect(error.frames.at(-1)).toMatchObject({ function: "fail", line: 2 });
});

test("what JavaScript throws is the same object after Python", async () => {
  for (const thrown of [new RangeError("x"), null, undefined, 42, { a: 1 }]) {
    const fail = (): never => {
      throw thrown;
    };
    let caught: unknown = "nothing";
    try {
      py.globals.invoke(fail);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBe(thrown);
    caught = await py.eval("p", { p: Promise.reject(thrown) }).catch((error: unknown) => error);
    expect(caught).toBe(thrown);
  }
});

test("async def is a promise, a promise is awaitable", async () => {
  expect(await py.globals.echo(1)).toBe(1);
  expect(await Promise.all([3, 1, 2].map((n) => py.globals.echo(n, n / 1000)))).toEqual([3, 1, 2]);
  expect(await py.eval("await p + 1", { p: Promise.resolve(41) })).toBe(42);
});

test("a signal and a time-out end a call", async () => {
  const signal = AbortSignal.timeout(5);
  await expect(py.call("asyncio", "sleep", [1000], { signal })).rejects.toMatchObject({
    name: "AbortError",
  });
  await expect(py.call("asyncio", "sleep", [1000], { timeout: 5 })).rejects.toMatchObject({
    code: "ERR_COLOOP_TIMEOUT",
  });
});

test("async generators both ways", async () => {
  const seen: unknown[] = [];
  for await (const item of py.globals.count(100)) {
    seen.push(item);
    if (seen.length === 3) break;
  }
  expect(seen).toEqual([0, 1, 2]);
  async function* letters(): AsyncGenerator<string> {
    yield* ["a", "b"];
  }
  expect(await py.eval("[x async for x in letters]", { letters: letters() })).toEqual(["a", "b"]);
});

test("registered functions, from threads as well", async () => {
  py.register("twice", (n: number) => 2 * n);
  py.register("later", async (n: number) => n + 1);
  await py.exec(`
import coloop, erlang
from coloop import twice
assert erlang is coloop and twice(2) == coloop.call("twice", 2) == 4
assert await coloop.async_call("later", 1) == 2
assert await asyncio.to_thread(lambda: (coloop.twice(3), coloop.call("later", 3))) == (6, 4)
`);
  expect(py.unregister("twice")).toBe(true);
  expect(py.unregister("later")).toBe(true);
});

test("AsyncLocalStorage goes with the Task", async () => {
  const storage = new AsyncLocalStorage<number>();
  py.execSync("async def later(f):\n    await asyncio.sleep(0.001)\n    return f()");
  const read = (): number | undefined => storage.getStore();
  const stores = [1, 2].map((n) => storage.run(n, () => py.globals.later(read)));
  expect(await Promise.all(stores)).toEqual([1, 2]);
});

test("a Python server and a Node client on one loop", async () => {
  await py.exec(`
async def serve(reader, writer):
    writer.write((await reader.readline()).upper())
    writer.close()
server = await asyncio.start_server(serve, "127.0.0.1", 0)
port = server.sockets[0].getsockname()[1]
`);
  const socket = net.connect(py.globals.port, "127.0.0.1");
  socket.write("hello\n");
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk as Buffer);
  expect(Buffer.concat(chunks).toString()).toBe("HELLO\n");
  await py.exec("server.close()\nawait server.wait_closed()");
});

test("errors without a promise go to loopError, and the process goes on", async () => {
  const seen = new Promise((resolve) => py.once("loopError", resolve));
  py.execSync("import logging\nlogging.getLogger('asyncio').disabled = True");
  py.loop.call_soon(py.evalSync("lambda: 1 / 0"));
  expect(await seen).toMatchObject({ exception: { name: "ZeroDivisionError" } });
  py.execSync("logging.getLogger('asyncio').disabled = False");
});

test("os.fork is refused with the documented text", () => {
  expect(() => py.import("os").fork()).toThrow(
    "os.fork is blocked in Node.js host context. fork()/exec() would corrupt the Node.js runtime. " +
      "Start Python with sandbox: { subprocess } (coloop run: --allow subprocess), or use " +
      "node:child_process through a registered function for subprocess management.",
  );
  expect(py.import("_erlang_impl._sandbox").is_sandboxed()).toBe(true);
});

test("the hosted loop says who drives it", () => {
  expect(() => py.loop.run_forever()).toThrow("driven by Node.js");
  expect(py.loop.is_running()).toBe(true);
  expect(() => py.import("asyncio").get_running_loop()).toThrow("no running event loop");
});

test("an owned loop runs inside a synchronous call", () => {
  expect(py.import("coloop").run(py.evalSync("__import__('coloop').ref(echo(5))"))).toBe(5);
});

test("misuse is a clear error with a stable code", async () => {
  const cases: [() => unknown, string][] = [
    [() => py.import("no.such"), "ERR_COLOOP_PYTHON"],
    [() => py.import("math").nope, "ERR_COLOOP_PYTHON"],
    [() => py.evalSync("1 +"), "ERR_COLOOP_PYTHON"],
    [() => py.evalSync(5 as never), "ERR_COLOOP_ARGUMENT"],
    [() => py.globals.invoke(Symbol("x")), "ERR_COLOOP_CONVERSION"],
    [() => py.globals.invoke(new Date(Number.NaN)), "ERR_COLOOP_CONVERSION"],
    [() => py.register("call", () => 1), "ERR_COLOOP_PYTHON"],
  ];
  for (const [misuse, code] of cases) expect(misuse).toThrow(expect.objectContaining({ code }));
  await expect(Python.start({ pyton: "3.12" } as never)).rejects.toMatchObject({
    code: "ERR_COLOOP_ARGUMENT",
  });
  await expect(py.eval("sys.exit(3)", { sys: py.import("sys") })).rejects.toMatchObject({
    name: "SystemExit",
  });
  const object = py.evalSync("object()") as { $dispose(): void; x: unknown };
  object.$dispose();
  expect(() => object.x).toThrow(expect.objectContaining({ code: "ERR_COLOOP_DISPOSED" }));
});

test("proxies that a synchronous loop makes die within it", () => {
  const make = py.evalSync("object") as () => unknown;
  let most = 0;
  for (let i = 0; i < 500_000; i++) {
    make();
    if (i % 1000 === 0) most = Math.max(most, py.counters()["pyProxies"] ?? 0);
  }
  expect(most).toBeGreaterThan(0);
  expect(most).toBeLessThan(200_000);
});

test("node kinds of the encoder are those of the native table", async () => {
  const { nodeKinds } = await import("../../src/encode.js");
  const table = readFileSync(new URL("../../native/convert/kinds.def", import.meta.url), "utf8");
  const names = [...table.matchAll(/^NODE\((\w+)\)/gm)].map((match) => match[1]);
  expect(Object.keys(nodeKinds)).toEqual(names);
  expect(Object.values(nodeKinds)).toEqual(names.map((_, index) => index));
});
