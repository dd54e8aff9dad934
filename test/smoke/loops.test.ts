// The hosted loop's states, and loops of Python's own.

import { beforeAll, describe, expect, test } from "vitest";
import type { LoopError } from "../../src/index.js";
import { mustCall } from "../helpers/must-call.js";
import { atLeast, startPython, thrown } from "../helpers/python.js";

const py = await startPython();

beforeAll(() => {
  py.execSync(`
import asyncio, coloop
def running():
    try:
        return repr(asyncio.get_running_loop())
    except RuntimeError:
        return "none"
async def task():
    await asyncio.sleep(0)
    return asyncio.get_running_loop() is asyncio.get_event_loop(), asyncio.current_task() is not None
async def main(value=None):
    await asyncio.sleep(0.001)
    return type(asyncio.get_running_loop()).__name__, value
`);
});

describe("the hosted loop", () => {
  test("runs, is open, and is nobody's running loop while JavaScript runs", () => {
    expect([py.loop.is_running(), py.loop.is_closed(), py.globals.running()]).toEqual([
      true,
      false,
      "none",
    ]);
    expect(
      py.evalSync("asyncio.get_event_loop() is l", { asyncio: py.import("asyncio"), l: py.loop }),
    ).toBe(true);
  });

  test("is the running loop of a Task, and not afterwards", async () => {
    expect(await py.globals.task()).toEqual([true, true]);
    expect(py.globals.running()).toBe("none");
  });

  test.each([["run_forever"], ["stop"], ["close"]])("%s() is Node's business", (name) => {
    const call = (): unknown => py.loop[name]();
    expect(thrown(call)).toMatchObject({ name: "RuntimeError" });
    expect(py.loop.is_running()).toBe(true);
  });

  test("call_soon, call_later, call_at, cancel", async () => {
    const order: string[] = [];
    const now = py.loop.time() as number;
    const never = (): void => void order.push("cancelled");
    const last = new Promise<void>((resolve) => {
      py.loop.call_later(0.01, () => {
        order.push("later");
        resolve();
      });
    });
    py.loop.call_at(now + 0.005, () => order.push("at"));
    py.loop.call_soon(() => order.push("soon"));
    (py.loop.call_later(0.001, never) as { cancel(): void }).cancel();
    await last;
    expect(order).toEqual(["soon", "at", "later"]);
  });

  test("reports an error without a promise, and goes on", async () => {
    py.execSync("import logging\nlogging.getLogger('asyncio').disabled = True");
    const reported = new Promise<LoopError>((resolve) => py.once("loopError", resolve));
    py.loop.call_soon(py.evalSync("lambda: [][0]"));
    expect(await reported).toMatchObject({ exception: { name: "IndexError" } });
    py.execSync("logging.getLogger('asyncio').disabled = False");
    expect(await py.globals.task()).toEqual([true, true]);
  });

  test("readers and writers of descriptors", async () => {
    const ready = mustCall(() => {});
    await py.exec(
      `
import os, socket
a, b = socket.socketpair()
loop = asyncio.get_running_loop()
readable, writable = loop.create_future(), loop.create_future()
loop.add_reader(a, lambda: readable.set_result((loop.remove_reader(a), a.recv(10))))
loop.add_writer(b, lambda: writable.set_result(loop.remove_writer(b)))
assert await writable
b.send(b"x")
assert await readable == (True, b"x")
assert not loop.remove_reader(a) and not loop.remove_writer(b)
a.close()
b.close()
ready()
`,
      { ready },
    );
  });
});

describe("owned loops", () => {
  test.each([["coloop.run(main(1))"], ["asyncio.run(main(1))"]])(
    "%s in a synchronous call",
    (code) => {
      py.execSync(`def run(): return ${code}`);
      expect(py.globals.run()).toEqual(["ErlangEventLoop", 1]);
      expect(py.globals.running()).toBe("none");
    },
  );

  test("asyncio.Runner with coloop.new_event_loop, where Python has it", () => {
    const code =
      "with asyncio.Runner(loop_factory=coloop.new_event_loop) as r: got = [r.run(main(i)) for i in (1, 2)]";
    if (!atLeast(py, 3, 11)) return expect(py.evalSync("hasattr(asyncio, 'Runner')")).toBe(false);
    py.execSync(code);
    expect(py.globals.got).toEqual([
      ["ErlangEventLoop", 1],
      ["ErlangEventLoop", 2],
    ]);
  });

  test("by hand: run_until_complete, run_forever with stop, close", () => {
    py.execSync(`
loop = coloop.new_event_loop()
assert loop.run_until_complete(main(3)) == ("ErlangEventLoop", 3)
loop.call_later(0.001, loop.stop)
loop.run_forever()
loop.close()
assert loop.is_closed()
`);
  });

  test("calls JavaScript, also from its threads", () => {
    py.execSync(
      "def ask(f):\n    async def main():\n        return f(1) + await asyncio.to_thread(f, 2)\n    return coloop.run(main())",
    );
    expect(py.globals.ask((n: number) => n * 10)).toBe(30);
  });

  test("what main() raises is thrown", () => {
    py.execSync(
      "async def fail():\n    raise KeyError('out')\ndef run_fail():\n    coloop.run(fail())",
    );
    expect(() => py.globals.run_fail()).toThrow(expect.objectContaining({ name: "KeyError" }));
  });

  test("a run inside a run is refused", () => {
    py.execSync(`
async def nested():
    inner = main()
    try:
        coloop.run(inner)
    except RuntimeError as error:
        return str(error)
    finally:
        inner.close()
def run_nested():
    return coloop.run(nested())
`);
    expect(py.globals.run_nested()).toMatch(/cannot be called from a running event loop/);
  });
});
