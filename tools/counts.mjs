// Counts of passed, failed and skipped cases, and how each runner's report turns into them.

import { existsSync, readFileSync } from "node:fs";

export const none = Object.freeze({ passed: 0, failed: 0, skipped: 0 });
export const oneFailed = Object.freeze({ passed: 0, failed: 1, skipped: 0 });

export function add(...counts) {
  const sum = (key) => counts.reduce((total, count) => total + count[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

export function line({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** A runner that fails without naming a failed case (a crash, a file that does not load) failed once. */
function withStatus(counts, code) {
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** vitest's JSON report. */
export function ofVitest(file, code) {
  if (!existsSync(file)) return code === 0 ? none : oneFailed;
  const report = JSON.parse(readFileSync(file, "utf8"));
  // A file that fails to load has no cases: it is a failed suite with an empty list.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  const counts = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  };
  return withStatus(counts, code);
}

/** unittest's closing lines: `Ran 12 tests in …` and `FAILED (failures=1, errors=2, skipped=3)`. */
export function ofUnittest(output, code) {
  const ran = /^Ran (\d+) tests? in /m.exec(output);
  if (!ran) return code === 0 ? none : oneFailed;
  const ending = output.slice(ran.index);
  const number = (name) => Number(new RegExp(`[(,] ?${name}=(\\d+)`).exec(ending)?.[1] ?? 0);
  const failed = number("failures") + number("errors") + number("unexpected successes");
  const skipped = number("skipped");
  // An error in setUpClass or at import adds to the errors, not to the tests that ran.
  const passed = Math.max(0, Number(ran[1]) - failed - skipped);
  return withStatus({ passed, failed, skipped }, code);
}

/** The last line `N passed, N failed[, N skipped]` of a native test program. */
export function ofNative(output, code) {
  const found = [...output.matchAll(/(\d+) passed, (\d+) failed(?:, (\d+) skipped)?/g)].at(-1);
  if (!found) return code === 0 ? { ...none, passed: 1 } : oneFailed;
  const [, passed, failed, skipped = "0"] = found;
  const counts = { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) };
  return withStatus(counts, code);
}
