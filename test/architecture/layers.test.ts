import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { checkArchitecture, type Rule } from "./checker.js";

const here = path.dirname(fileURLToPath(import.meta.url));
const fixtures = path.join(here, "fixtures");

function describeViolations(root: string): string[] {
  return checkArchitecture(root).map(
    ({ rule, file, line, text }) => `${rule} ${file}:${line}: ${text}`,
  );
}

test("this repository keeps to its architecture", () => {
  expect(describeViolations(path.resolve(here, "..", ".."))).toEqual([]);
});

describe("a tree that breaks one rule is found out", () => {
  const broken: Record<string, readonly [Rule, string, number][]> = {
    "bridge-includes-python": [["foreign-api", "native/bridge/wrap.cc", 2]],
    "header-includes-python": [["header-api", "native/interp/gil.h", 3]],
    "imports-in-a-circle": [["import-circle", "src/cli/run.ts", 2]],
    "interp-includes-loop": [["layer", "native/interp/start.cc", 3]],
    "loop-includes-node": [["foreign-api", "native/loop/timers.cc", 3]],
    "mixed-apis": [["one-api", "native/convert/both.cc", 1]],
    "names-missing-document": [["missing-document", "native/base/check.h", 1]],
    "names-own-folder": [["local-path", "src/discover.ts", 2]],
    "second-binding": [["one-binding", "src/proxy.ts", 3]],
    "siblings-include-each-other": [["layer", "native/sandbox/policy.cc", 2]],
    "unknown-layer": [["layer", "native/utils/strings.h", 1]],
  };

  test("every fixture has its case", () => {
    expect(readdirSync(fixtures).sort()).toEqual([...Object.keys(broken), "sound"].sort());
  });

  test.each(Object.entries(broken))("%s", (name, expected) => {
    const found = checkArchitecture(path.join(fixtures, name));
    expect(found.map(({ rule, file, line }) => [rule, file, line])).toEqual(expected);
  });

  test("sound: a tree that breaks none", () => {
    expect(describeViolations(path.join(fixtures, "sound"))).toEqual([]);
  });

  test.each([
    ["native/loop/loop.cc", "// a line\n"],
    ["src/proxy.ts", "// a line\n"],
    ["python/_erlang_impl/_loop.py", "# a line\n"],
  ])("%s of 501 lines, while 500 are fine", (file, line) => {
    const root = mkdtempSync(path.join(os.tmpdir(), "coloop-layers-"));
    onTestFinished(() => rmSync(root, { recursive: true }));
    mkdirSync(path.dirname(path.join(root, file)), { recursive: true });

    writeFileSync(path.join(root, file), line.repeat(500));
    expect(describeViolations(root)).toEqual([]);

    writeFileSync(path.join(root, file), line.repeat(501));
    expect(checkArchitecture(root).map(({ rule }) => rule)).toEqual(["file-size"]);
  });
});
