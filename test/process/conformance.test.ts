// The runner of CPython's tests: it must see every way in which a test can end.

import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { discoverInterpreter } from "coloop";
import { afterAll, expect, test } from "vitest";
import { repository } from "../helpers/child.js";
import { judge, runModule } from "../python/conformance/run.mjs";

const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-conformance-"));
afterAll(() => rmSync(folder, { recursive: true }));

const fixtures = path.join(repository, "test", "fixtures", "py");

test("crashes, hangs and interrupts cost one test each, and the rest goes on", async () => {
  const events = await runModule("conformance_faults", path.join(folder, "faults.jsonl"), {
    python: discoverInterpreter(),
    env: { PYTHONPATH: fixtures, COLOOP_CONFORMANCE_SECONDS: "2" },
  });
  const verdict = judge(events);
  const faults = verdict.faults.map((fault: string) => fault.replace("conformance_faults.", ""));
  expect(faults).toEqual([
    expect.stringMatching(/^Faults\.test_b_kills_the_process\n.*SIGABRT/),
    expect.stringMatching(/^Faults\.test_c_hangs\n[\s\S]*Timeout[\s\S]*in test_c_hangs/),
    expect.stringMatching(/^Faults\.test_d_interrupts\n/),
    expect.stringMatching(/outside of a test\n[\s\S]*KeyboardInterrupt/),
    expect.stringMatching(/^Faults\.test_e_fails_in_a_subtest\n[\s\S]*AssertionError: 1 == 1/),
    expect.stringMatching(/^Faults\.test_h_passes_against_its_mark\n/),
    expect.stringMatching(/^setUpClass \(SetUpFails\)\n[\s\S]*ValueError: in setUpClass/),
  ]);
  expect(verdict).toMatchObject({ passed: 3, failed: 7, skipped: 1, listed: 0 });
}, 60_000);

test("a listed test has to fail", () => {
  const listed = (name: string) => ({ listed: name, reason: "a detail" });
  const verdict = judge([
    listed("one"),
    { end: "one", outcome: "failed", detail: "as listed" },
    listed("two"),
    { end: "two", outcome: "passed", detail: "" },
    { end: "three", outcome: "not applicable", detail: "a reason" },
  ]);
  expect(verdict.faults).toEqual(["two\nit is listed and passes; why it should fail: a detail"]);
  expect(verdict).toMatchObject({ passed: 0, failed: 1, skipped: 2, listed: 1, notApplicable: 1 });
});

test("a module that cannot be imported is a failure", async () => {
  const events = await runModule("conformance_nowhere", path.join(folder, "nowhere.jsonl"), {
    python: discoverInterpreter(),
  });
  expect(judge(events).faults).toEqual([
    expect.stringMatching(/_FailedTest\.conformance_nowhere\n[\s\S]*ModuleNotFoundError/),
  ]);
}, 60_000);
