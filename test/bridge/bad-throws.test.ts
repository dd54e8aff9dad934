// JavaScript that throws anything, settles with anything or never; Python whose exceptions misbehave.

import { inspect } from "node:util";
import { kw, type PyProxy, type PythonError, ref } from "coloop";
import { describe, expect, test } from "vitest";
import { atLeast, checkLeaks, rejected, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const errors = py.import("fixture_errors");
const bad = py.import("fixture_bad");

checkLeaks(py);

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function fail(): never {
  throw new Error("trap");
}

function errorOfTraps(): Error {
  const error = new Error("hidden");
  Object.defineProperties(error, { name: { get: fail }, message: { get: fail } });
  return error;
}

// Each with what Python's `str()` of it says.
const values: [string, () => unknown, RegExp][] = [
  ["undefined", () => undefined, /^thrown: undefined$/],
  ["null", () => null, /^thrown: null$/],
  ["a number", () => 5, /^thrown: 5$/],
  ["NaN", () => Number.NaN, /^thrown: NaN$/],
  ["a bigint", () => 10n ** 30n, /^thrown: 10+n$/],
  ["false", () => false, /^thrown: false$/],
  ["a string", () => "text", /^thrown: 'text'$/],
  ["a lone surrogate", () => "\ud800", /^thrown: '.*'$/],
  ["a symbol", () => Symbol("s"), /^thrown: Symbol\(s\)$/],
  ["an object", () => ({ a: 1 }), /^thrown: { a: 1 }$/],
  ["an object with what cannot cross", () => ({ a: Symbol("s") }), /^thrown: { a: Symbol/],
  ["an object without prototype", () => Object.create(null), /^thrown: .*null prototype/],
  ["an array", () => [1], /^thrown: \[ 1 \]$/],
  ["a function", () => () => 1, /^thrown: \[Function/],
  ["an invalid Date", () => new Date(Number.NaN), /^thrown: Invalid Date$/],
  ["a promise", () => Promise.resolve(1), /^thrown: Promise/],
  ["kw()", () => kw({ a: 1 }), /^thrown: /],
  ["ref()", () => ref({}), /^thrown: /],
  ["a revoked proxy", () => revoked({}), /^thrown: <Revoked Proxy>$/],
  ["a revoked function", () => revoked(() => 1), /^thrown: <Revoked Proxy>$/],
  [
    "a proxy whose traps throw",
    () => new Proxy({}, { get: fail, getPrototypeOf: fail }),
    /^thrown/,
  ],
  ["an error whose getters throw", errorOfTraps, /^Error$/],
  ["an object that cannot be inspected", () => ({ [inspect.custom]: fail }), /cannot be shown$/],
  ["an AggregateError", () => new AggregateError([1], "many"), /^AggregateError: many$/],
];

const promiseOf = async (value: unknown): Promise<never> => {
  throw value;
};

/** What comes out where `fn` is expected to throw. */
function caught(fn: () => unknown): { value: unknown } {
  try {
    fn();
  } catch (value) {
    return { value };
  }
  throw new Error("nothing was thrown");
}

async function reason(promise: Promise<unknown>): Promise<{ value: unknown }> {
  return await promise.then(
    () => {
      throw new Error("the promise was fulfilled");
    },
    (value: unknown) => ({ value }),
  );
}

describe.each(values)("JavaScript throws %s", (_name, make, text) => {
  const value = make();
  const throwIt = (): never => {
    throw value;
  };
  const expectSame = (outcome: { value: unknown }) =>
    expect(Object.is(outcome.value, value)).toBe(true);

  test("it is a JsError in Python", () => {
    expect(errors.call_and_catch(throwIt)).toMatchObject({
      type: "JsError",
      text: expect.stringMatching(text),
      is_exception: true,
    });
  });

  test("it is itself on arrival: function, getter, generator, thread", async () => {
    expectSame(caught(() => errors.call(throwIt)));
    const object = Object.defineProperty({}, "x", { get: throwIt });
    expectSame(caught(() => py.evalSync("o.x", { o: ref(object) })));
    function* generate() {
      yield 1;
      throwIt();
    }
    expectSame(caught(() => py.evalSync("list(g)", { g: generate() })));
    const call = py.call("asyncio", "to_thread", [throwIt]);
    expectSame(await reason(call));
  });

  test("it is itself on arrival: promise, thenable, async generator", async () => {
    expectSame(await reason(py.eval("await p", { p: promiseOf(value) })));
    // biome-ignore lint/suspicious/noThenProperty: a thenable is what is tested
    const thenable = Object.defineProperty({}, "then", {
      value: (_resolve: unknown, reject: (value: unknown) => void) => reject(value),
    });
    expectSame(await reason(py.eval("await t", { t: thenable })));
    async function* generate() {
      yield 1;
      throwIt();
    }
    expectSame(await reason(py.eval("[x async for x in g]", { g: generate() })));
  });

  test("it is itself when a Python generator that it is thrown into lets it through", async () => {
    const stream = py.stream("fixture_bad", "two", [], { highWaterMark: 0 });
    await stream.next();
    expectSame(await reason((stream.throw as (value: unknown) => Promise<unknown>)(value)));
  });
});

describe("JavaScript that breaks its protocols", () => {
  test("an iterator that gives no object is an error, not an endless loop", async () => {
    const iterable = ref({ [Symbol.iterator]: () => ({ next: () => 5 }) });
    expect(thrown(() => py.evalSync("list(o)", { o: iterable }))).toMatchObject({
      code: "ERR_COLOOP_ARGUMENT",
      message: "next() of this JavaScript iterator gave 5, which is not an object",
    });
    const none = ref({ [Symbol.iterator]: () => undefined });
    expect(thrown(() => py.evalSync("list(o)", { o: none })).message).toMatch(/no iterator/);
    class Async {
      [Symbol.asyncIterator]() {
        return { next: () => undefined };
      }
    }
    const error = await rejected(py.eval("[x async for x in o]", { o: new Async() }));
    expect(error.message).toMatch(/gave undefined, which is not an object/);
  });

  test("iterators without a length become lists", () => {
    expect(py.evalSync("list(o)", { o: [1, 2].values() })).toEqual([1, 2]);
    const error = thrown<PythonError>(() => py.evalSync("len(o)", { o: ref({}) }));
    expect(error.pythonType).toBe("TypeError");
    expect(error.message).toBe("this JavaScript object has no length");
  });

  test("a promise that never settles: a time-out and wait_for end the wait", async () => {
    const never = new Promise(() => {});
    const error = await rejected(py.eval("await p", { p: never }, { timeout: 10 }));
    expect(error).toMatchObject({ code: "ERR_COLOOP_TIMEOUT" });
    const code = "await asyncio.wait_for(p, 0.01)";
    const late = await rejected(py.eval(code, { p: never, asyncio: py.import("asyncio") }));
    expect(late).toMatchObject({ code: "ERR_COLOOP_TIMEOUT", pythonType: expect.any(String) });
  });
});

describe("a missing property", () => {
  test("is Python's error, also after garbage was collected", async () => {
    const o = ref({});
    for (let i = 0; i < 3; i += 1) {
      globalThis.gc?.();
      await new Promise((resolve) => setImmediate(resolve));
      expect(py.evalSync("hasattr(o, 'nope')", { o })).toBe(false);
      const error = thrown<PythonError>(() => py.evalSync("o.nope", { o }));
      expect(error.pythonType).toBe("AttributeError");
      expect(error.message).toBe("the JavaScript object has no property 'nope'");
    }
  });
});

describe("Python's exceptions that misbehave", () => {
  test.each([
    ["StrRecurses", /its __str__ raised RecursionError/],
    ["StrExits", /its __str__ raised SystemExit/],
    ["StrInterrupts", /its __str__ raised KeyboardInterrupt/],
    ["StrIsBytes", /its __str__ raised TypeError/],
    ["Surrogates", /^a\udcff\ud800b$/],
    ["ClassWithoutName", /^word$/],
    ["ModuleIsNumber", /^word$/],
    ["CauseExits", /^word$/],
    ["TracebackInterrupts", /^word$/],
    ["ClassRaises", /^word$/],
    ["EverythingRaises", /^word$/],
    ["Unhashable", /^word$/],
    ["NotesAreNumber", /^word$/],
  ])("%s is told as itself", async (name, message) => {
    const kind = bad[name];
    for (const error of [
      thrown<PythonError>(() => bad.fail(kind, "word")),
      await rejected<PythonError>(bad.fail_async(kind, "word")),
      kind("word") as PythonError,
    ]) {
      expect(error.code).toBe("ERR_COLOOP_PYTHON");
      expect(error.name).toBe(name);
      expect(error.message).toMatch(message);
      expect(error.traceback).toContain(name);
    }
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test.each(["ReprRecurses", "ReprExits"])("%s: asking raises, looking does not", (name) => {
    const object = bad[name]() as PyProxy;
    const type = name === "ReprExits" ? "SystemExit" : "RecursionError";
    for (const ask of [() => object.$repr(), () => String(object), () => JSON.stringify(object)]) {
      expect(thrown<PythonError>(ask).pythonType).toBe(type);
    }
    expect(inspect([object])).toBe(`[ [PyProxy: ${name} whose __repr__ raises] ]`);
    expect(thrown(() => bad.fail(py.import("builtins").KeyError, object)).message).toMatch(
      new RegExp(`its __str__ raised ${type}`),
    );
  });

  test("SystemExit wherever JavaScript asks", async () => {
    const object = bad.Exits() as PyProxy;
    for (const ask of [
      () => object.x,
      () => "x" in object,
      () => [...object],
      () => Object.keys(object),
      () => object[0],
      () => object(),
      () => object.length,
    ]) {
      expect(thrown<PythonError>(ask).pythonType).toBe("SystemExit");
    }
    const leave = async () => {
      for await (const _ of py.stream("fixture_bad", "leaves"));
    };
    expect((await rejected<PythonError>(leave())).pythonType).toBe("SystemExit");
    const inThread = py.call("asyncio", "to_thread", [errors.exit_by_sys]);
    expect((await rejected<PythonError>(inThread)).pythonType).toBe("SystemExit");
    expect(await py.eval("1 + 1")).toBe(2);
  });

  test.runIf(atLeast(py, 3, 11))("a group of exceptions that misbehave", () => {
    const group = thrown<PythonError>(() => bad.group());
    expect((group.errors as PythonError[]).map((error) => error.name)).toEqual([
      "StrRecurses",
      "EverythingRaises",
    ]);
  });
});
