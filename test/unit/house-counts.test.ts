import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { add, line, ofNative, ofUnittest, ofVitest } from "../../tools/counts.mjs";
import {
  failureOf,
  hasFailed,
  heading,
  isProgress,
  stepEnd,
  stepsOf,
} from "../../tools/output.mjs";

describe("unittest", () => {
  const ran = (count: number, ending: string) => `----\nRan ${count} tests in 0.1s\n\n${ending}\n`;

  test.each([
    ["all passed", ran(12, "OK"), 0, "12 passed, 0 failed, 0 skipped"],
    ["one test", "Ran 1 test in 0.1s\n\nOK\n", 0, "1 passed, 0 failed, 0 skipped"],
    ["skips", ran(12, "OK (skipped=2)"), 0, "10 passed, 0 failed, 2 skipped"],
    [
      "failures",
      ran(12, "FAILED (failures=1, errors=2, skipped=3, unexpected successes=1)"),
      1,
      "5 passed, 4 failed, 3 skipped",
    ],
    [
      "expected failures are no failures",
      ran(3, "OK (expected failures=1)"),
      0,
      "3 passed, 0 failed, 0 skipped",
    ],
    [
      "a module that does not load",
      ran(1, "FAILED (errors=1)"),
      1,
      "0 passed, 1 failed, 0 skipped",
    ],
    ["a crash before the end", "..F.", 139, "0 passed, 1 failed, 0 skipped"],
    ["a crash after the end", ran(4, "OK"), 134, "4 passed, 1 failed, 0 skipped"],
  ])("%s", (_name, output, code, expected) => {
    expect(line(ofUnittest(output, code))).toBe(expected);
  });
});

describe("native programs", () => {
  test.each([
    ["3 passed, 0 failed, 1 skipped\n", 0, "3 passed, 0 failed, 1 skipped"],
    ["3 passed, 1 failed\n", 1, "3 passed, 1 failed, 0 skipped"],
    ["3 passed, 0 failed\n", 139, "3 passed, 1 failed, 0 skipped"],
    ["Segmentation fault", 139, "0 passed, 1 failed, 0 skipped"],
    ["", 0, "1 passed, 0 failed, 0 skipped"],
  ])("%j with status %i", (output, code, expected) => {
    expect(line(ofNative(output, code))).toBe(expected);
  });
});

describe("vitest", () => {
  function report(content: object): string {
    const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-counts-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, "report.json");
    writeFileSync(file, JSON.stringify(content));
    return file;
  }

  const passed = { numPassedTests: 5, numFailedTests: 0, numPendingTests: 1, testResults: [] };

  test("counts", () => {
    expect(line(ofVitest(report(passed), 0))).toBe("5 passed, 0 failed, 1 skipped");
  });

  test("a file that does not load is a failure", () => {
    const broken = { status: "failed", assertionResults: [] };
    const file = report({ ...passed, testResults: [broken] });
    expect(line(ofVitest(file, 1))).toBe("5 passed, 1 failed, 1 skipped");
  });

  test("an unhandled error is a failure", () => {
    expect(line(ofVitest(report(passed), 1))).toBe("5 passed, 1 failed, 1 skipped");
  });

  test("no report is a failure", () => {
    expect(line(ofVitest("/nonexistent/report.json", 1))).toBe("0 passed, 1 failed, 0 skipped");
  });
});

test("counts add up", () => {
  const one = { passed: 1, failed: 2, skipped: 3 };
  expect(add(one, one)).toEqual({ passed: 2, failed: 4, skipped: 6 });
});

describe("a long run's output", () => {
  const steps = stepsOf(
    [
      "before any step",
      heading("good"),
      "ValueError: meant to be",
      stepEnd("2 passed, 0 failed, 0 skipped", "1.0 s"),
      heading("bad"),
      "[coloop] a part of it",
      "ERROR: test_it (module)",
      "Traceback (most recent call last):",
      stepEnd("2 passed, 10 failed, 0 skipped", "1.0 s"),
    ].join("\n"),
  );

  test("is split into its steps", () => {
    expect([...steps.keys()]).toEqual(["good", "bad"]);
    expect([...steps.values()].map(hasFailed)).toEqual([false, true]);
    expect(steps.get("bad")?.filter(isProgress)).toHaveLength(3);
  });

  test("of a step that failed does not begin with our own line at its end", () => {
    const lines = ["a compiler's words", "[coloop] build FAILED: ninja … ended with status 1"];
    expect(failureOf(lines)).toEqual(lines);
  });

  test("of a step that failed begins where it says so", () => {
    expect(failureOf(steps.get("bad") ?? [])[0]).toBe("ERROR: test_it (module)");
  });

  test.each([
    ["vitest's list, not what a test printed", ["FAILED", "⎯⎯⎯⎯ Failed Tests 1 ⎯⎯⎯⎯", "x"], 2],
    ["the last lines if nothing says so", Array.from({ length: 500 }, String), 120],
    ["the first and the last of many", ["FAILED", ...Array.from({ length: 500 }, String)], 121],
  ])("%s", (_name, lines, count) => {
    const shown = failureOf(lines);
    expect(shown).toHaveLength(count);
    expect(shown.at(-1)).toBe(lines.at(-1));
  });
});
