// close() and a new start in the same environment.

import { existsSync, realpathSync } from "node:fs";
import { type PyProxy, Python } from "coloop";
import { beforeEach, describe, expect, test } from "vitest";
import { rejection, startPython } from "../fixtures/py2/start.js";

let py = await startPython();

beforeEach(async () => {
  py = await Python.start();
});

describe("$dispose() of what py needs itself does nothing", () => {
  test("its globals", async () => {
    py.import("__main__").$dispose();
    py.globals.$dispose();
    (py.globals as unknown as Disposable)[Symbol.dispose]();
    expect(py.evalSync("1 + 1")).toBe(2);
    py.globals.kept = 3;
    expect(await py.eval("kept")).toBe(3);
  });

  test("its own functions", () => {
    const bridge = py.import("_erlang_impl._bridge");
    for (const name of ["evaluate", "import_module"]) bridge[name].$dispose();
    expect(py.evalSync("1 + 1")).toBe(2);
    expect(py.import("math").sqrt(4)).toBe(2);
  });
});

describe("after close()", () => {
  test("proxies throw", async () => {
    const list = py.evalSync<PyProxy>("type('T', (), {'value': 1})()");
    await py.close();
    expect(() => list.value).toThrow(/closed|disposed/);
    expect(() => list.$dispose()).not.toThrow();
    py = await Python.start();
    expect(() => list.value).toThrow(/disposed/);
    expect(() => py.evalSync("x", { x: list })).toThrow(/disposed/);
  });

  test("calls throw or reject with the remedy", async () => {
    await py.close();
    expect(() => py.evalSync("1")).toThrow(/Python\.start/);
    expect(() => py.import("math")).toThrow(/Python\.start/);
    const error = (await rejection(py.eval("1"))) as Error & { code: string };
    expect(error.code).toBe("ERR_COLOOP_CLOSED");
  });

  test("a handle stays closed when Python is started anew", async () => {
    const old = py;
    const namespace = await old.namespace();
    await old.close();
    py = await Python.start();
    const closed = expect.objectContaining({ code: "ERR_COLOOP_CLOSED" });
    expect(() => old.evalSync("1")).toThrow(closed);
    expect(() => old.import("math")).toThrow(closed);
    expect(() => old.register("f", () => 1)).toThrow(closed);
    expect(() => old.loop).toThrow(closed);
    expect(() => old.metrics()).toThrow(closed);
    expect(() => old.watchdog({ limit: 1000 })).toThrow(closed);
    await expect(old.exec("1")).rejects.toEqual(closed);
    await expect(namespace.eval("1")).rejects.toEqual(closed);
    await old.close();
    await namespace.close();
    expect(py.evalSync("1")).toBe(1);
  });

  test("a start waits for it", async () => {
    const closed = py.close();
    const [one, other] = await Promise.all([Python.start(), Python.start()]);
    expect(one).not.toBe(py);
    expect(other).toBe(one);
    expect(one.evalSync("1 + 1")).toBe(2);
    await closed;
  });

  test("there are no metrics, and those of a new start begin anew", async () => {
    await py.eval("await a.sleep(0.001)", { a: py.import("asyncio") });
    expect(py.metrics().iterations).toBeGreaterThan(0);
    const old = py.loop;
    await py.close();
    expect(() => py.metrics()).toThrow(/Python\.start/);
    py = await Python.start();
    expect(py.metrics()).toMatchObject({ lag: { max: 0 }, tasks: 0, timers: 0 });
    expect(() => old.metrics()).toThrow(/disposed/);
  });

  test("a second close() is done at once", async () => {
    await Promise.all([py.close(), py.close()]);
    await py.close();
  });

  test("the loop is closed", async () => {
    py.execSync("import asyncio\nold = asyncio.get_event_loop()");
    await py.close();
    py = await Python.start();
    expect(py.evalSync("old.is_closed(), old.is_running()")).toEqual([true, false]);
    expect(() => py.evalSync("old.call_soon(print)")).toThrow("Event loop is closed");
    expect(py.evalSync("asyncio.get_event_loop() is old")).toBe(false);
  });

  test("functions that were registered are forgotten, kept ones say that they have ended", async () => {
    py.register("host_function", () => 1);
    py.execSync("from coloop import host_function as kept_function");
    await py.close();
    py = await Python.start();
    expect(() => py.execSync("from coloop import host_function")).toThrow(/host_function/);
    expect(() => py.evalSync("kept_function()")).toThrow(/closed|ended/);
    expect(py.evalSync("repr(kept_function)")).toMatch(/ended/);
  });
});

describe("start again", () => {
  test("is another handle on the same interpreter", async () => {
    py.execSync("marker = object()\nmarker_id = id(marker)");
    await py.close();
    const again = await Python.start();
    expect(again).not.toBe(py);
    expect(again.evalSync("id(marker) == marker_id")).toBe(true);
  });

  test("has a loop that works", async () => {
    await py.close();
    const again = await Python.start();
    expect(await again.eval("await a.sleep(0.001, 'x')", { a: again.import("asyncio") })).toBe("x");
    expect(await again.eval("await p", { p: Promise.resolve(3) })).toBe(3);
  });

  test("keeps what it was started with", async () => {
    await py.close();
    const again = await Python.start({ exitGrace: 1234 });
    for (const [options, message] of [
      [{ exitGrace: 5000 }, /runs with exitGrace: 1234 here.* cannot have exitGrace: 5000/],
      [{ signals: "host" }, /runs with signals: "refuse" here.* cannot have signals: "host"/],
    ] as const) {
      await expect(Python.start(options)).rejects.toMatchObject({
        code: "ERR_COLOOP_OTHER_INTERPRETER",
        message: expect.stringMatching(message),
      });
    }
    expect(await Python.start({ exitGrace: 1234, signals: "refuse" })).toBe(again);
    await again.close();
    await (await Python.start({ exitGrace: 2000 })).close();
  });

  const other = ["/usr/bin/python3", "/usr/local/bin/python3"].find(
    (file) => existsSync(file) && realpathSync(file) !== realpathSync(py.executable),
  );
  test.skipIf(other === undefined)("with another interpreter it is an error", async () => {
    const error = await rejection<Error & { code: string }>(
      Python.start({ python: other as string }),
    );
    // One without a shared library, or with other faults, is refused for that.
    expect(error.code).toMatch(/^ERR_COLOOP_(OTHER_INTERPRETER|NO_SHARED|PYTHON)/);
  });

  test("while Tasks of before swallow their cancellation", async () => {
    const call = rejection(
      py.exec(
        `
import asyncio
for _ in range(3):
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        pass
await asyncio.sleep(60)
`,
      ),
    );
    await py.close({ timeout: 20 });
    expect(((await call) as Error & { code: string }).code).toMatch(/ERR_COLOOP_(CLOSED|ABORTED)/);
    py = await Python.start();
    expect(await py.eval("1")).toBe(1);
  });
});

test("options of close are checked", async () => {
  const error = (await rejection(py.close({ timout: 5 } as never))) as Error;
  expect(error.message).toMatch(/close has no option "timout"/);
});
