// Every program in the documents and in the reference runs, each in a process of its own, and does what its
// comments say. The named files of one document are in one folder, which is the current one.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";
import { type ChildResult, repository, runProgram, runScript } from "../helpers/child.js";
import {
  type Block,
  blocksOf,
  differences,
  pages,
  promisedBy,
  sources,
} from "../helpers/documents.js";

// Inside the package, whose name its own files can import.
const home = path.join(repository, "build", "docs-programs");
rmSync(home, { recursive: true, force: true });

const endings: Record<string, string> = { js: "mjs", ts: "ts", python: "py" };

/** Writes a block into its document's folder. */
function writeBlock({ document, line, language, code, file }: Block): string {
  const folder = path.join(home, document.replaceAll(/[/.]/g, "-"));
  mkdirSync(folder, { recursive: true });
  const written = path.join(folder, file ?? `line-${line}.${endings[language]}`);
  writeFileSync(written, code);
  return written;
}

const programs = [...pages, ...sources]
  .flatMap(blocksOf)
  .filter(({ language }) => language in endings)
  .map((block) => ({ ...block, written: writeBlock(block) }));

function runBlock({ language, written, code }: (typeof programs)[number]): Promise<ChildResult> {
  const cwd = path.dirname(written);
  if (language === "python") {
    const coloop = path.join(repository, "dist", "cli", "main.js");
    return runProgram(process.execPath, [coloop, "run", written], { cwd });
  }
  if (language === "js") return runScript(written, { cwd });
  const options = { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.ESNext };
  const compiled = written.replace(/\.ts$/, ".mjs");
  writeFileSync(compiled, ts.transpileModule(code, { compilerOptions: options }).outputText);
  return runScript(compiled, { cwd });
}

describe.each([...new Set(programs.map(({ document }) => document))])("%s", (document) => {
  test.each(programs.filter((program) => program.document === document))(
    "the program in line $line does what it says",
    async (program) => {
      expect(differences(promisedBy(program.code), await runBlock(program))).toEqual([]);
    },
  );
});

test("the TypeScript programs have no type errors", () => {
  const files = programs.filter(({ language }) => language === "ts").map(({ written }) => written);
  const checked = ts.createProgram(files, {
    strict: true,
    skipLibCheck: true,
    noEmit: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    types: ["node"],
    lib: ["lib.es2023.d.ts", "lib.esnext.disposable.d.ts"],
  });
  const errors = ts.getPreEmitDiagnostics(checked).map(({ file, start = 0, messageText }) => {
    const line = file === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line + 1;
    return `${file?.fileName}:${line}: ${ts.flattenDiagnosticMessageText(messageText, " ")}`;
  });
  expect(files.length).toBeGreaterThan(0);
  expect(errors).toEqual([]);
}, 60_000); // the compiler reads all of its libraries
