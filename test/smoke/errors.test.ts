// Exceptions and errors across the border, and misuse.

import { beforeAll, describe, expect, test } from "vitest";
import { type ColoopError, Python, PythonError } from "../../src/index.js";
import { atLeast, rejected, startPython, thrown } from "../helpers/python.js";

const py = await startPython();

beforeAll(() => {
  py.execSync(`
class OddError(Exception):
    def __str__(self):
        raise RuntimeError("in __str__")
def chained():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("outer") from error
async def fail(message):
    raise LookupError(message)
`);
});

describe("Python's exceptions", () => {
  const builtin: [code: string, name: string, message: string][] = [
    ["1 / 0", "ZeroDivisionError", "division by zero"],
    ["{}['k']", "KeyError", "'k'"],
    ["[][1]", "IndexError", "list index out of range"],
    ["int('x')", "ValueError", "invalid literal for int() with base 10: 'x'"],
    ["None.x", "AttributeError", "'NoneType' object has no attribute 'x'"],
    ["nope", "NameError", "name 'nope' is not defined"],
    ["__import__('nope')", "ModuleNotFoundError", "No module named 'nope'"],
    [
      "open('/nonexistent/file')",
      "FileNotFoundError",
      "[Errno 2] No such file or directory: '/nonexistent/file'",
    ],
    [
      "b'\\xff'.decode()",
      "UnicodeDecodeError",
      "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte",
    ],
    ["next(iter(()))", "StopIteration", ""],
  ];
  test.each(builtin)("%s", (code, name, message) => {
    const error = thrown<PythonError>(() => py.evalSync(code));
    expect(error).toBeInstanceOf(PythonError);
    expect([error.name, error.message, error.code]).toEqual([name, message, "ERR_COLOOP_PYTHON"]);
    expect(error.traceback).toContain(name);
  });

  test("a syntax error tells the line", () => {
    const error = thrown<PythonError>(() => py.execSync("x = 1\nif x\n"));
    expect(error.name).toBe("SyntaxError");
    expect(error.message).toMatch(/line 2/);
  });

  test("the cause", () => {
    const error = thrown<PythonError>(() => py.globals.chained());
    expect([error.message, (error.cause as PythonError).name]).toEqual(["outer", "KeyError"]);
  });

  test("__str__ that raises", () => {
    expect(thrown(() => py.execSync("raise OddError()")).name).toBe("OddError");
  });

  test("text that is not Unicode", () => {
    expect(thrown(() => py.execSync("raise ValueError('\\udcff')")).message).toBe("\udcff");
  });

  test("a recursion without end", () => {
    const error = thrown(() => py.execSync("def f(): return f()\nf()"));
    expect(error.name).toBe("RecursionError");
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test("SystemExit and KeyboardInterrupt end nothing", async () => {
    expect(thrown(() => py.execSync("raise SystemExit(3)")).name).toBe("SystemExit");
    expect((await rejected(py.exec("raise KeyboardInterrupt"))).name).toBe(
      "PythonInterruptedError",
    );
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test("out of a coroutine", async () => {
    const error = await rejected<PythonError>(py.globals.fail("late"));
    expect([error.name, error.message]).toEqual(["LookupError", "late"]);
    expect(error.frames.at(-1)).toMatchObject({ function: "fail" });
  });

  test("an ExceptionGroup has its errors, where Python has it", () => {
    const raise = "raise ExceptionGroup('two', [ValueError('a'), TypeError('b')])";
    const error = thrown<PythonError>(() => py.execSync(raise));
    if (atLeast(py, 3, 11))
      expect(error.errors?.map((each) => (each as PythonError).name)).toEqual([
        "ValueError",
        "TypeError",
      ]);
    else expect(error.name).toBe("NameError");
  });
});

describe("JavaScript's errors", () => {
  const fail = (error: unknown) => () => {
    throw error;
  };

  test("are a JsError in Python, with name, message and stack", () => {
    py.execSync(
      "from coloop import JsError\ndef guard(f):\n    try: f()\n    except JsError as e: return (e.name, e.message, str(e), 'errors.test' in e.stack)",
    );
    expect(py.globals.guard(fail(new RangeError("out")))).toEqual([
      "RangeError",
      "out",
      "RangeError: out",
      true,
    ]);
  });

  test.each([[new Error("x")], [null], [undefined], [0], ["text"], [{ a: 1 }]])(
    "%o comes back as itself",
    (value) => {
      let caught: unknown = "nothing";
      try {
        py.evalSync("f()", { f: fail(value) });
      } catch (error) {
        caught = error;
      }
      expect(caught).toBe(value);
    },
  );

  test("a Python exception through JavaScript is the same object in Python", () => {
    py.execSync(`
original = ValueError("mine")
def raise_it():
    raise original
def same(f):
    try:
        f()
    except ValueError as error:
        return error is original
`);
    expect(py.globals.same(() => py.globals.raise_it())).toBe(true);
  });
});

describe("misuse", () => {
  const cases: [title: string, misuse: () => unknown, code: string][] = [
    ["a module that is not there", () => py.import("no.such"), "ERR_COLOOP_PYTHON"],
    ["a module name of the wrong type", () => py.import(1 as never), "ERR_COLOOP_ARGUMENT"],
    ["an expression of the wrong type", () => py.evalSync(5 as never), "ERR_COLOOP_ARGUMENT"],
    ["locals of the wrong type", () => py.evalSync("1", [] as never), "ERR_COLOOP_ARGUMENT"],
    ["a symbol", () => py.evalSync("v", { v: Symbol("x") }), "ERR_COLOOP_CONVERSION"],
    [
      "an invalid Date",
      () => py.evalSync("v", { v: new Date(Number.NaN) }),
      "ERR_COLOOP_CONVERSION",
    ],
    ["a name that is no identifier", () => py.register("a b", () => 1), "ERR_COLOOP_PYTHON"],
    ["a name that the module has", () => py.register("run", () => 1), "ERR_COLOOP_PYTHON"],
    [
      "an unknown option",
      () => py.import("math").sqrt.$with({ kwarg: {} } as never),
      "ERR_COLOOP_ARGUMENT",
    ],
  ];
  test.each(cases)("%s", (_, misuse, code) => {
    expect(misuse).toThrow(expect.objectContaining({ code }));
  });

  test("the path to what cannot cross", () => {
    const value = { items: [1, { deep: Symbol("x") }] };
    expect(thrown(() => py.import("builtins").len(value)).message).toMatch(
      /args\[0\]\.items\[1\]\.deep/,
    );
  });

  test("another interpreter in the same process", async () => {
    const error = await rejected<ColoopError>(Python.start({ python: "/nonexistent/python" }));
    expect(error.code).toBe("ERR_COLOOP_PYTHON_NOT_FOUND");
    expect(error.message).toContain("/nonexistent/python");
  });

  test("a second start is the same handle", async () => {
    expect(await Python.start()).toBe(py);
  });
});
