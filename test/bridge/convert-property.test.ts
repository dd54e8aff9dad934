import { inspect, isDeepStrictEqual } from "node:util";
import type { PyProxy } from "coloop";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkLeaks, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const values = py.import("fixture_values");
const buffers = py.import("fixture_buffers");

checkLeaks(py);

// Pairs of surrogates are one character in Python and come back as one; everything else is kept.
const text = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 })), {
    maxLength: 40,
  })
  .map((units) => String.fromCharCode(...units));

const number = fc.oneof(
  fc.double(),
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(-0, 0, Number.NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 5e-324),
);

const unsafe = fc
  .tuple(fc.bigInt(-(2n ** 300n), 2n ** 300n), fc.boolean())
  .map(([n]) => n)
  .filter((n) => n > BigInt(Number.MAX_SAFE_INTEGER) || n < BigInt(Number.MIN_SAFE_INTEGER));

const date = fc
  .integer({ min: Date.parse("0001-01-02T00:00:00Z"), max: Date.parse("9999-12-30T00:00:00Z") })
  .map((time) => new Date(time));

const primitive = fc.oneof(
  { weight: 3, arbitrary: number },
  { weight: 1, arbitrary: unsafe },
  { weight: 3, arbitrary: text },
  { weight: 1, arbitrary: fc.constantFrom(true, false, null) },
);

// Objects by setOwn: `__proto__` is a key like another.
function objectOf(entries: readonly (readonly [string, unknown])[]): object {
  const object = {};
  for (const [key, value] of entries) {
    Object.defineProperty(object, key, {
      value,
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return object;
}

const key = fc.oneof(text, fc.constantFrom("__proto__", "constructor", "0", "then", ""));

// Keys that are the same in Python as in JavaScript: true is 1 there, and -0 is 0.
const mapKey = fc.oneof(fc.integer({ min: 2, max: 1000 }), fc.string(), fc.constant(null), unsafe);

const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    primitive,
    date,
    fc.array(tie("value"), { maxLength: 6 }),
    fc.array(number, { minLength: 14, maxLength: 40 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 6 }).map(objectOf),
    fc
      .array(fc.tuple(mapKey, tie("value")), { minLength: 1, maxLength: 6 })
      .map((entries) => new Map<unknown, unknown>([[7, 7], ...entries])),
    fc
      .array(fc.oneof(fc.integer({ min: 2 }), fc.string()), { maxLength: 6 })
      .map((items) => new Set(items)),
  ),
}));

// Not `toStrictEqual`, which asks `constructor` for the type, a key like another here.
function equal(actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  expect.fail(`${inspect(actual, { depth: 9 })} is not ${inspect(expected, { depth: 9 })}`);
}

describe("round trips of values are equal", () => {
  test("nested values of every copied kind", () => {
    fc.assert(
      fc.property(value, (original) => {
        equal(values.echo(original), original);
      }),
      { numRuns: 500 },
    );
  });

  test("as an argument among others, and as a keyword", () => {
    fc.assert(
      fc.property(value, value, (one, other) => {
        const back = py.evalSync<unknown[]>("[a, b, a]", { a: one, b: other });
        equal(back, [one, other, one]);
        // Containers are shared; a Date is a value.
        if (!(one instanceof Date)) expect(Object.is(back[0], back[2])).toBe(true);
      }),
      { numRuns: 100 },
    );
  });

  test("numbers: the sign of zero, and what they are in Python", () => {
    fc.assert(
      fc.property(number, (original) => {
        expect(Object.is(values.echo(original), original)).toBe(true);
        const isInt = Number.isSafeInteger(original) && !Object.is(original, -0);
        expect(values.kind(original)).toBe(isInt ? "int" : "float");
      }),
      { numRuns: 500 },
    );
  });

  test("big integers: value and text", () => {
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 200n), 2n ** 200n), (original) => {
        expect(values.text(original)).toBe(String(original));
        expect(BigInt(values.echo(original) as bigint)).toBe(original);
      }),
      { numRuns: 300 },
    );
  });

  test("text: every code unit", () => {
    fc.assert(
      fc.property(text, (original) => {
        expect(values.echo(original)).toBe(original);
        const points = [...original].map((character) => character.codePointAt(0));
        expect(values.code_points(original)).toEqual(points);
      }),
      { numRuns: 500 },
    );
  });

  test("dates", () => {
    fc.assert(
      fc.property(date, (original) => {
        expect((values.echo(original) as Date).getTime()).toBe(original.getTime());
        expect(values.is_utc(original)).toBe(true);
        const iso = (values.iso(original) as string).replace("+00:00", "");
        const padded = iso.includes(".") ? iso.slice(0, 23) : `${iso}.000`;
        expect(`${padded}Z`).toBe(original.toISOString());
      }),
      { numRuns: 300 },
    );
  });

  test("bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (original) => {
        expect(buffers.copy_of(original)).toStrictEqual(original);
      }),
    );
  });

  test("typed arrays keep their elements, and their memory", () => {
    const arrays = fc.oneof<fc.Arbitrary<ArrayBufferView & ArrayLike<number | bigint>>[]>(
      fc.int8Array(),
      fc.uint8Array(),
      fc.int16Array(),
      fc.uint16Array(),
      fc.int32Array(),
      fc.uint32Array(),
      fc.float32Array({ noNaN: true }),
      fc.float64Array({ noNaN: true }),
      fc.bigInt64Array(),
      fc.bigUint64Array(),
    );
    fc.assert(
      fc.property(arrays, (original) => {
        const items = Array.from(original as ArrayLike<number | bigint>, Number);
        expect((buffers.items(original) as unknown[]).map(Number)).toEqual(items);
        const back = buffers.back(original) as PyProxy;
        const view = back.$view();
        back.$dispose();
        expect(view.byteLength).toBe(original.byteLength);
        if (view.byteLength > 0)
          expect(Array.from(view as ArrayLike<number>, Number)).toEqual(items);
      }),
      { numRuns: 200 },
    );
  });
});

describe("the shape of references is kept", () => {
  // A graph: containers by number, and which holds which. Shared references and cycles are usual.
  const graph = fc
    .integer({ min: 1, max: 8 })
    .chain((size) =>
      fc.tuple(
        fc.array(fc.constantFrom("list", "object", "map"), { minLength: size, maxLength: size }),
        fc.array(
          fc.tuple(fc.integer({ min: 0, max: size - 1 }), fc.integer({ min: 0, max: size - 1 })),
          { maxLength: 20 },
        ),
      ),
    );

  type Container = unknown[] | Record<string, unknown> | Map<unknown, unknown>;

  function build(
    kinds: readonly string[],
    edges: readonly (readonly [number, number])[],
  ): Container {
    const nodes = kinds.map((kind, i): Container => {
      if (kind === "list") return [i];
      return kind === "object" ? { id: i } : new Map<unknown, unknown>([[-1, i]]);
    });
    edges.forEach(([from, to], i) => {
      const node = nodes[from] as Container;
      if (Array.isArray(node)) node.push(nodes[to]);
      else if (node instanceof Map) node.set(i, nodes[to]);
      else node[`edge${i}`] = nodes[to];
    });
    return nodes[0] as Container;
  }

  /** The graph as text: containers are numbered in the order in which they are met. */
  function shape(root: unknown): string {
    const seen = new Map<unknown, number>();
    const walk = (node: unknown): unknown => {
      if (typeof node !== "object" || node === null) return node;
      const known = seen.get(node);
      if (known !== undefined) return `#${known}`;
      seen.set(node, seen.size);
      if (Array.isArray(node)) return ["list", ...node.map(walk)];
      if (node instanceof Map) return ["map", ...[...node].map(([k, v]) => [k, walk(v)])];
      return ["object", ...Object.entries(node).map(([k, v]) => [k, walk(v)])];
    };
    return JSON.stringify(walk(root));
  }

  test("any graph of lists, objects and Maps", () => {
    fc.assert(
      fc.property(graph, ([kinds, edges]) => {
        const original = build(kinds, edges);
        expect(shape(values.echo(original))).toBe(shape(original));
      }),
      { numRuns: 500 },
    );
  });
});

describe("round trips of what is not copied are identical", () => {
  const makers: (() => unknown)[] = [
    () => () => 1,
    () => class A {},
    () => new URL("http://a/"),
    () => /a/,
    () => new Error("e"),
    () => Promise.resolve(1),
    () => [1].values(),
    () => new WeakSet(),
    () => new (class B {})(),
    () => values.plain,
    () => values.Plain,
    () => values.module,
  ];
  const opaque = fc.constantFrom(...makers).map((make) => make());

  function walk(one: unknown, other: unknown): void {
    if (Array.isArray(one)) {
      expect(Array.isArray(other)).toBe(true);
      one.forEach((item, i) => void walk(item, (other as unknown[])[i]));
    } else if (one instanceof Map) {
      for (const [key, item] of one) walk(item, (other as Map<unknown, unknown>).get(key));
    } else {
      expect(Object.is(one, other)).toBe(true);
    }
  }

  test("alone and within containers", () => {
    const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4, depthSize: "small" },
        opaque,
        fc.array(tie("tree"), { maxLength: 4 }),
        fc
          .array(fc.tuple(fc.integer(), tie("tree")), { minLength: 1, maxLength: 4 })
          .map((entries) => new Map(entries)),
      ),
    }));
    fc.assert(
      fc.property(tree, (original) => walk(original, values.echo(original))),
      { numRuns: 300 },
    );
  });
});

describe("what cannot cross is named by its path", () => {
  const step = fc.oneof(
    fc.integer({ min: 0, max: 4 }),
    fc.constantFrom("items", "x", "longer_name"),
  );

  test("a symbol at the end of any path", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (path) => {
        const bad: unknown = path.reduceRight<unknown>(
          (inner, at) =>
            typeof at === "number" ? [...Array<null>(at).fill(null), inner] : { a: 1, [at]: inner },
          Symbol("s"),
        );
        const error = thrown<{ code: string; message: string }>(() => values.echo(bad));
        const where = path.map((at) => (typeof at === "number" ? `[${at}]` : `.${at}`)).join("");
        expect(error.code).toBe("ERR_COLOOP_CONVERSION");
        expect(error.message).toBe(`args[0]${where}: a symbol cannot cross to Python`);
      }),
    );
  });

  test("what Python refuses: an unhashable member of a Set", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 10 }), (path) => {
        const bad: unknown = path.reduceRight<unknown>(
          (inner, at) =>
            typeof at === "number" ? [...Array<null>(at).fill(null), inner] : { a: 1, [at]: inner },
          new Set([[]]),
        );
        const error = thrown<{ code: string; message: string }>(() => values.echo(bad));
        const where = path.map((at) => (typeof at === "number" ? `[${at}]` : `.${at}`)).join("");
        expect(error.code).toBe("ERR_COLOOP_CONVERSION");
        expect(error.message).toBe(`args[0]${where}[0]: TypeError: unhashable type: 'list'`);
      }),
      { numRuns: 50 },
    );
  });
});
