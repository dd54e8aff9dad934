import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { repository, runCode } from "../helpers/child.js";

interface Block {
  document: string;
  line: number;
  code: string;
}

/** The `js` blocks of a document: whole programs, each run in a process of its own. */
function blocksOf(document: string): Block[] {
  const text = readFileSync(path.join(repository, document), "utf8");
  return [...text.matchAll(/^```js\n([\s\S]*?)^```$/gm)].map((match) => ({
    document,
    line: text.slice(0, match.index).split("\n").length,
    code: match[1] ?? "",
  }));
}

const blocks = ["README.md", "docs/conversion.md"].flatMap(blocksOf);

/** What the comments after `console.log(…);` say that it prints. */
function promised(code: string): string[] {
  return [...code.matchAll(/^console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text = ""]) => text);
}

test("there are programs in the documents", () => {
  expect(blocks.map(({ document }) => document)).toEqual([
    "README.md",
    "README.md",
    "docs/conversion.md",
  ]);
});

test.each(blocks)("the program in $document, line $line, does what it says", async ({ code }) => {
  const result = await runCode(code);
  expect(result.stderr).toBe("");
  expect(result.code).toBe(0);
  const lines = result.stdout.trimEnd().split("\n");
  for (const line of promised(code)) expect(lines).toContain(line);
  expect(lines[0]).not.toBe("");
});
