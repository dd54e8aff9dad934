import { inspect } from "node:util";
import {
  isPyProxy,
  type PyProxy,
  PythonAbortError,
  PythonError,
  PythonInterruptedError,
  PythonTimeoutError,
} from "coloop";
import { describe, expect, test } from "vitest";
import { atLeast, checkLeaks, rejected, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const errors = py.import("fixture_errors");

checkLeaks(py);

const fails = (name: string, ...args: unknown[]): PythonError =>
  thrown<PythonError>(() => errors[name](...args));

describe("what an error tells", () => {
  test("class, code, name, message, type", () => {
    const error = fails("fail", "no");
    expect(error).toBeInstanceOf(PythonError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      code: "ERR_COLOOP_PYTHON",
      name: "ValueError",
      message: "no",
      pythonType: "ValueError",
    });
    expect(String(error)).toBe("ValueError: no");
  });

  test.each([
    ["fail_custom", [], "CustomError", "custom 7", "fixture_errors.CustomError"],
    ["fail_inner", [], "InnerError", "inner", "fixture_errors.Outer.InnerError"],
    ["bad_json", [], "JSONDecodeError", /Expecting property name/, "json.decoder.JSONDecodeError"],
    ["fail_with", ["KeyError", "key"], "KeyError", "'key'", "KeyError"],
    [
      "fail_with",
      ["OSError", 2, "No such file", "/x"],
      "FileNotFoundError",
      /No such file.*\/x/,
      "FileNotFoundError",
    ],
    ["fail_with", ["ZeroDivisionError"], "ZeroDivisionError", "", "ZeroDivisionError"],
    ["bad_bytes", [], "UnicodeDecodeError", /can't decode byte 0xff/, "UnicodeDecodeError"],
    ["bad_encode", [], "UnicodeEncodeError", /surrogates not allowed/, "UnicodeEncodeError"],
    ["recurse", [], "RecursionError", /maximum recursion depth/, "RecursionError"],
    ["no_exception", [], "TypeError", "exceptions must derive from BaseException", "TypeError"],
    ["fail_with", ["StopIteration", 5], "StopIteration", "5", "StopIteration"],
    ["fail_with", ["GeneratorExit"], "GeneratorExit", "", "GeneratorExit"],
    ["fail_with", ["MemoryError"], "MemoryError", "", "MemoryError"],
    ["fail_with", ["SystemError", "s"], "SystemError", "s", "SystemError"],
    ["fail_with", ["BaseException", "b"], "BaseException", "b", "BaseException"],
  ])("%s(%j)", (name, args, type, message, pythonType) => {
    const error = fails(name, ...args);
    expect(error.name).toBe(type);
    expect(error.message).toMatch(message);
    expect(error.pythonType).toBe(pythonType);
    expect(error.code).toBe("ERR_COLOOP_PYTHON");
  });

  test("the traceback as Python prints it, without frames of coloop's own", () => {
    const { traceback } = fails("fail", "text");
    expect(traceback).toMatch(/^Traceback \(most recent call last\):\n/);
    expect(traceback).toContain("fixture_errors.py");
    expect(traceback).toContain("raise ValueError(message)");
    expect(traceback).toMatch(/ValueError: text\n$/);
    expect(traceback).not.toContain("_erlang_impl");
    expect(thrown<PythonError>(() => py.evalSync("1 / 0")).traceback).not.toContain("_erlang_impl");
  });

  test("frames, outermost first", () => {
    const { frames } = fails("fail_deep", 3);
    expect(frames.map((frame) => frame.function)).toEqual([...Array(4).fill("fail_deep"), "fail"]);
    const last = frames.at(-1);
    expect(last?.file).toMatch(/fixture_errors\.py$/);
    expect(last?.line).toBeGreaterThan(1);
    expect(last?.source).toBe("raise ValueError(message)");
  });

  test("a very deep traceback is cut, not lost", () => {
    const { frames } = fails("recurse");
    expect(frames.length).toBeGreaterThan(10);
    expect(frames.length).toBeLessThanOrEqual(100);
  });

  test("frames of eval and exec have a name and no source", () => {
    const error = thrown<PythonError>(() => py.execSync("def inner():\n    1 / 0\ninner()"));
    expect(error.frames.map(({ file, line, function: name }) => [file, line, name])).toEqual([
      ["<coloop>", 3, "<module>"],
      ["<coloop>", 2, "inner"],
    ]);
    expect(error.frames[0]?.source).toBeNull();
  });

  test("the stack has both languages, innermost first", () => {
    const stack = fails("fail_deep", 1).stack?.split("\n") ?? [];
    expect(stack[0]).toBe("ValueError: deep");
    expect(stack.some((line) => line.includes("errors.test.ts"))).toBe(true);
    const python = stack.filter((line) => line.endsWith("[Python]"));
    expect(python.length).toBe(3);
    expect(python[0]).toMatch(/at fail \(.*fixture_errors\.py:\d+\)/);
  });

  test("util.inspect shows it without its insides", () => {
    const shown = inspect(fails("fail", "look"));
    expect(shown).toContain("ValueError: look");
    expect(shown).toContain("pythonType: 'ValueError'");
    expect(shown).not.toContain("PyProxy");
  });

  test("value is the exception itself", () => {
    const error = fails("fail_custom");
    const value = error.value as PyProxy;
    expect(isPyProxy(value)).toBe(true);
    expect([value.code, value.detail]).toEqual([7, { a: [1, 2] }]);
    expect(errors.type_of(error)).toBe("CustomError");
    expect(errors.type_of(value)).toBe("CustomError");
  });
});

describe("cause, context and groups", () => {
  test.each(["chain_cause", "chain_context"])("%s", (name) => {
    const error = fails(name);
    expect(error.message).toBe("'second'");
    const cause = error.cause as PythonError;
    expect(cause).toBeInstanceOf(PythonError);
    expect([cause.name, cause.message]).toEqual(["ValueError", "first"]);
    expect(cause.frames.at(-1)?.function).toBe("fail");
    expect(cause.cause).toBeUndefined();
  });

  test("a context that is suppressed is no cause", () => {
    const error = fails("chain_suppressed");
    expect(error.cause).toBeUndefined();
    expect("cause" in error).toBe(false);
  });

  test("a cycle of causes ends", () => {
    const error = fails("chain_of_itself");
    expect((error.cause as PythonError).message).toBe("'other'");
    expect((error.cause as PythonError).cause).toBeUndefined();
  });

  test.each([10, 30, 3000])("a chain of %i causes", (count) => {
    let error: unknown = fails("chain_long", count);
    let length = 0;
    for (; error instanceof PythonError; error = error.cause) {
      expect(error.message).toBe(`number ${count - 1 - length}`);
      length += 1;
    }
    expect(length).toBeGreaterThanOrEqual(Math.min(count, 30));
  });

  test.runIf(atLeast(py, 3, 11))("an ExceptionGroup", () => {
    const error = fails("group");
    expect(error.name).toBe("ExceptionGroup");
    expect(error.message).toBe("several (2 sub-exceptions)");
    const inner = error.errors as PythonError[];
    expect(inner.map(({ name, message }) => [name, message])).toEqual([
      ["ValueError", "a"],
      ["KeyError", "'b'"],
    ]);
    expect(error.traceback).toContain("KeyError: 'b'");
  });

  test.runIf(atLeast(py, 3, 11))("groups within groups", () => {
    const [inner, other] = fails("nested_group").errors as [PythonError, PythonError];
    expect((inner.errors as PythonError[])[0]?.message).toBe("a");
    expect(other.message).toBe("b");
    expect(other.errors).toBeUndefined();
  });

  test.runIf(atLeast(py, 3, 11))("groups that hold the same exception twice", () => {
    const error = fails("shared_group", 3);
    const [one, other] = error.errors as [PythonError, PythonError];
    expect(one).toBe(other);
    expect(one.errors?.[0]).toBe(one.errors?.[1]);
  });

  test("an attribute `exceptions` that means something else", () => {
    expect(fails("fail_with", "BrokenExceptions", "x").message).toBe("x");
    expect(fails("fail_with", "BrokenDir", "y").message).toBe("y");
  });
});

describe("exceptions that behave badly", () => {
  test("__str__ and __repr__ that raise", () => {
    const error = fails("fail_with", "BrokenText", 1);
    expect(error.name).toBe("BrokenText");
    expect(error.message).toMatch(/its __str__ raised RuntimeError/);
    expect(error.traceback).toContain("BrokenText");
  });

  test("a __str__ that returns something else", () => {
    expect(fails("fail_with", "TextIsNoString").message).toMatch(/__str__ raised TypeError/);
  });

  test("a class that cannot be made: Python's error about it", () => {
    expect(["LookupError", "TypeError"]).toContain(fails("fail_with", "RaisesOnNew", 1).name);
  });

  test.each([
    ["lone surrogates", "a\ud800b"],
    ["NUL", "a\0b"],
    ["characters beyond the basic plane", "😀"],
    ["many lines", "a\nb\r\nc"],
    ["an empty one", ""],
    ["a very long one", "x".repeat(100_000)],
  ])("text with %s", (_name, message) => {
    const error = fails("fail", message);
    expect(error.message).toBe(message);
    expect(error.traceback).toContain(message === "" ? "ValueError" : message.slice(0, 1));
  });

  test("bytes that are no UTF-8 in a message", () => {
    const error = thrown<PythonError>(() => errors.fail(Buffer.from([0xff, 0xfe])));
    expect(error.name).toBe("ValueError");
    expect(error.message).toContain("memory");
  });
});

describe("kinds with a class of their own", () => {
  test("CancelledError", () => {
    const error = fails("cancelled");
    expect(error).toBeInstanceOf(PythonAbortError);
    expect(error).toMatchObject({
      name: "AbortError",
      code: "ERR_COLOOP_ABORTED",
      pythonType: "asyncio.exceptions.CancelledError",
      message: "stopped",
    });
  });

  test.each(["timeout", "asyncio_timeout"])("TimeoutError: %s", (name) => {
    const error = fails(name);
    expect(error).toBeInstanceOf(PythonTimeoutError);
    expect(error).toMatchObject({ name: "PythonTimeoutError", code: "ERR_COLOOP_TIMEOUT" });
  });

  test("KeyboardInterrupt", () => {
    const error = fails("leave", "KeyboardInterrupt", "k");
    expect(error).toBeInstanceOf(PythonInterruptedError);
    expect(error).toMatchObject({
      name: "PythonInterruptedError",
      code: "ERR_COLOOP_INTERRUPTED",
      pythonType: "KeyboardInterrupt",
      message: "k",
    });
  });

  test("SystemExit ends nothing", () => {
    const error = fails("leave", "SystemExit", 3);
    expect(error).toMatchObject({ name: "SystemExit", code: "ERR_COLOOP_PYTHON", message: "3" });
    expect((error.value as PyProxy).code).toBe(3);
    expect(fails("exit_by_sys").message).toBe("bye");
    expect(thrown<PythonError>(() => py.execSync("raise SystemExit")).name).toBe("SystemExit");
  });

  test("SystemExit in a comprehension, a generator and a callback", () => {
    expect(
      thrown(() => py.evalSync("[leave() for _ in [1]]", { leave: errors.exit_by_sys })).name,
    ).toBe("SystemExit");
    const error = thrown(() => errors.call(() => errors.exit_by_sys()));
    expect(error.name).toBe("SystemExit");
  });
});

describe("one exception is one error", () => {
  test("while the error lives, the same exception is the same object", () => {
    const first = thrown(() => errors.raise_it(errors.stored));
    expect(thrown(() => errors.raise_it(errors.stored))).toBe(first);
    expect(thrown(() => errors.raise_it(first))).toBe(first);
    expect(errors.stored).toBe(first);
  });

  test("two exceptions are two errors", () => {
    expect(fails("fail")).not.toBe(fails("fail"));
  });

  test("an exception that goes through JavaScript and back is that exception", () => {
    const first = fails("fail", "through");
    const rethrow = () => {
      throw first;
    };
    expect(thrown(() => errors.call(rethrow))).toBe(first);
    expect(errors.catch(rethrow)).toBe(first);
    expect(errors.is_same_twice(rethrow)).toBe(true);
    // Its traceback holds `rethrow`, which holds it: a cycle through both languages.
    (first.value as PyProxy).$dispose();
  });

  test("through many layers of both languages", () => {
    const inner = () => errors.fail("layers");
    const middle = () => errors.reraise(inner);
    const outer = () => errors.call(middle);
    const error = thrown<PythonError>(() => errors.reraise(outer));
    expect([error.name, error.message]).toEqual(["ValueError", "layers"]);
    const names = error.traceback.match(/in (\w+)/g) ?? [];
    expect(names).toContain("in fail");
    expect(names).toContain("in reraise");
  });

  test("a new exception around one that came through JavaScript", () => {
    const error = thrown<PythonError>(() => errors.wrap(() => errors.fail("inside")));
    expect(error.message).toBe("wrapped");
    expect((error.cause as PythonError).message).toBe("inside");
  });

  test("a disposed exception's error stays readable", () => {
    const error = fails("fail", "kept");
    (error.value as PyProxy).$dispose();
    expect([error.name, error.message, error.frames.length]).toEqual(["ValueError", "kept", 1]);
    expect(thrown<{ code: string }>(() => (error.value as PyProxy).args).code).toBe(
      "ERR_COLOOP_DISPOSED",
    );
    const again = thrown<{ code: string; message: string }>(() => errors.type_of(error));
    expect(again.message).toMatch(/args\[0\].*disposed/);
  });
});

describe("the process and Python go on", () => {
  test("after a thousand errors", () => {
    for (let i = 0; i < 1000; i++) fails("fail", i);
    expect(errors.type_of(1)).toBe("int");
  });

  test("after an error in every kind of operation", async () => {
    expect(await rejected(py.eval("1 / 0"))).toBeInstanceOf(PythonError);
    expect(await rejected(py.exec("raise KeyError(1)"))).toBeInstanceOf(PythonError);
    expect(await rejected(py.call("fixture_errors", "fail"))).toBeInstanceOf(PythonError);
    expect(thrown(() => py.import("no_such_module"))).toBeInstanceOf(PythonError);
    expect(py.evalSync("1 + 1")).toBe(2);
  });

  test("an error while another is handled in Python's finally", () => {
    let count = 0;
    const fail = () => {
      count += 1;
      throw new Error(`number ${count}`);
    };
    const error = thrown(() => errors.pending_in_finally(fail));
    expect(error.message).toBe("number 2");
  });
});
