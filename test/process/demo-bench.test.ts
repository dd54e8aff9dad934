import { expect, test } from "vitest";
import { runScript } from "../helpers/child.js";

interface Report {
  machine: { python: string; node: string };
  rows: { name: string; median: number; ratio?: number; bar?: string }[];
}

test("the benchmark runs every case and judges nothing when it is quick", async () => {
  const result = await runScript("bench/run.mjs", { args: ["--quick", "--json"] });
  expect(result.stderr).toBe("");
  const { machine, rows } = JSON.parse(result.stdout) as Report;
  expect(machine.node).toBe(process.version);
  expect(rows.filter(({ median }) => !(median > 0))).toEqual([]);
  expect(rows.filter(({ bar }) => bar !== undefined).map(({ bar }) => bar)).toEqual([
    "<= 0.6x",
    "<= 0.35 us",
    "<= +0.03 us",
    "<= 1.01x",
  ]);
  expect(rows.find(({ name }) => name === "await py.f(), one by one")?.ratio).toBeGreaterThan(0);
  expect(result.code).toBe(0);
});

test("the benchmark prints a table with the machine it ran on", async () => {
  const result = await runScript("bench/run.mjs", { args: ["--quick"] });
  expect(result.stdout).toMatch(/^await py\.f\(\), one by one +\d.*x {2}/m);
  expect(result.stdout).toMatch(/^Python 3\.\d+\.\d+, Node v\d+.*; medians of 1 round$/m);
  expect(result.stdout).not.toContain("MISSED");
});
