// The programs in documents and doc comments, and what their comments say that they print.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { type ChildResult, repository } from "./child.js";

/** A fenced block of code. */
export interface Block {
  document: string;
  line: number;
  language: string;
  code: string;
  /** Its first line may be a comment with the name of the file that it is. */
  file: string | undefined;
}

function namesIn(folder: string, ending: string): string[] {
  return readdirSync(path.join(repository, folder))
    .filter((name) => name.endsWith(ending))
    .map((name) => path.join(folder, name))
    .sort();
}

/** Everything that a user reads, except for the reference. */
export const pages: readonly string[] = [
  "README.md",
  ...namesIn("docs", ".md"),
  ...namesIn("docs/guide", ".md"),
];

/** The sources whose comments are the reference. */
export const sources: readonly string[] = namesIn("src", ".ts");

export function read(name: string): string {
  return readFileSync(path.join(repository, name), "utf8");
}

/** The blocks of a text, in a doc comment as well. */
export function blocksIn(text: string, document: string): Block[] {
  const fences = text.matchAll(/^( *(?:\* )?)```(\w*)\n([\s\S]*?)^\1```$/gm);
  return [...fences].map(({ 1: prefix = "", 2: language = "", 3: inner = "", index }) => {
    const lines = inner.split("\n").map((line) => line.slice(Math.min(prefix.length, line.length)));
    return {
      document,
      line: text.slice(0, index).split("\n").length,
      language,
      code: lines.join("\n"),
      file: lines[0]?.match(/^(?:\/\/|#) ([\w-]+\.(?:mjs|ts|py))$/)?.[1],
    };
  });
}

export function blocksOf(document: string): Block[] {
  return blocksIn(read(document), document);
}

/** What a program says of itself, in comments. */
export interface Promised {
  /** One line each: what stands after `console.log(…); //` and `print(…)  #`. */
  lines: string[];
  /** `on stderr: …`: a part of what it writes there; undefined if that is nothing. */
  stderr: string | undefined;
  /** `exit status N`. */
  code: number;
}

export function promisedBy(code: string): Promised {
  const said = code.matchAll(/^.*(?:console\.log|print)\(.*(?:;? \/\/| {2}#) (.+)$/gm);
  return {
    lines: [...said].map(([, text = ""]) => text),
    stderr: code.match(/(?:\/\/|#) on stderr: (.+)$/m)?.[1],
    code: Number(code.match(/(?:\/\/|#).*\bexit status (\d+)/)?.[1] ?? 0),
  };
}

const sample = /^for example /;

/** A line, or for `for example 3.11.7` one with other digits in the same places. */
function patternOf(line: string): RegExp {
  const literal = line.replace(sample, "").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${sample.test(line) ? literal.replace(/\d+/g, "\\d+") : literal}$`);
}

/** How what a program did differs from what it says of itself. */
export function differences(promised: Promised, result: ChildResult): string[] {
  const found: string[] = [];
  const printed = result.stdout.split("\n").filter((line) => line !== "");
  for (const line of promised.lines) {
    const index = printed.findIndex((text) => patternOf(line).test(text));
    if (index < 0) found.push(`it does not print: ${line}`);
    else printed.splice(index, 1);
  }
  found.push(...printed.map((line) => `nothing says that it prints: ${line}`));
  const { stderr, code } = promised;
  const asSaid = stderr === undefined ? result.stderr === "" : result.stderr.includes(stderr);
  if (!asSaid) found.push(`its stderr is: ${result.stderr}`);
  if (result.code !== code) found.push(`its exit status is ${result.code ?? result.signal}`);
  return found;
}
