import { inspect } from "node:util";
import { type PyProxy, PythonError } from "coloop";
import { describe, expect, test } from "vitest";
import { checkLeaks, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const objects = py.import("fixture_objects");

checkLeaks(py);

/** A new object of the fixtures; released when the test's function returns. */
function using(name: string, args: unknown[], work: (object: PyProxy) => void): void {
  const object = objects.make(name, ...args) as PyProxy;
  try {
    work(object);
  } finally {
    object.$dispose();
  }
}

interface Coded {
  name: string;
  code: string;
  message: string;
}

describe("names that JavaScript uses itself", () => {
  test("Python's own attributes come first where that is possible", () => {
    using("JavaScriptNames", [], (names) => {
      expect(names.length).toBe("own length");
      expect(names.prototype).toBe("own prototype");
      expect(names.constructor).toBe("own constructor");
      expect(names.name).toBe("own name");
      expect(names.arguments).toBe("own arguments");
      expect(names.caller).toBe("own caller");
      // TypeScript takes these for the methods of every function.
      const own = names as unknown as Record<"apply" | "call" | "bind", () => string>;
      expect([own.apply(), own.call(), own.bind()]).toEqual(["own apply", "own call", "own bind"]);
      expect([names.toString(), names.valueOf()]).toEqual(["own toString", "own valueOf"]);
      expect(names.then).toBeUndefined();
      expect(typeof names.toJSON).toBe("function");
    });
  });

  test("length is len(), or undefined", () => {
    using("Table", [], (table) => expect(table.length).toBe(4));
    expect(objects.box.length).toBeUndefined();
  });

  test("symbols that are not ours", () => {
    expect((objects.box as unknown as Record<symbol, unknown>)[Symbol("x")]).toBeUndefined();
    expect(Symbol("x") in objects.box).toBe(false);
    expect(() => {
      (objects.box as unknown as Record<symbol, unknown>)[Symbol("x")] = 1;
    }).toThrow(TypeError);
  });

  test("what begins with $ is ours", () => {
    expect(objects.box.$nothing).toBeUndefined();
    expect("$view" in objects.box).toBe(true);
    expect("$nothing" in objects.box).toBe(false);
    expect(() => {
      objects.box.$type = 1;
    }).toThrow(/\$type/);
  });
});

describe("text, numbers and JSON", () => {
  test("String, template literals and concatenation", () => {
    expect(String(objects.box)).toBe("a box of content");
    expect(`${objects.box}`).toBe("a box of content");
    expect(objects.box.toString()).toBe("a box of content");
    expect(`${objects.box}!`).toBe("a box of content!");
  });

  test("arithmetic", () => {
    using("Number", [], (number) => {
      expect(+(number as never)).toBe(1.5);
      expect((number as never as number) * 2).toBe(3);
      expect(number.valueOf()).toBe(1.5);
    });
    using("Index", [], (index) => expect((index as never as number) + 1).toBe(8));
    using("Box", [1], (box) => expect(box.valueOf()).toBe("a box of 1"));
  });

  test("util.inspect shows the repr", () => {
    expect(inspect(objects.box)).toBe("Box('content')");
    expect(inspect([objects.box])).toContain("Box('content')");
    expect(inspect({ box: objects.box }, { depth: 0 })).toContain("Box('content')");
    expect(inspect(objects)).toContain("<module 'fixture_objects'");
  });

  test("$repr and $type", () => {
    expect(objects.box.$repr()).toBe("Box('content')");
    expect(objects.box.$type).toBe("Box");
    expect(objects.Box.$type).toBe("type");
  });

  test("JSON.stringify copies what can be copied", () => {
    const data = objects.$attr("data", { ref: true }) as PyProxy;
    expect(JSON.stringify({ data })).toBe('{"data":{"list":[1,2],"dict":{"a":1}}}');
    data.$dispose();
  });

  test("JSON.stringify of another object says so", () => {
    const error = thrown<Coded>(() => JSON.stringify([objects.box]));
    expect(error.code).toBe("ERR_COLOOP_CONVERSION");
    expect(error.message).toContain("Box('content')");
  });

  test("$toJs copies, or gives the proxy again", () => {
    const data = objects.$attr("data", { ref: true }) as PyProxy;
    expect(data.$toJs()).toEqual({ list: [1, 2], dict: { a: 1 } });
    expect(objects.box.$toJs()).toBe(objects.box);
    data.$dispose();
  });

  test("Object.prototype.toString", () => {
    expect(Object.prototype.toString.call(objects.box)).toBe("[object PyProxy]");
  });
});

describe("an object that raises whatever it is asked", () => {
  const asks: [string, (broken: PyProxy) => unknown, RegExp][] = [
    ["an attribute", (broken) => broken.x, /broken getattr of x/],
    ["in", (broken) => "x" in broken, /broken getattr of x/],
    ["an item", (broken) => broken[0], /broken getitem/],
    ["$has", (broken) => broken.$has(1), /broken contains/],
    ["length", (broken) => broken.length, /broken/],
    ["iteration", (broken) => [...broken], /broken iter/],
    ["Object.keys", (broken) => Object.keys(broken), /broken dir/],
    ["String", (broken) => String(broken), /broken str/],
    ["$repr", (broken) => broken.$repr(), /broken repr/],
    ["a number", (broken) => +(broken as never), /broken/],
  ];
  test.each(asks)("%s: the error is Python's", (_name, ask, message) => {
    using("Broken", [], (broken) => {
      expect(thrown(() => ask(broken))).toBeInstanceOf(PythonError);
      expect(thrown(() => ask(broken)).message).toMatch(message);
    });
  });

  test("await and promises do not look at it", async () => {
    const broken = objects.make("Broken") as PyProxy;
    expect(broken.then).toBeUndefined();
    expect((await Promise.resolve(broken)) as unknown).toBe(broken);
    broken.$dispose();
  });

  test("util.inspect shows something", () => {
    using("Broken", [], (broken) => {
      expect(inspect([broken])).toContain("Broken whose __repr__ raises");
    });
  });
});

describe("iteration", () => {
  test("iterables, iterators and generators", () => {
    expect([...(objects.numbers(3) as Iterable<number>)]).toEqual([0, 1, 2]);
    expect([...(objects.make("Counter", 3) as Iterable<number>)]).toEqual([1, 2, 3]);
    expect([...(objects.generator(3) as Iterable<number>)]).toEqual([0, 1, 2]);
    expect(Array.from(objects.numbers(2) as Iterable<number>)).toEqual([0, 1]);
    expect(Math.max(...(objects.numbers(5) as Iterable<number>))).toBe(4);
  });

  test("an object that is iterable by its items only", () => {
    using("OldStyle", [], (old) => expect([...old]).toEqual([0, 10, 20]));
  });

  test("an iterable can be iterated again, a generator cannot", () => {
    const range = objects.numbers(2) as PyProxy;
    expect([[...range], [...range]]).toEqual([
      [0, 1],
      [0, 1],
    ]);
    const generator = objects.generator(2) as PyProxy;
    expect([[...generator], [...generator]]).toEqual([[0, 1], []]);
    range.$dispose();
    generator.$dispose();
  });

  test("break closes a generator", () => {
    const log = objects.$attr("log", { ref: true }) as PyProxy;
    log.clear();
    const generator = objects.generator(10) as PyProxy;
    for (const number of generator) {
      if (number === 1) break;
    }
    expect(log.$toJs()).toEqual(["closed"]);
    generator.$dispose();
    log.$dispose();
  });

  test("break closes an iterator that can be closed", () => {
    const counter = objects.make("Counter", 10) as PyProxy;
    for (const number of counter) {
      if (number === 2) break;
    }
    expect([counter.closed, counter.number]).toEqual([true, 2]);
    counter.$dispose();
  });

  test("a generator that raises", () => {
    const seen: unknown[] = [];
    const error = thrown(() => {
      for (const item of objects.failing_generator()) seen.push(item);
    });
    expect([seen, error.message]).toEqual([[1], "in the generator"]);
  });

  test("an error of the loop's body closes the generator and goes on", () => {
    const log = objects.$attr("log", { ref: true }) as PyProxy;
    log.clear();
    const own = new Error("own");
    const error = thrown(() => {
      for (const _ of objects.generator(5)) throw own;
    });
    expect(error).toBe(own);
    expect(log.$toJs()).toEqual(["closed"]);
    log.$dispose();
  });

  test("what is not iterable", () => {
    expect(thrown(() => [...objects.box])).toBeInstanceOf(TypeError);
    expect((objects.box as { [Symbol.iterator]?: unknown })[Symbol.iterator]).toBeUndefined();
  });

  test("async generators are async iterable", async () => {
    const seen: unknown[] = [];
    for await (const number of objects.async_numbers(3)) seen.push(number);
    expect(seen).toEqual([0, 1, 2]);
    expect((objects.box as Partial<PyProxy>)[Symbol.asyncIterator as never]).toBeUndefined();
  });
});

describe("awaiting", () => {
  test("only what is awaitable is thenable", async () => {
    const awaitable = objects.make("Awaitable") as PyProxy;
    expect(typeof awaitable.then).toBe("function");
    expect(await awaitable).toBe("awaited");
    awaitable.$dispose();
    expect(objects.box.then).toBeUndefined();
    expect((await objects.box) as unknown).toBe(objects.box);
  });

  test("a coroutine function gives a promise", async () => {
    const promise = objects.coroutine(5) as Promise<number>;
    expect(promise).toBeInstanceOf(Promise);
    expect(await promise).toBe(5);
  });
});
