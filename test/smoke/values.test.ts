// Values of every kind of docs/conversion.md, each way.

import { describe, expect, test } from "vitest";
import { type PyProxy, ref } from "../../src/index.js";
import { startPython } from "../helpers/python.js";

const py = await startPython();

describe("to Python", () => {
  const cases: [title: string, value: unknown, type: string, repr: string][] = [
    ["an integer", 42, "int", "42"],
    ["the largest safe integer", Number.MAX_SAFE_INTEGER, "int", "9007199254740991"],
    ["a number beyond the safe range", 2 ** 53, "float", "9007199254740992.0"],
    ["a fraction", 0.1, "float", "0.1"],
    ["minus zero", -0, "float", "-0.0"],
    ["NaN", Number.NaN, "float", "nan"],
    ["an infinity", Number.NEGATIVE_INFINITY, "float", "-inf"],
    ["a bigint", -(2n ** 70n), "int", "-1180591620717411303424"],
    ["an empty string", "", "str", "''"],
    ["Latin-1", "é", "str", "'é'"],
    ["a character of the upper planes", "\u{1f40d}", "str", "'\u{1f40d}'"],
    ["a lone surrogate", "\ud800", "str", String.raw`'\ud800'`],
    ["a string with NUL", "a\0b", "str", String.raw`'a\x00b'`],
    ["true", true, "bool", "True"],
    ["null", null, "NoneType", "None"],
    ["undefined", undefined, "NoneType", "None"],
    ["an array", [1, "a", [null]], "list", "[1, 'a', [None]]"],
    ["a plain object", { b: 1, a: [2] }, "dict", "{'b': 1, 'a': [2]}"],
    ["a Map", new Map<unknown, unknown>([[1, 2]]), "dict", "{1: 2}"],
    ["a Set", new Set(["x"]), "set", "{'x'}"],
    [
      "a Date",
      new Date(Date.UTC(2024, 1, 29, 12, 30, 15, 250)),
      "datetime",
      "datetime.datetime(2024, 2, 29, 12, 30, 15, 250000, tzinfo=datetime.timezone.utc)",
    ],
  ];
  test.each(cases)("%s", (_, value, type, repr) => {
    expect(py.evalSync("type(v).__name__, repr(v)", { v: value })).toEqual([type, repr]);
  });

  const arrays: [ArrayBufferView, format: string][] = [
    [new Int8Array([1, 2]), "b"],
    [new Uint8Array([1, 2]), "B"],
    [new Int16Array([1, 2]), "h"],
    [new Uint32Array([1, 2]), "I"],
    [new BigInt64Array([1n, 2n]), "q"],
    [new Float32Array([1, 2]), "f"],
    [new Float64Array([1, 2]), "d"],
    [Buffer.from([1, 2]), "B"],
  ];
  test.each(arrays)("memory is shared: %o", (array, format) => {
    const seen = py.evalSync("(v.format, v.itemsize * len(v), v.tolist())", { v: array });
    expect(seen).toEqual([format, array.byteLength, [1, 2]]);
    py.execSync("v[1] = 7", { v: array });
    expect(Number(Reflect.get(array, 1))).toBe(7);
  });
});

describe("to JavaScript", () => {
  const cases: [expression: string, expected: unknown][] = [
    ["42", 42],
    ["2 ** 53 - 1", Number.MAX_SAFE_INTEGER],
    ["2 ** 53", 2n ** 53n],
    ["-(10 ** 40)", -(10n ** 40n)],
    ["1.5", 1.5],
    ["-0.0", -0],
    ["float('nan')", Number.NaN],
    ["'a\\0\\U0001f40d\\ud800'", "a\0\u{1f40d}\ud800"],
    ["True", true],
    ["None", null],
    ["[1, (2, 3), []]", [1, [2, 3], []]],
    ["{'a': {'b': None}}", { a: { b: null } }],
    ["{1, 2}", new Set([1, 2])],
    ["frozenset('a')", new Set(["a"])],
    ["b'\\x00\\xff'", new Uint8Array([0, 255])],
    ["bytearray(b'ab')", new Uint8Array([97, 98])],
    [
      "__import__('datetime').datetime(2024, 2, 29, tzinfo=__import__('datetime').timezone.utc)",
      new Date(Date.UTC(2024, 1, 29)),
    ],
  ];
  test.each(cases)("%s", (expression, expected) => {
    expect(py.evalSync(expression)).toStrictEqual(expected);
  });

  test("a dict with other keys is a Map", () => {
    const map = py.evalSync<Map<unknown, unknown>>("{1: 'a', (2, 3): 'b', None: 'c'}");
    expect([...map]).toEqual([
      [1, "a"],
      [[2, 3], "b"],
      [null, "c"],
    ]);
  });

  test("a key such as __proto__ is data", () => {
    const object = py.evalSync<object>("{'__proto__': 1, 'constructor': 2}");
    expect(Object.entries(object)).toEqual([
      ["__proto__", 1],
      ["constructor", 2],
    ]);
    expect(Object.getPrototypeOf(object)).toBe(Object.prototype);
  });

  test("an array of Python's is a typed array over its memory", () => {
    const array = py.evalSync<PyProxy>("__import__('array').array('d', [1.5, 2.5])");
    const view = array.$view() as Float64Array;
    view[0] = 9;
    expect(view).toBeInstanceOf(Float64Array);
    expect(array[0]).toBe(9);
  });

  test("what Python holds immutable is not aliased", () => {
    const bytes = py.evalSync<PyProxy>("memoryview(b'ab')");
    expect(() => bytes.$view()).toThrow(expect.objectContaining({ code: "ERR_COLOOP_READ_ONLY" }));
    expect(bytes.$view({ copy: true })).toEqual(new Uint8Array([97, 98]));
  });
});

describe("there and back", () => {
  test("100,000 integers and strings", () => {
    const list = Array.from({ length: 100_000 }, (_, i) => (i % 2 ? i : `text ${i}`));
    expect(py.evalSync("v", { v: list })).toEqual(list);
  });

  test("sizes of integers around every power of two", () => {
    const integers = Array.from({ length: 130 }, (_, bits) => 2n ** BigInt(bits));
    const all = integers.flatMap((n) => [n - 1n, n, n + 1n, -n]);
    const back = py.evalSync<(number | bigint)[]>("v", { v: all });
    expect(back.map(BigInt)).toEqual(all);
  });

  test("shared references and cycles", () => {
    const shared = { n: 1 };
    const list: unknown[] = [shared, shared];
    list.push(list);
    const back = py.evalSync<unknown[]>("v", { v: list });
    expect(back[0]).toBe(back[1]);
    expect(back[2]).toBe(back);
  });

  test("by reference: JavaScript's own array, Python's own list", () => {
    const list = [1];
    py.execSync("v.push(2)", { v: ref(list) });
    expect(list).toEqual([1, 2]);
    const own = py.evalSync<PyProxy>("__import__('coloop').ref([1])");
    own.append(2);
    expect(own.$toJs()).toEqual([1, 2]);
  });

  test("a thousand levels are the limit, and an error", () => {
    let deep: unknown = 1;
    for (let i = 0; i < 2000; i++) deep = [deep];
    expect(() => py.evalSync("v", { v: deep })).toThrow(
      expect.objectContaining({ code: "ERR_COLOOP_CONVERSION" }),
    );
    py.execSync("deep = 1\nfor i in range(2000): deep = [deep]");
    expect(() => py.evalSync("deep")).toThrow(
      expect.objectContaining({ code: "ERR_COLOOP_CONVERSION" }),
    );
  });
});
