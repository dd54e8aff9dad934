// Wrong arguments of the public functions, and use of what is closed or belongs elsewhere. Each is an error
// with a stable code that says what to do, and Python goes on.

import { inspect } from "node:util";
import { Worker } from "node:worker_threads";
import { type PyProxy, Python, type PythonContext, type PythonError, ref } from "coloop";
import { beforeEach, describe, expect, test } from "vitest";
import { rejected, startPython, thrown } from "../helpers/python.js";

let py = await startPython();

// A ValueError until 3.11.3, a SyntaxError later (python/cpython#96670).
const nullBytes = (await rejected<PythonError>(py.call("builtins", "compile", ["x\0", "", "exec"])))
  .pythonType;

beforeEach(async () => {
  py = await Python.start();
});

interface Refused {
  readonly code: string;
  readonly message: string;
}

// biome-ignore lint/suspicious/noExplicitAny: types are what is broken here
type Loose = any;

/** Calls something with arguments that its types do not allow; gives the error, thrown or rejected. */
async function refused(fn: (loose: Loose) => unknown): Promise<Refused> {
  return await rejected<Refused>((async () => fn(py))());
}

describe("arguments", () => {
  test.each<[string, (loose: Loose) => unknown, RegExp]>([
    [
      "new Python()",
      () => new (Python as Loose)(),
      /^Python is not made by `new`: .* Python\.start\(\)/,
    ],
    ["start(null)", () => Python.start(null as Loose), /options of Python\.start .* not null/],
    ["start(5)", () => Python.start(5 as Loose), /must be an object, not 5/],
    ["start([])", () => Python.start([] as Loose), /must be an object, not an array/],
    ["start(fn)", () => Python.start((() => 1) as Loose), /must be an object, not a function/],
    [
      "a misspelt option",
      () => Python.start({ pyhton: "" } as Loose),
      /no option "pyhton"; it has/,
    ],
    ["python: 5", () => Python.start({ python: 5 } as Loose), /"python".* non-empty string, not 5/],
    ["python: ''", () => Python.start({ python: "" }), /"python".* non-empty string, not ""/],
    ["exitGrace: -1", () => Python.start({ exitGrace: -1 }), /milliseconds .* not -1/],
    ["exitGrace: NaN", () => Python.start({ exitGrace: Number.NaN }), /milliseconds .* not NaN/],
    ["sandbox: true", () => Python.start({ sandbox: true as Loose }), /"sandbox".* not true/],
    ["import()", (p) => p.import(), /module's name .* not undefined/],
    ["import(Symbol)", (p) => p.import(Symbol("m")), /module's name .* not Symbol\(m\)/],
    ["eval()", (p) => p.eval(), /the expression must be/],
    ["evalSync('')", (p) => p.evalSync(""), /the expression must be .* not ""/],
    ["exec(5)", (p) => p.exec(5), /the code must be/],
    ["execSync(null)", (p) => p.execSync(null), /the code must be/],
    ["locals that are a number", (p) => p.evalSync("1", 5), /the locals must be an object/],
    ["locals that are an array", (p) => p.eval("1", []), /the locals must be an object/],
    ["eval's options", (p) => p.eval("1", {}, { timout: 1 }), /no option "timout"; it has: signal/],
    ["a signal that is none", (p) => p.eval("1", {}, { signal: {} }), /an AbortSignal, not an obj/],
    ["call()", (p) => p.call(), /the module must be/],
    ["call(module)", (p) => p.call("math"), /the function's name must be/],
    ["arguments that are no array", (p) => p.call("math", "sqrt", 4), /must be an array/],
    [
      "call's options",
      (p) => p.call("math", "sqrt", [4], { ref: true }),
      /no option "ref"; it has/,
    ],
    ["kwargs: []", (p) => p.call("math", "sqrt", [4], { kwargs: [] }), /"kwargs".* not an array/],
    [
      "timeout: '1'",
      (p) => p.call("math", "sqrt", [4], { timeout: "1" }),
      /milliseconds.* not "1"/,
    ],
    ["call of a value", (p) => p.call("math", "pi"), /^math\.pi is no function.*import\("math"\)/],
    ["stream of a value", (p) => p.stream("math", "pi"), /^math\.pi is no function/],
    [
      "stream's options",
      (p) => p.stream("math", "sqrt", [4], { hwm: 1 }),
      /stream has no option "hwm"/,
    ],
    ["register()", (p) => p.register(), /the name must be a non-empty string, not undefined/],
    [
      "register(name)",
      (p) => p.register("x"),
      /registered as "x" must be a function, not undefined/,
    ],
    ["register(name, null)", (p) => p.register("x", null), /must be a function, not null/],
    ["unregister(5)", (p) => p.unregister(5), /the name must be a non-empty string, not 5/],
    ["close(5)", (p) => p.close(5), /options of close must be an object, not 5/],
    ["close's options", (p) => p.close({ timout: 1 }), /close has no option "timout"/],
    ["$with(null)", (p) => p.globals.$with(null), /options of \$with must be an object, not null/],
    ["$attr(5)", (p) => p.globals.$attr(5), /attribute's name must be .*string, not 5/],
    ["$attr's options", (p) => p.globals.$attr("x", { reff: 1 }), /\$attr has no option "reff"/],
    ["$view's options", (p) => p.globals.$view(5), /options of \$view must be an object, not 5/],
    ["new of a function", (p) => new (p.evalSync("len"))(), /only a Python class can be used/],
    ["setting $x", (p) => Reflect.set(p.globals, "$x", 1), /\$x cannot be set/],
  ])("%s", async (_name, fn, message) => {
    const error = await refused(fn);
    expect(error.message).toMatch(message);
    expect(error.code).toBe("ERR_COLOOP_ARGUMENT");
    expect(py.evalSync("1 + 1")).toBe(2);
  });
});

describe("Python's own refusals have its class and ERR_COLOOP_PYTHON", () => {
  test.each([
    ["no_such_module", "ModuleNotFoundError", /No module named 'no_such_module'/],
    ["math.nope", "ModuleNotFoundError", /'math' is not a package/],
    [" math", "ModuleNotFoundError", /No module named ' math'/],
    [".", "TypeError", /relative import/],
    ["ma\0th", "ModuleNotFoundError", /No module named/],
    ["a\ud800", "ModuleNotFoundError", /No module named/],
    ["x".repeat(5000), "ModuleNotFoundError", /No module named/],
  ])("import(%j)", (name, type, message) => {
    const error = thrown<PythonError>(() => py.import(name));
    expect(error).toMatchObject({ code: "ERR_COLOOP_PYTHON", pythonType: type });
    expect(error.message).toMatch(message);
  });

  test.each([
    ["1 +", "SyntaxError", /invalid syntax/],
    ["(", "SyntaxError", /never closed/],
    ["a = 1", "SyntaxError", /invalid syntax/],
    ["1\n2", "SyntaxError", /invalid syntax/],
    ["x\0y", nullBytes, /null bytes/],
    ["'\ud800'", "UnicodeEncodeError", /surrogates not allowed/],
    ["(".repeat(300), "SyntaxError", /too many nested parentheses/],
    ["nowhere", "NameError", /name 'nowhere' is not defined/],
    ["(1).nope", "AttributeError", /no attribute 'nope'/],
  ])("eval(%j)", async (code, type, message) => {
    for (const error of [
      thrown<PythonError>(() => py.evalSync(code)),
      await rejected<PythonError>(py.eval(code)),
    ]) {
      expect(error).toMatchObject({ code: "ERR_COLOOP_PYTHON", pythonType: type });
      expect(error.message).toMatch(message);
    }
  });

  test.each([
    ["x = ", "SyntaxError"],
    ["def f(:\n  pass", "SyntaxError"],
    ["x = 1\n  y = 2", "IndentationError"],
    ["  x = 1\n y = 2", "IndentationError"],
    ["return 1", "SyntaxError"],
    ["break", "SyntaxError"],
    ["x\0", nullBytes],
    ["\ud800", "UnicodeEncodeError"],
    ["import nowhere", "ModuleNotFoundError"],
    ["from math import nowhere", "ImportError"],
    ["from coloop import nowhere", "ImportError"],
  ])("exec(%j)", async (code, type) => {
    expect(thrown<PythonError>(() => py.execSync(code)).pythonType).toBe(type);
    expect((await rejected<PythonError>(py.exec(code))).pythonType).toBe(type);
  });

  test("an indented template is as if it were not, and its lines have their numbers", async () => {
    const code = `
      text = """
        a
      b"""

      if text:
          raise ValueError(text)
    `;
    for (const error of [
      thrown<PythonError>(() => py.execSync(code)),
      await rejected<PythonError>(py.exec(code)),
    ]) {
      expect(error.message).toBe("\n  a\nb");
      expect(error.frames.map(({ line }) => line)).toEqual([7]);
    }
    expect(thrown(() => py.execSync("\n  x = 1\n  y =\n")).message).toMatch(/line 3\)$/);
    for (const expression of ["  6 * 7", "\t6 * 7", "\n    (6 *\n  7)\n    "]) {
      expect(py.evalSync(expression)).toBe(42);
      expect(await py.eval(expression)).toBe(42);
    }
    await py.exec("  import asyncio\n  await asyncio.sleep(0)");
  });

  test("code has none of our own __future__", () => {
    py.execSync("def annotated(x: int): pass");
    expect(py.evalSync("annotated.__annotations__['x'] is int")).toBe(true);
  });

  test("await where it cannot be, and locals that are no mapping", () => {
    const remedy =
      /: py\.evalSync\(\) and py\.execSync\(\) take no .* await, py\.eval\(\) and py\.exec\(\) do/;
    for (const code of ["await x", "[i async for i in x]"]) {
      expect(thrown(() => py.evalSync(code)).message).toMatch(remedy);
    }
    expect(thrown(() => py.execSync("x = 1\nasync with x: pass")).message).toMatch(remedy);
    for (const code of ["def f(): await x", "await x +"]) {
      expect(thrown(() => py.execSync(code)).message).not.toMatch(remedy);
    }
    const locals = py.import("math");
    expect(thrown(() => py.evalSync("1", locals)).message).toMatch(/locals must be a mapping/);
    const instance = new (class Locals {})() as Record<string, unknown>;
    expect(thrown(() => py.evalSync("1", instance)).message).toMatch(/is not a mapping/);
  });

  test("a stream of what is no async iterable", () => {
    const error = thrown<PythonError>(() => py.stream("math", "sqrt", [4]));
    expect(error.pythonType).toBe("TypeError");
    expect(error.message).toBe("'int' object is not an async iterable");
  });
});

describe("host functions", () => {
  test.each(["not id", "a.b", "5", "a\0b", "\ud800", "class", "None", "await"])(
    "%j is no name",
    (name) => {
      const error = thrown<PythonError>(() => py.register(name, () => 1));
      expect(error).toMatchObject({ code: "ERR_COLOOP_PYTHON", pythonType: "ValueError" });
      expect(error.message).toMatch(/is not a Python identifier$/);
      expect(py.unregister(name)).toBe(false);
    },
  );

  test.each(["call", "run", "JsError", "_bridge", "__name__", "__getattr__", "__all__"])(
    "%j is taken",
    (name) => {
      const error = thrown<PythonError>(() => py.register(name, () => 1));
      expect(error.pythonType).toBe("ValueError");
      expect(error.message).toMatch(/has a '\w+' of its own; choose another name$/);
    },
  );

  test("a name that is not registered says how to register it", async () => {
    const remedy = /register it with py\.register\('nope', fn\)/;
    const coloop = py.import("coloop");
    expect(thrown(() => coloop.call("nope")).message).toMatch(remedy);
    expect(thrown(() => coloop.cast("nope")).message).toMatch(remedy);
    expect(thrown(() => coloop.nope).message).toMatch(remedy);
    expect((await rejected(coloop.async_call("nope"))).message).toMatch(remedy);
    const inThread = py.call("asyncio", "to_thread", [coloop.$attr("call"), "nope"]);
    expect((await rejected(inThread)).message).toMatch(remedy);
  });

  test("keyword arguments, calls of what is none, and `new` of what is no class", () => {
    expect(thrown(() => py.evalSync("f(a=1)", { f: () => 1 })).message).toMatch(/pass a dict/);
    expect(thrown(() => py.evalSync("o()", { o: ref({}) })).message).toMatch(/not callable/);
    expect(thrown(() => py.evalSync("f.new()", { f: () => 1 })).message).toMatch(/constructor/);
    const frozen = ref(Object.freeze({ x: 1 }));
    expect(thrown<Refused>(() => py.execSync("o.x = 2", { o: frozen }))).toMatchObject({
      code: "ERR_COLOOP_ARGUMENT",
      message: "the property x of this JavaScript object is read-only",
    });
  });
});

describe("after it ended", () => {
  const uses: [string, (proxy: PyProxy) => unknown][] = [
    ["call", (proxy) => proxy()],
    ["get", (proxy) => proxy["x"]],
    ["item", (proxy) => proxy[0]],
    ["set", (proxy) => Reflect.set(proxy, "x", 1)],
    ["delete", (proxy) => Reflect.deleteProperty(proxy, "x")],
    ["in", (proxy) => "x" in proxy],
    ["keys", (proxy) => Object.keys(proxy)],
    ["String", (proxy) => String(proxy)],
    ["JSON", (proxy) => JSON.stringify(proxy)],
    ["length", (proxy) => proxy["length"]],
    ["$repr", (proxy) => proxy.$repr()],
    ["$type", (proxy) => proxy.$type],
    ["$toJs", (proxy) => proxy.$toJs()],
    ["$view", (proxy) => proxy.$view()],
    ["$with", (proxy) => proxy.$with({})()],
    ["$get", (proxy) => proxy.$get("k")],
    ["$attr", (proxy) => proxy.$attr("x")],
  ];

  test.each(uses)("%s of a disposed proxy", (_name, use) => {
    const proxy = py.evalSync<PyProxy>("lambda: 1");
    proxy.$dispose();
    const error = thrown<Refused>(() => use(proxy));
    expect(error.code).toBe("ERR_COLOOP_DISPOSED");
    expect(error.message).toMatch(/disposed/);
    expect(inspect(proxy)).toBe("[PyProxy: disposed]");
    expect(() => proxy.$dispose()).not.toThrow();
  });

  test.each(uses)("%s of a proxy after close()", async (_name, use) => {
    const proxy = py.evalSync<PyProxy>("lambda: 1");
    await py.close();
    const error = thrown<Refused>(() => use(proxy));
    expect(error.code).toBe("ERR_COLOOP_CLOSED");
    expect(error.message).toMatch(/call Python\.start\(\) again/);
    expect(inspect(proxy)).toBe("[PyProxy: disposed]");
  });

  test.each<[string, (closed: Python) => unknown]>([
    ["import", (closed) => closed.import("math")],
    ["evalSync", (closed) => closed.evalSync("1")],
    ["execSync", (closed) => closed.execSync("1")],
    ["globals", (closed) => closed.globals["x"]],
    ["loop", (closed) => closed.loop],
    ["call", (closed) => closed.call("math", "sqrt", [1])],
    ["eval", (closed) => closed.eval("1")],
    ["exec", (closed) => closed.exec("1")],
    ["stream", (closed) => closed.stream("math", "sqrt")],
    ["register", (closed) => closed.register("x", () => 1)],
    ["unregister", (closed) => closed.unregister("x")],
    ["namespace", (closed) => closed.namespace()],
  ])("%s of a closed Python", async (_name, use) => {
    const closed = py;
    await closed.close();
    const error = await rejected<Refused>((async () => use(closed))());
    expect(error.code).toBe("ERR_COLOOP_CLOSED");
    expect(error.message).toMatch(/call Python\.start\(\) again/);
  });

  test.each<[string, (closed: PythonContext) => unknown]>([
    ["call", (closed) => closed.call("math", "sqrt", [1])],
    ["eval", (closed) => closed.eval("1")],
    ["exec", (closed) => closed.exec("1")],
    ["stream", (closed) => closed.stream("math", "sqrt")],
    ["register", (closed) => closed.register("x", () => 1)],
    ["unregister", (closed) => closed.unregister("x")],
    ["namespace", (closed) => closed.namespace()],
  ])("%s of a closed namespace", async (_name, use) => {
    const namespace = await py.namespace();
    await namespace.close();
    await namespace.close();
    const error = await rejected<Refused>((async () => use(namespace))());
    expect(error).toMatchObject({
      code: "ERR_COLOOP_CLOSED",
      message: "this namespace is closed; py.namespace() makes another",
    });
    expect(py.evalSync("1 + 1")).toBe(2);
  });
});

describe("from the wrong thread", () => {
  test("a proxy cannot be sent to a Worker", () => {
    const error = thrown(() => structuredClone(py.globals));
    expect(error.name).toBe("DataCloneError");
  });

  test("a Worker that has not started Python is told to", async () => {
    const library = new URL("../../dist/binding.js", import.meta.url).href;
    const code = `import(${JSON.stringify(library)}).then(({ binding }) => {
      try { binding(); } catch ({ code, message }) {
        require("node:worker_threads").parentPort.postMessage({ code, message });
      }
    })`;
    const worker = new Worker(code, { eval: true });
    const answer = new Promise((resolve) => worker.once("message", resolve));
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    expect(await answer).toEqual({
      code: "ERR_COLOOP_CLOSED",
      message: expect.stringMatching(/call Python\.start\(\) first/),
    });
    expect(await ended).toBe(0);
  });

  test.each([
    ["run_until_complete(None)", /driven by Node\.js.*coloop\.run\(\)/],
    ["run_forever()", /driven by Node\.js.*coloop\.run\(\)/],
    ["stop()", /driven by Node\.js/],
    ["close()", /closed by py\.close\(\) in JavaScript/],
  ])("%s of the hosted loop", async (call, message) => {
    py.execSync("import asyncio; hosted = asyncio.get_event_loop()");
    const error = await rejected<PythonError>(
      py.eval(`await asyncio.to_thread(lambda: hosted.${call})`),
    );
    expect(error.pythonType).toBe("RuntimeError");
    expect(error.message).toMatch(message);
  });

  test("call_soon in debug mode", async () => {
    py.execSync("import asyncio; hosted = asyncio.get_event_loop()");
    py.loop["set_debug"](true);
    const error = await rejected(py.eval("await asyncio.to_thread(hosted.call_soon, print)"));
    py.loop["set_debug"](false);
    expect(error.message).toMatch(/^Non-thread-safe operation invoked/);
  });
});
