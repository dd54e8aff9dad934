// Python objects in JavaScript and JavaScript objects in Python.

import { inspect } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { isPyProxy, kw, type PyProxy } from "../../src/index.js";
import { startPython } from "../helpers/python.js";

const py = await startPython();

beforeAll(() => {
  py.execSync(`
class Point:
    kind = "point"
    def __init__(self, x, y=0, *, name="p"):
        self.x, self.y, self.name = x, y, name
    def __repr__(self):
        return f"Point({self.x}, {self.y})"
    def __len__(self):
        return 2
    def __iter__(self):
        yield self.x
        yield self.y
    def __eq__(self, other):
        return isinstance(other, Point) and self.x == other.x
    __hash__ = None
    @property
    def broken(self):
        raise ValueError("a property")
    def shift(self, by=1, *, axis="x"):
        setattr(self, axis, getattr(self, axis) + by)
        return self
class Table(dict):
    pass
table = Table(a=1)
`);
});

describe("of Python's in JavaScript", () => {
  const make = (...args: unknown[]): PyProxy => new py.globals.Point(...args) as PyProxy;

  test("a class makes instances", () => {
    const point = make(1, kw({ name: "q" }));
    expect([point.x, point.y, point.name, point.kind]).toEqual([1, 0, "q", "point"]);
    expect(isPyProxy(point)).toBe(true);
  });

  test("attributes: set, delete, in, keys", () => {
    const point = make(1);
    point.x = 5;
    point.z = [1];
    expect([point.x, point.z, "z" in point]).toEqual([5, [1], true]);
    delete point.z;
    expect("z" in point).toBe(false);
    expect(Object.keys(point)).toEqual(["broken", "kind", "name", "shift", "x", "y"]);
  });

  test("a missing attribute and a property that raises", () => {
    expect(() => make(1).nope).toThrow(expect.objectContaining({ name: "AttributeError" }));
    expect(() => make(1).broken).toThrow("a property");
  });

  test("methods chain, and are the same object's", () => {
    const point = make(1);
    expect(point.shift(2).shift.$with({ kwargs: { axis: "y" } })(3)).toBe(point);
    expect([point.x, point.y]).toEqual([3, 3]);
  });

  test("iteration, length, spread", () => {
    expect([...(make(3, 4) as Iterable<number>)]).toEqual([3, 4]);
    expect(make(3).length).toBe(2);
  });

  test("repr, str, inspect, type", () => {
    const point = make(1, 2);
    expect([String(point), point.$repr(), point.$type]).toEqual([
      "Point(1, 2)",
      "Point(1, 2)",
      "Point",
    ]);
    expect(inspect(point)).toContain("Point(1, 2)");
  });

  test("items by keys of any kind", () => {
    const table = py.evalSync<PyProxy>("__import__('coloop').ref(table)");
    table.$set(7, "seven");
    expect([table.$get("a"), table.$get(7), table.$has(7), table.$has(8)]).toEqual([
      1,
      "seven",
      true,
      false,
    ]);
    table.$delete(7);
    expect(table.$has(7)).toBe(false);
    expect(() => table.$get(7)).toThrow(expect.objectContaining({ name: "KeyError" }));
  });

  test("identity in both directions", () => {
    const point = make(1);
    expect(py.evalSync("p", { p: point })).toBe(point);
    expect(py.evalSync("a is b", { a: point, b: point })).toBe(true);
  });

  test("arithmetic of what is a number", () => {
    const half = new (py.import("fractions").Fraction as new (...args: number[]) => number)(1, 2);
    expect(Number(half)).toBe(0.5);
    expect(
      new (py.import("decimal").Decimal as new (text: string) => object)("1.10").toString(),
    ).toBe("1.10");
  });

  test("disposed, it says so", () => {
    const point = make(1);
    point.$dispose();
    expect(() => point.x).toThrow(expect.objectContaining({ code: "ERR_COLOOP_DISPOSED" }));
    point.$dispose();
  });

  test("an awaitable object is awaited", async () => {
    py.execSync("class Later:\n    def __await__(self):\n        yield\n        return 5");
    expect(await py.eval("await later", { later: new py.globals.Later() })).toBe(5);
  });

  test("modules, nested attributes and builtins", () => {
    expect(py.import("os.path").join("a", "b")).toBe("a/b");
    expect(py.import("collections").OrderedDict.fromkeys(["x"])).toEqual({ x: null });
    expect(py.import("builtins").sorted([3, 1, 2], kw({ reverse: true }))).toEqual([3, 2, 1]);
  });

  test("generators: to the end, and closed when left", () => {
    py.execSync(`
ended = []
def numbers(n):
    try:
        yield from range(n)
    finally:
        ended.append(n)
`);
    expect([...(py.globals.numbers(3) as Iterable<number>)]).toEqual([0, 1, 2]);
    for (const n of py.globals.numbers(100) as Iterable<number>) if (n === 2) break;
    expect(py.evalSync("ended")).toEqual([3, 100]);
  });
});

describe("of JavaScript's in Python", () => {
  class Account {
    owner = "a";
    #balance = 0;
    get balance(): number {
      return this.#balance;
    }
    add(n: number): this {
      this.#balance += n;
      return this;
    }
    fail(): never {
      throw new RangeError("no money");
    }
  }

  test("attributes, getters, methods", () => {
    const account = new Account();
    const seen = py.evalSync("(a.owner, a.add(2).add(3) is a, a.balance)", { a: account });
    expect(seen).toEqual(["a", true, 5]);
    py.execSync("a.owner = 'b'", { a: account });
    expect(account.owner).toBe("b");
  });

  test("what is not there", () => {
    expect(py.evalSync("hasattr(a, 'nope')", { a: new Account() })).toBe(false);
    expect(() => py.evalSync("a.nope", { a: new Account() })).toThrow(
      expect.objectContaining({ name: "AttributeError" }),
    );
  });

  test("a class is made by new()", () => {
    expect(py.evalSync("A.new()", { A: Account })).toBeInstanceOf(Account);
    expect(py.evalSync("U.new('http://h/p').pathname", { U: URL })).toBe("/p");
  });

  test("iterators and generators", () => {
    function* letters(): Generator<string> {
      yield "a";
      yield "b";
    }
    expect(py.evalSync("list(g)", { g: letters() })).toEqual(["a", "b"]);
  });

  test("repr, dir, truth", () => {
    const seen = py.evalSync<[string, boolean, boolean]>("(repr(a), 'owner' in dir(a), bool(a))", {
      a: new Account(),
    });
    expect(seen[0]).toContain("Account");
    expect(seen.slice(1)).toEqual([true, true]);
  });

  test("with ends what is disposable", () => {
    const dispose = Symbol.dispose as symbol | undefined;
    expect(typeof dispose).toBe("symbol");
    const log: string[] = [];
    const resource = new (class {
      [Symbol.dispose](): void {
        log.push("disposed");
      }
    })();
    py.execSync("with r: log.push('inside')", {
      r: resource,
      log: new (class {
        push(text: string): void {
          log.push(text);
        }
      })(),
    });
    expect(log).toEqual(["inside", "disposed"]);
  });

  test("functions as keys, callbacks and sort keys", () => {
    expect(py.evalSync("sorted(['bb', 'a'], key=f)", { f: (s: string) => s.length })).toEqual([
      "a",
      "bb",
    ]);
    expect(
      py.evalSync("functools.reduce(f, [1, 2, 3])", {
        functools: py.import("functools"),
        f: (a: number, b: number) => a * 10 + b,
      }),
    ).toBe(123);
  });
});
