import { type Blocked, PythonInterruptedError } from "coloop";
import { afterEach, describe, expect, test } from "vitest";
import { checkLeaks, startPython, thrown } from "../helpers/python.js";

const py = await startPython();
const mod = py.import("fixture_interrupts");
checkLeaks(py);

const reports: Blocked[] = [];
const listener = (blocked: Blocked): void => {
  reports.push(blocked);
};
py.on("blocked", listener);
afterEach(() => {
  reports.length = 0;
});

function callsPython(seconds: number): unknown {
  return mod.blocks_for(seconds);
}

describe("the watchdog", () => {
  test("reports what blocks the thread, with both stacks, and lets it go on", () => {
    const stop = py.watchdog({ limit: 30 });
    expect(callsPython(0.2)).toBe("done");
    stop();
    expect(reports).toHaveLength(1);
    const [report] = reports;
    expect(report?.milliseconds).toBeGreaterThanOrEqual(30);
    expect(report?.milliseconds).toBeLessThan(200);
    expect(report?.pythonStack).toContain("in blocks_for");
    expect(report?.pythonStack).toContain("time.sleep(seconds)");
    expect(report?.javaScriptStack).toContain("callsPython");
    expect(report?.interrupted).toBe(false);
  });

  test("reports each call once", () => {
    const stop = py.watchdog({ limit: 20 });
    mod.blocks_for(0.15);
    mod.blocks_for(0.15);
    stop();
    expect(reports).toHaveLength(2);
  });

  test("says nothing of shorter calls, however many", () => {
    const stop = py.watchdog({ limit: 200 });
    const end = performance.now() + 400;
    while (performance.now() < end) mod.blocks_for(0.001);
    stop();
    expect(reports).toEqual([]);
  });

  test("interrupts", () => {
    const stop = py.watchdog({ limit: 30, action: "interrupt" });
    const error = thrown(() => mod.sleep());
    stop();
    expect(error).toBeInstanceOf(PythonInterruptedError);
    expect(reports).toMatchObject([{ interrupted: true }]);
    expect(reports[0]?.pythonStack).toContain("in sleep");
  });

  test("interrupts again what catches it", () => {
    const stop = py.watchdog({ limit: 20, action: "interrupt" });
    const code = "for i in range(3):\n  try:\n    f()\n  except KeyboardInterrupt: pass";
    py.execSync(code, { f: mod.spin });
    stop();
    expect(reports).toHaveLength(3);
  });

  test("sees a Task that computes", async () => {
    const stop = py.watchdog({ limit: 20 });
    await py.exec("import asyncio, time\nawait asyncio.sleep(0.001)\ntime.sleep(0.15)");
    stop();
    expect(reports).toHaveLength(1);
  });

  test("does not count JavaScript that Python calls", () => {
    const stop = py.watchdog({ limit: 30 });
    const busy = (): void => {
      const end = performance.now() + 150;
      while (performance.now() < end);
    };
    mod.call_it(busy);
    stop();
    expect(reports).toEqual([]);
  });

  test("is silent when it has ended", () => {
    py.watchdog({ limit: 10 })();
    mod.blocks_for(0.1);
    expect(reports).toEqual([]);
  });

  test("warns when nobody listens", async () => {
    py.off("blocked", listener);
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    const stop = py.watchdog({ limit: 10 });
    mod.blocks_for(0.1);
    stop();
    py.on("blocked", listener);
    const warning = (await warned) as Error & { detail: string };
    expect(warning.name).toBe("PythonBlockedWarning");
    expect(warning.detail).toContain("in blocks_for");
  });

  test("options are checked", () => {
    expect(() => py.watchdog({} as never)).toThrow(/limit/);
    expect(() => py.watchdog({ limit: 0 })).toThrow(/limit/);
    expect(() => py.watchdog({ limit: 10, action: "kill" as never })).toThrow(/action/);
  });
});
