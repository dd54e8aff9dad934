import path from "node:path";
import { expect, test } from "vitest";
import { sampleOf, table } from "../../tools/matrix.mjs";
import { missingSymbols, neededSymbols } from "../../tools/symbols.mjs";
import { repository, runScript } from "../helpers/child.js";

test("a sample has each Node and each Python, in as few pairs as that takes", () => {
  const pairs = sampleOf(["a", "b"], [1, 2, 3, 4, 5]);
  expect(pairs).toEqual([
    ["a", 1],
    ["b", 2],
    ["a", 3],
    ["b", 4],
    ["a", 5],
  ]);
  expect(sampleOf(["a", "b", "c"], [1])).toEqual([
    ["a", 1],
    ["b", 1],
    ["c", 1],
  ]);
});

test("the table tells failures, skips and what was not run", () => {
  const nodes = [{ version: "20.1.0" }, { version: "22.0.0" }];
  const pythons = [{ label: "3.10.1" }, { label: "3.11.2, venv" }];
  const results = [
    { node: nodes[0], python: pythons[0], counts: { passed: 160, failed: 0, skipped: 0 } },
    { node: nodes[1], python: pythons[0], counts: { passed: 158, failed: 1, skipped: 1 } },
    { node: nodes[0], python: pythons[1], counts: { passed: 9, failed: 2, skipped: 0 } },
  ];
  expect(table(nodes, pythons, results)).toEqual([
    "passed               Node 20.1.0               Node 22.0.0",
    "Python 3.10.1                160  158, 1 failed, 1 skipped",
    "Python 3.11.2, venv  9, 2 failed                         -",
  ]);
});

const misuses: [args: string[], message: RegExp][] = [
  [["--node", "18"], /^\[coloop\] Node 18 is not in the matrix: 20, 22, 24, 26\n$/],
  [["--python", "3.9"], /^\[coloop\] no usable Python 3\.9 is on this machine\n$/],
  [["--pyton", "3.12"], /^\[coloop\] Unknown option '--pyton'[^\n]*\n$/],
];
test.each(misuses)("matrix %j is an error with one line", async (args, message) => {
  const { code, stderr } = await runScript("tools/matrix.mjs", { args });
  expect(code).toBe(1);
  expect(stderr).toMatch(message);
});

test("symbols: a program that does not have them lacks all that the addon needs", async () => {
  const loader = path.join(repository, "build", "loader", "coloop_loader.node");
  const needed = await neededSymbols(loader);
  expect(needed).toContain("napi_create_function");
  expect(await missingSymbols(process.execPath, [loader])).toEqual({ "coloop_loader.node": [] });
  expect(await missingSymbols(loader, [loader])).toEqual({ "coloop_loader.node": needed });
});
