// Values that cannot cross: a stable code, the path to the value, the reason; and nothing is left behind.

import { kw, type PyProxy, ref } from "coloop";
import { describe, expect, test } from "vitest";
import { hostCount } from "../../src/table.js";
import { collectUntil } from "../helpers/gc.js";
import { checkLeaks, rejected, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const take = py.evalSync<PyProxy>("lambda *args, **kwargs: None");

checkLeaks(py);

interface Refused {
  readonly code: string;
  readonly message: string;
  readonly cause?: unknown;
}

function nested(depth: number): unknown[] {
  let list: unknown[] = [];
  for (let i = 0; i < depth; i += 1) list = [list];
  return list;
}

function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

function disposed(): unknown {
  const proxy = py.evalSync<{ $dispose(): void }>("object()");
  proxy.$dispose();
  return proxy;
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function trapped(trap: string): object {
  return new Proxy(
    {},
    {
      [trap]: () => {
        throw new Error(`in ${trap}`);
      },
    },
  );
}

const conversion = "ERR_COLOOP_CONVERSION";

// What it is, a maker, where within the value the fault is, the reason, and the code.
const kinds: [string, () => unknown, string, RegExp, string][] = [
  ["a symbol", () => Symbol("s"), "", /a symbol cannot cross/, conversion],
  ["an invalid Date", () => new Date(Number.NaN), "", /an invalid Date/, conversion],
  ["a Date beyond year 9999", () => new Date(8.64e15), "", /OverflowError/, conversion],
  ["a detached ArrayBuffer", detached, "", /detached.*before it is transferred/, conversion],
  [
    "a resizable ArrayBuffer",
    () => Reflect.construct(ArrayBuffer, [4, { maxByteLength: 8 }]),
    "",
    /resizable.*pass a copy/,
    conversion,
  ],
  ["kw() that is no last argument", () => [kw({ a: 1 })], "[0]", /must be the last/, conversion],
  ["a list in a Set", () => new Set([[1]]), "[0]", /unhashable type: 'list'/, conversion],
  ["an object as a key", () => new Map([[{}, 1]]), "[key 0]", /unhashable/, conversion],
  ["a disposed proxy", disposed, "", /the proxy is disposed/, "ERR_COLOOP_DISPOSED"],
  ["a revoked proxy", () => revoked({}), "", /reading it threw TypeError.*revoked/, conversion],
  ["a revoked proxy of an array", () => revoked([]), "", /reading it threw.*revoked/, conversion],
  ["getPrototypeOf that throws", () => trapped("getPrototypeOf"), "", /Error: in get/, conversion],
  ["ownKeys that throws", () => trapped("ownKeys"), "", /Error: in ownKeys/, conversion],
  [
    "a getter that throws",
    () => ({
      get x() {
        throw new RangeError("in a getter");
      },
    }),
    "",
    /reading it threw RangeError: in a getter/,
    conversion,
  ],
  [
    "a getter that throws undefined",
    () => ({
      get x() {
        throw undefined;
      },
    }),
    "",
    /reading it threw undefined/,
    conversion,
  ],
  [
    "a then that throws when it is read",
    () =>
      // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
      Object.defineProperty({}, "then", {
        get() {
          throw new Error("in then");
        },
      }),
    "",
    /reading it threw Error: in then/,
    conversion,
  ],
];

function expectRefused(error: Refused, path: string, reason: RegExp, code: string): void {
  expect(error).toBeInstanceOf(TypeError);
  expect(error.message.startsWith(`${path}: `), error.message).toBe(true);
  expect(error.message).toMatch(reason);
  expect(error.code).toBe(code);
}

describe.each(kinds)("%s", (_name, make, within, reason, code) => {
  test("is named by its path among the arguments", () => {
    const items = { items: [0, make()] };
    expectRefused(
      thrown(() => take(1, items)),
      `args[1].items[1]${within}`,
      reason,
      code,
    );
    const map = new Map([["key", make()]]);
    expectRefused(
      thrown(() => take(map)),
      `args[0].key${within}`,
      reason,
      code,
    );
  });

  test("is named by its keyword", () => {
    const value = make();
    expectRefused(
      thrown(() => take(kw({ word: [value] }))),
      `kwargs.word[0]${within}`,
      reason,
      code,
    );
  });

  test("rejects py.call", async () => {
    const error = await rejected<Refused>(py.call("builtins", "print", [make(), 1]));
    expectRefused(error, `args[0]${within}`, reason, code);
  });

  test("raises where Python called the function that returned it", () => {
    const error = thrown<Refused>(() => py.evalSync("f()", { f: () => ({ items: [make()] }) }));
    expect(error.message).toMatch(reason);
    expect(error.message.startsWith(`result.items[0]${within}: `), error.message).toBe(true);
  });

  test("raises where Python awaits the promise that is fulfilled with it", async () => {
    const promise = Promise.resolve({ items: [make()] });
    const error = await rejected<Refused>(py.eval("await promise", { promise }));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(reason);
  });

  test("leaves nothing behind, and Python goes on", async () => {
    const before = hostCount();
    for (let i = 0; i < 20; i += 1) thrown(() => take(() => i, { i: () => i }, [make()]));
    for (let i = 0; i < 20; i += 1) thrown(() => take(() => i, kw({ list: [make()] })));
    await collectUntil(() => hostCount() <= before, "back at the former count");
    expect(py.evalSync("1 + 1")).toBe(2);
  });
});

describe("names in errors", () => {
  test("locals, keys and values are called so", async () => {
    const value = { a: [Symbol("s")] };
    expect(thrown(() => py.evalSync("x", { x: value })).message).toMatch(/^locals\.x\.a\[0\]: /);
    expect(thrown(() => py.execSync("x", { x: value })).message).toMatch(/^locals\.x\.a\[0\]: /);
    expect((await rejected(py.eval("x", { x: value }))).message).toMatch(/^locals\.x\.a\[0\]: /);
    const proxy = py.import("builtins").dict.$with({ ref: true })() as PyProxy;
    expect(thrown(() => proxy.$get(Symbol("k"))).message).toMatch(/^key: a symbol/);
    expect(thrown(() => proxy.$set("k", value)).message).toMatch(/^value\.a\[0\]: a symbol/);
    const set = () => {
      Reflect.set(py.globals, "some_name", value);
    };
    expect(thrown(set).message).toMatch(/^value\.a\[0\]: a symbol/);
  });

  test("the error has what was thrown as its cause", () => {
    const cause = new Error("inner");
    const object = {
      get x() {
        throw cause;
      },
    };
    expect(thrown<Refused>(() => take(object)).cause).toBe(cause);
  });

  test("nesting beyond the limit names its argument and the remedy", () => {
    const error = thrown<Refused>(() => take(1, nested(5000)));
    expect(error.code).toBe(conversion);
    expect(error.message).toMatch(/^args\[1\]: nested deeper than 1000 levels; .*ref\(\)/);
    expect(take(1, ref(nested(5000)))).toBeNull();
  });
});

describe("what only looks bad crosses by reference", () => {
  test.each<[string, () => unknown]>([
    ["a revoked function", () => revoked(() => 1)],
    ["a function whose traps throw", () => new Proxy(() => 1, { get: () => JSON.parse("{") })],
    ["a WeakMap", () => new WeakMap()],
    ["a boxed string", () => new String("x")],
  ])("%s", (_name, make) => {
    const value = make();
    let seen: unknown;
    py.evalSync("f(x)", {
      x: value,
      f: (argument: unknown) => {
        seen = argument;
      },
    });
    expect(Object.is(seen, value)).toBe(true);
  });

  test("calling a revoked function raises, and the error is JavaScript's own", () => {
    const error = thrown(() => py.evalSync("f()", { f: revoked(() => 1) }));
    expect(error.message).toMatch(/revoked/);
  });
});
