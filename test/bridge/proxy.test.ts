import { isPyProxy, kw, type PyProxy, PythonError, ref } from "coloop";
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

describe("attributes", () => {
  test("get, set and delete", () => {
    using("Box", [1], (box) => {
      expect(box.value).toBe(1);
      box.value = "new";
      expect(box.get()).toBe("new");
      delete (box as Partial<PyProxy>).value;
      expect(thrown(() => box.value).name).toBe("AttributeError");
    });
  });

  test("of the class, properties, static and class methods", () => {
    using("Box", [2], (box) => {
      expect(box.shared).toBe("class attribute");
      expect(box.computed).toBe("computed of box");
      expect(box.double(4)).toBe(8);
      expect(objects.Box.create(5).get()).toBe(5);
    });
  });

  test("a missing attribute is an AttributeError with its name", () => {
    const error = thrown<PythonError>(() => objects.box.missing);
    expect(error).toBeInstanceOf(PythonError);
    expect([error.name, error.message]).toEqual([
      "AttributeError",
      "'Box' object has no attribute 'missing'",
    ]);
  });

  test("a property that raises", () => {
    expect(thrown(() => objects.box.broken).message).toBe("broken property");
    expect("broken" in objects.box).toBe(true === "broken" in objects.box);
  });

  test("a missing attribute and one whose property raises are told apart", () => {
    expect(thrown(() => objects.box.attribute_error).message).toBe("inside the property");
  });

  test("what cannot be set or deleted raises", () => {
    using("Slotted", [], (slotted) => {
      expect(() => {
        slotted.other = 1;
      }).toThrow(/other/);
      expect(() => delete (slotted as Partial<PyProxy>).only).toThrow(PythonError);
    });
    expect(() => {
      py.import("builtins").int.x = 1;
    }).toThrow(/immutable type|can't set attributes/);
  });

  test("in and Object.keys", () => {
    using("Box", [1], (box) => {
      expect("value" in box).toBe(true);
      expect("_hidden" in box).toBe(true);
      expect("nothing" in box).toBe(false);
      const keys = Object.keys(box);
      expect(keys).toContain("value");
      expect(keys).toContain("get");
      expect(keys.filter((key) => key.startsWith("_"))).toEqual([]);
    });
  });

  test("Object.keys where __dir__ repeats itself and says what is no name", () => {
    using("OddDir", [], (odd) => expect(Object.keys(odd)).toEqual(["a", "b"]));
  });

  test("Object.entries and spreading of a namespace", () => {
    const types = py.import("types");
    const namespace = types.SimpleNamespace.$with({ kwargs: { a: 1, b: [2] } })() as PyProxy;
    expect(Object.entries(namespace)).toEqual([
      ["a", 1],
      ["b", [2]],
    ]);
    expect({ ...namespace }).toEqual({ a: 1, b: [2] });
    namespace.$dispose();
  });

  test("property descriptors read nothing before they are asked", () => {
    using("Box", [1], (box) => {
      const descriptor = Object.getOwnPropertyDescriptor(box, "value");
      expect(descriptor).toMatchObject({ enumerable: true, configurable: true });
      box.value = 4;
      expect(descriptor?.get?.()).toBe(4);
      descriptor?.set?.(6);
      expect(box.get()).toBe(6);
      expect(Object.getOwnPropertyDescriptor(box, "nothing")).toBeUndefined();
      expect(Object.hasOwn(box, "name")).toBe(true);
      Object.defineProperty(box, "value", { value: 5 });
      expect(box.get()).toBe(5);
      expect(() => Object.defineProperty(box, "value", { get: () => 1 })).toThrow(TypeError);
    });
  });

  test("a proxy can be neither frozen nor given another prototype", () => {
    using("Box", [1], (box) => {
      expect(() => Object.freeze(box)).toThrow(TypeError);
      expect(() => Object.preventExtensions(box)).toThrow(TypeError);
      expect(() => Object.setPrototypeOf(box, null)).toThrow(TypeError);
      expect(Object.isExtensible(box)).toBe(true);
    });
  });

  test("names with NUL, of surrogates and very long ones are only missing", () => {
    for (const name of ["a\0b", "\ud800", "x".repeat(10_000), "", "with space", "ä"]) {
      expect(name in objects.box).toBe(false);
      expect(thrown(() => objects.box[name]).name).toBe("AttributeError");
    }
    using("Box", [1], (box) => {
      box["with space ä"] = 3;
      expect(box["with space ä"]).toBe(3);
    });
  });

  test("$attr reaches every name, by value or by reference", () => {
    expect(objects.box.$attr("value")).toBe("content");
    const list = objects.$attr("a_list", { ref: true }) as PyProxy;
    expect(isPyProxy(list)).toBe(true);
    expect(objects.$attr("a_list")).toEqual([1, 2, 3]);
    list.$dispose();
    using("JavaScriptNames", [], (names) => {
      expect(names.$attr("then")).toBe("own then");
      expect(names.$attr("toJSON")).toBe("own toJSON");
    });
    expect(thrown(() => objects.box.$attr("missing")).name).toBe("AttributeError");
  });
});

describe("items", () => {
  test("integer keys are items", () => {
    using("Table", [], (table) => {
      expect(table[0]).toBe("zero");
      expect(table[-1]).toBe("last");
      table[5] = "five";
      expect(table[5]).toBe("five");
      expect(5 in table).toBe(true);
      delete table[5];
      expect(5 in table).toBe(false);
      expect(thrown(() => table[5]).name).toBe("KeyError");
    });
  });

  test("$get, $set, $has and $delete take keys of any kind", () => {
    using("Table", [], (table) => {
      expect(table.$get("name")).toBe("by name");
      expect(table.$get([1, 2])).toBe("by tuple");
      table.$set("a key", [1]);
      expect(table.$get("a key")).toEqual([1]);
      expect(table.$has("a key")).toBe(true);
      table.$delete("a key");
      expect(table.$has("a key")).toBe(false);
      table.$set(objects.box, "by object");
      expect(table.$get(objects.box)).toBe("by object");
    });
  });

  test("a list by reference", () => {
    const list = objects.$attr("a_list", { ref: true }) as PyProxy;
    expect([list[0], list[2], list[-1]]).toEqual([1, 3, 3]);
    expect(3 in list).toBe(false);
    list.append(4);
    expect(list.length).toBe(4);
    list.pop();
    expect(thrown(() => list[10]).name).toBe("IndexError");
    list.$dispose();
  });

  test("a dict by reference: attributes are the dict's, items its own", () => {
    const dict = objects.$attr("a_dict", { ref: true }) as PyProxy;
    expect(dict.$get("x")).toBe(1);
    expect(thrown(() => dict.x).name).toBe("AttributeError");
    expect(dict.length).toBe(2);
    expect([...dict]).toEqual(["x", "y"]);
    dict.$dispose();
  });

  test("what is no canonical integer is an attribute", () => {
    using("Table", [], (table) => {
      for (const key of ["01", "+1", "1.5", "1e3", "- 1", "-0"]) {
        expect(thrown(() => table[key]).name).toBe("AttributeError");
      }
    });
  });

  test("an object without items", () => {
    expect(thrown(() => objects.box[0]).name).toBe("TypeError");
    expect(0 in objects.box).toBe(false);
    expect(thrown(() => objects.box.$has(1)).name).toBe("TypeError");
  });
});

describe("calls", () => {
  test("functions, methods, classes and callable objects", () => {
    expect(objects.last(1, 2, 3)).toBe(3);
    expect(objects.box.get()).toBe("content");
    expect(objects.Box(3).get()).toBe(3);
    using("Callable", [], (callable) => expect(callable(1)).toEqual(["called", 1]));
  });

  test("a method is bound to its object, however it is called", () => {
    const { get } = objects.box;
    expect(get()).toBe("content");
    expect(get.call({})).toBe("content");
    expect(get.apply(null, [])).toBe("content");
    expect(get.bind(null)()).toBe("content");
    expect(objects.last.bind(null, 1)(2)).toBe(2);
    expect(Reflect.apply(objects.last, undefined, [7])).toBe(7);
  });

  test.each([0, 1, 2, 3, 4, 8, 9, 30])("%i arguments", (count) => {
    const args = Array.from({ length: count }, (_, i) => i);
    expect(objects.options(...args).args).toEqual(args);
    const lists = args.map((i) => [i]);
    expect(objects.options(...lists).args).toEqual(lists);
  });

  test("new makes an instance, always as a proxy", () => {
    const box = new objects.Box(1);
    expect(isPyProxy(box)).toBe(true);
    const list = new (py.import("builtins").list)([1, 2]);
    expect(isPyProxy(list)).toBe(true);
    expect(list.$toJs()).toEqual([1, 2]);
    const named = new objects.Box(2, kw({ name: "named" }));
    expect(named.name).toBe("named");
    for (const proxy of [box, list, named]) proxy.$dispose();
  });

  test("new of what is no class", () => {
    const error = thrown<Coded>(() => new objects.last(1));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe("ERR_COLOOP_ARGUMENT");
  });

  test("a plain call of a class whose instances are copied gives a copy", () => {
    expect(py.import("builtins").list([1])).toEqual([1]);
  });

  test("what is not callable", () => {
    const error = thrown(() => objects.box());
    expect([error.name, error.message]).toEqual(["TypeError", "'Box' object is not callable"]);
  });

  test("the wrong number of arguments is Python's TypeError", () => {
    expect(thrown(() => objects.numbers()).name).toBe("TypeError");
    expect(thrown(() => objects.numbers(1, 2)).message).toContain("positional argument");
  });

  test("a JavaScript function can be tested for", () => {
    expect(typeof objects.last).toBe("function");
    expect(isPyProxy(objects.last)).toBe(true);
    for (const value of [null, 1, {}, () => 1, new Proxy(() => 1, {})]) {
      expect(isPyProxy(value)).toBe(false);
    }
  });
});

describe("keyword arguments", () => {
  test("kw() as the last argument", () => {
    expect(objects.options(1, kw({ flag: true, x: [1] }))).toEqual({
      args: [1],
      flag: true,
      others: { x: [1] },
    });
  });

  test("a plain object is never taken for keyword arguments", () => {
    expect(objects.options({ flag: true })).toEqual({
      args: [{ flag: true }],
      flag: false,
      others: {},
    });
  });

  test("$with", () => {
    expect(objects.options.$with({ kwargs: { flag: true } })(1).flag).toBe(true);
  });

  test("names that JavaScript finds special", () => {
    const kwargs = JSON.parse('{"__proto__": 1, "constructor": 2, "with space": 3, "ä": 4}');
    expect(objects.with_reserved.$with({ kwargs })()).toEqual(
      ["__proto__", "constructor", "with space", "ä"].sort(),
    );
  });

  test("an empty kw()", () => {
    expect(objects.options(kw({}))).toEqual({ args: [], flag: false, others: {} });
  });

  test("kw() that is not last, or twice, cannot cross silently", () => {
    expect(() => objects.options(kw({ flag: true }), 1)).toThrow(/kw\(\).*last/);
    expect(() => objects.options(kw({}), kw({}))).toThrow(/kw\(\).*last/);
  });

  test.each([[null], [undefined], [1], ["text"], [[1]]])("kw(%j) is refused", (value) => {
    const error = thrown<Coded>(() => kw(value as never));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.code).toBe("ERR_COLOOP_ARGUMENT");
  });

  test("an unknown keyword is Python's TypeError", () => {
    expect(thrown(() => objects.numbers(1, kw({ wrong: 1 }))).name).toBe("TypeError");
  });

  test("a value that cannot cross is named", () => {
    const error = thrown<Coded>(() => objects.options(kw({ x: { deep: [Symbol("s")] } })));
    expect(error.code).toBe("ERR_COLOOP_CONVERSION");
    expect(error.message).toMatch(/x\.deep\[0\]/);
  });
});

describe("by reference", () => {
  test("$with({ ref }) gives a proxy of what would be copied", () => {
    const list = objects.last.$with({ ref: true })([1, 2]) as PyProxy;
    expect(isPyProxy(list)).toBe(true);
    list.append(3);
    expect(list.$toJs()).toEqual([1, 2, 3]);
    list.$dispose();
  });

  test("primitives stay what they are", () => {
    for (const value of [1, "a", null, 1.5, true, 2n ** 80n]) {
      expect(objects.last.$with({ ref: true })(value)).toBe(value);
    }
  });

  test("ref() lets Python write into a JavaScript array", () => {
    const list = [1];
    py.execSync("items[0] = 5\nitems.push(6)", { items: ref(list) });
    expect(list).toEqual([5, 6]);
  });
});

describe("built-in functions that look at their caller", () => {
  const builtins = py.import("builtins");

  test.each(["eval", "exec", "globals", "locals", "dir", "vars"])(
    "%s() says that JavaScript is none",
    (name) => {
      const args = name === "eval" || name === "exec" ? ["1"] : [];
      const error = thrown(() => builtins[name](...args));
      // Of newer Pythons some say it themselves.
      expect(error.message).toMatch(/JavaScript called it: use py\.eval\(\)|without a frame/);
    },
  );

  test("they work where Python calls the JavaScript that calls them", () => {
    const f = () => builtins.eval("y + 1");
    expect(py.evalSync("(lambda y: f())(1)", { f })).toBe(2);
  });

  test("and where they need no caller", () => {
    expect(builtins.dir(builtins)).toContain("dir");
    expect(thrown(() => builtins.eval("1 +", {})).name).toBe("SyntaxError");
  });
});

describe("instanceof", () => {
  py.execSync(`
class Base: pass
class Derived(Base): pass
class Failure(Exception): pass
def fail(): raise Failure
`);
  const { Base, Derived, Failure, fail } = py.globals;

  test("is isinstance", () => {
    const derived = new Derived();
    expect([derived instanceof Base, derived instanceof Derived]).toEqual([true, true]);
    expect(new Base() instanceof Derived).toBe(false);
    expect(py.import("collections.abc").Hashable[Symbol.hasInstance](derived)).toBe(true);
  });

  test("of an error is that of the exception", () => {
    const error = thrown(() => fail());
    expect(error instanceof Failure).toBe(true);
    expect(error instanceof Base).toBe(false);
  });

  test("of what is JavaScript's own is false", () => {
    const values: unknown[] = [1, "x", null, {}, [], () => 1, new Error("x")];
    expect(values.filter((value) => value instanceof py.import("builtins").object)).toEqual([]);
  });

  test("needs a class", () => {
    const error = thrown<Error & { code: string }>(() => ({}) instanceof fail);
    expect([error.code, error.message]).toEqual([
      "ERR_COLOOP_ARGUMENT",
      "only a Python class can stand on the right of instanceof",
    ]);
  });
});

test("a disposed proxy is said to be one, not an argument", () => {
  const proxy = py.evalSync<PyProxy>("object()");
  proxy.$dispose();
  for (const use of [
    () => String(proxy),
    () => proxy.$repr(),
    () => proxy.$type,
    () => `${proxy}`,
    () => Object.keys(proxy),
  ]) {
    const error = thrown<Error & { code: string }>(use);
    expect([error.code, error.message]).toEqual([
      "ERR_COLOOP_DISPOSED",
      "the proxy was disposed, or Python was closed since",
    ]);
  }
});
