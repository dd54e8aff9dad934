// What no program should do, and what must not bring down the process.
import { constants } from "node:buffer";
import { type PyProxy, ref } from "coloop";
import { describe, expect, test } from "vitest";
import { startPython, thrown } from "../helpers/python.js";

const py = await startPython();
py.execSync(`
import asyncio, ctypes

def take(*args, **kwargs):
    return len(args) + len(kwargs)

def text_of(f, value):
    try:
        f(0, value)
    except Exception as error:
        return f"{type(error).__name__}: {error}"

def call_despite(f, first, second):
    try:
        f(first)
    except TypeError:
        return f(second)
`);
const { take } = py.globals;

interface Coded extends Error {
  code?: string;
}

describe("variables are named as such", () => {
  test.each<[string, unknown, string]>([
    ["found by TypeScript", { a: [Symbol("s")] }, "locals.a[0]"],
    ["found by Python", { a: new Set([new Map()]) }, "locals.a[0]"],
  ])("%s", async (_name, locals, where) => {
    const variables = locals as Record<string, unknown>;
    for (const evaluate of [
      () => py.evalSync("1", variables),
      () => py.execSync("1", variables),
      () => py.eval("1", variables),
      () => py.exec("1", variables),
    ]) {
      const error = await Promise.resolve()
        .then(evaluate)
        .then(
          () => new Error("nothing was thrown"),
          (reason: unknown) => reason as Coded,
        );
      expect(error.message.startsWith(`${where}: `), error.message).toBe(true);
      expect((error as Coded).code).toBe("ERR_COLOOP_CONVERSION");
    }
  });

  test("as are keys and values", () => {
    const error = thrown<Coded>(() => py.globals.$set("k", new Set([new Map()])));
    expect(error.message).toMatch(/^value\[0\]: /);
  });

  test("but not the arguments of a call that the code makes", () => {
    const inner = () => take(1, Symbol("s"));
    expect(thrown(() => py.evalSync("inner()", { inner })).message).toBe(
      "args[1]: a symbol cannot cross to Python",
    );
  });
});

describe("too large for JavaScript", () => {
  const tooLarge = "JavaScript could not make this integer (is it too large?)";

  test("an integer as a result", () => {
    const error = thrown<Coded>(() => py.evalSync("1 << (1 << 31)"));
    expect([error.message, error.code]).toEqual([tooLarge, "ERR_COLOOP_CONVERSION"]);
  });

  test("an integer as an argument leaves no exception behind", () => {
    const f = (value: number) => value + 1;
    expect(py.evalSync("call_despite(f, 1 << (1 << 31), 7)", { f })).toBe(8);
  });

  // Address space that nothing touches: no memory is used before the allocation fails.
  test("a buffer that there is no memory for", () => {
    const buffer = py.evalSync("(ctypes.c_char * (1 << 47)).from_address(4096)") as {
      $view(options: { copy: boolean }): unknown;
    };
    const error = thrown<Coded>(() => buffer.$view({ copy: true }));
    expect(error.code).toBe("ERR_COLOOP_CONVERSION");
  });

  const { MAX_LENGTH } = constants;
  const tooLong = `${MAX_LENGTH + 8} bytes are more than a JavaScript buffer can have, ${MAX_LENGTH}`;

  test.each(["char", "double"])("a buffer of c_%s with more bytes than one can have", (type) => {
    const code = `(ctypes.c_${type} * ((n + 8) // ctypes.sizeof(ctypes.c_${type}))).from_address(4096)`;
    const buffer = py.evalSync<PyProxy>(code, { n: MAX_LENGTH });
    const { buffers } = py.counters();
    for (const options of [undefined, { copy: true }]) {
      const error = thrown<Coded>(() => buffer.$view(options));
      expect(error.message).toBe(`${tooLong}; view it in parts, for example memoryview(x)[:n]`);
      expect(error.code).toBe("ERR_COLOOP_CONVERSION");
    }
    expect(py.counters()["buffers"]).toBe(buffers);
  });

  // Zeros that nobody has touched take no memory. From Node 22 on the limit is beyond any machine's.
  test.skipIf(MAX_LENGTH > 2 ** 40)("bytes that are longer than a buffer can be", () => {
    const error = thrown<Coded>(() => py.evalSync("bytes(n + 8)", { n: MAX_LENGTH }));
    expect(error.message).toBe(`${tooLong}; pass them in parts, or as a proxy with coloop.ref()`);
    expect(error.code).toBe("ERR_COLOOP_CONVERSION");
    const f = (value: number) => value + 1;
    expect(py.evalSync("call_despite(f, bytes(n + 8), 7)", { f, n: MAX_LENGTH })).toBe(8);
  });

  test.each(["None", "0.5"])("a list of more %s than an array can have", (item) => {
    const error = thrown<Coded>(() => py.evalSync(`[${item}] * (1 << 27)`));
    expect([error.message, error.code]).toEqual([
      "JavaScript could not make this list (is it too large?)",
      "ERR_COLOOP_CONVERSION",
    ]);
  });

  test("what is too large within a value has its path", () => {
    const code = "{'a': {1, (0, 1 << (1 << 31))}, 'b': 0}";
    const where = /^result\.a\[[01]\]\[1\]: /;
    expect(thrown<Coded>(() => py.evalSync(code)).message).toMatch(where);
    const caught = py.evalSync<string>("text_of(f, {'a': [{7: 1 << (1 << 31)}]})", { f: () => 1 });
    expect(caught).toBe(`TypeError: args[1].a[0][0]: ${tooLarge}`);
  });

  test("a sparse array as an argument", () => {
    const sparse: unknown[] = [];
    sparse[2e8] = 1;
    const error = thrown<Coded>(() => take({ sparse }));
    expect(error.message).toMatch(
      /^args\[0\]\.sparse: an array with 200000001 elements is too large .*ref\(\)$/,
    );
    expect(error.code).toBe("ERR_COLOOP_CONVERSION");
    expect(take(ref(sparse))).toBe(1);
  });
});

describe("odd awaitables", () => {
  py.execSync(`
class Odd:
    _asyncio_future_blocking = True
    def __init__(self, loop): self.loop = loop
    def get_loop(self): return self.loop
    def done(self): return False
    def result(self): return 7

class Eager(Odd):
    def add_done_callback(self, callback, **_):
        callback(self)
        callback(self)
        callback()

class Refusing(Odd):
    def add_done_callback(self, callback, **_): raise SystemExit(3)
`);

  test("one that settles while it is being subscribed to", async () => {
    expect(await py.evalSync("Eager(loop)", { loop: py.loop })).toBe(7);
  });

  test("one that cannot be subscribed to leaves no rejection that nobody handles", async () => {
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listener);
    expect(thrown<Error>(() => py.evalSync("Refusing(loop)", { loop: py.loop })).name).toBe(
      "SystemExit",
    );
    await new Promise((resolve) => setTimeout(resolve, 20));
    process.off("unhandledRejection", listener);
    expect(unhandled).toEqual([]);
  });
});

describe("handles and timers that were tampered with", () => {
  const tamper = (code: string): Promise<void> =>
    py.exec(
      `import asyncio\nloop = asyncio.get_running_loop()\n${code}\nawait asyncio.sleep(0.01)`,
    );

  test.each(["_callback", "_args", "_context"])("a Handle without %s", async (name) => {
    await tamper(`h = asyncio.Handle(print, (), loop)\nloop._add_callback(h)\ndel h.${name}`);
    expect(await py.eval("__import__('asyncio').sleep(0, 5)")).toBe(5);
  });

  test("a Handle that was never initialised", async () => {
    await tamper("loop._add_callback(asyncio.Handle.__new__(asyncio.Handle))");
    expect(await py.eval("__import__('asyncio').sleep(0, 5)")).toBe(5);
  });

  test("a cancelled timer that says it is scheduled takes no other's place", async () => {
    await py.exec(`
import asyncio
loop = asyncio.get_running_loop()
fired = loop.create_future()
h = loop.call_later(0, int)
await asyncio.sleep(0.01)
real = loop.call_later(0.02, fired.set_result, None)
h._scheduled = True
h.cancel()
for _ in range(3):
    loop._timer_handle_cancelled(h)
await asyncio.wait_for(fired, 5)
`);
  });

  test("the hosted loop cannot be closed, run or declared closed from Python", async () => {
    await py.exec(`
import asyncio
loop = asyncio.get_running_loop()
for attempt in (loop._close_native, loop._run_once, lambda: setattr(loop, "_closed", True),
                lambda: asyncio.BaseEventLoop.close(loop)):
    try:
        attempt()
    except RuntimeError:
        continue
    raise AssertionError(attempt)
assert not loop.is_closed()
`);
  });
});
