// leak-no-memory.mjs tries every kind of value that crosses.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { repository } from "../helpers/child.js";
import { toJs, toPython } from "./memory-helpers.mjs";

function rowsOf(table: string): string[] {
  const text = readFileSync(path.join(repository, "native/convert/kinds.def"), "utf8");
  const rows = text.matchAll(new RegExp(`^${table}\\("([^"]+)"`, "gm"));
  return Array.from(rows, ([, row]) => row as string);
}

test.each([
  ["TO_PYTHON", toPython],
  ["TO_JS", toJs],
])("%s of kinds.def", (table, values) => {
  const rows = rowsOf(table);
  expect(rows.length).toBeGreaterThan(15);
  expect(Object.keys(values).sort()).toEqual(rows.sort());
});
