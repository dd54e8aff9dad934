import { chmodSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { coloop, folderOf, interpreter } from "./helpers.js";

interface Report {
  facts: { name: string; value: string }[];
  faults: { code: string; summary: string; remedy: string }[];
}

async function report(args: readonly string[], env: Record<string, string> = {}) {
  const { code, stdout, stderr } = await coloop(["doctor", "--json", ...args], { env });
  expect(stderr).toBe("");
  return { code, ...(JSON.parse(stdout) as Report) };
}

describe("doctor", () => {
  test("a sound machine: the facts and no fault", async () => {
    const { code, facts, faults } = await report([]);
    expect({ code, faults }).toEqual({ code: 0, faults: [] });
    const value = (name: string) => facts.find((fact) => fact.name === name)?.value;
    expect(value("Python")).toBe(`${interpreter.version}, ${interpreter.executable}`);
    expect(value("libpython")).toBe(interpreter.library);
    expect(value("Node.js")).toContain(process.version);
    expect(value("Node.js")).toContain(`OpenSSL ${process.versions.openssl}`);
    expect(facts.filter(({ name }) => name === "")).toEqual([]);
    expect(value("chosen by")).toContain("COLOOP_PYTHON");
    expect(value("openssl")).toMatch(/as in the interpreter alone|cannot be imported/);
  });

  test("the same for people", async () => {
    const { code, stdout } = await coloop(["doctor"]);
    expect(code).toBe(0);
    expect(stdout).toContain(interpreter.executable);
    expect(stdout).toMatch(/\nNo fault found\.\n$/);
  });

  test("an interpreter that is not there", async () => {
    const { code, faults } = await report(["--python", "/nonexistent/python3"]);
    expect(code).toBe(1);
    expect(faults.map((fault) => fault.code)).toEqual(["ERR_COLOOP_PYTHON_NOT_FOUND"]);
    expect(faults[0]?.remedy).toContain("venv's folder");
  });

  test.each([
    ["a program that is no Python", "echo no", "ERR_COLOOP_PYTHON_BROKEN"],
    [
      "one that is too old",
      "echo 'Unknown option: -I' >&2; exit 2",
      "ERR_COLOOP_PYTHON_UNSUPPORTED",
    ],
  ])("%s", async (_name, text, expected) => {
    const file = path.join(folderOf({ python3: `#!/bin/sh\n${text}\n` }), "python3");
    chmodSync(file, 0o755);
    const { code, faults } = await report([], { COLOOP_PYTHON: file });
    expect({ code, codes: faults.map((fault) => fault.code) }).toEqual({
      code: 1,
      codes: [expected],
    });
  });

  test("Python that breaks at its start", async () => {
    const folder = folderOf({
      "sitecustomize.py":
        "import os\nif 'coloop' in os.environ.get('BREAK', '') and '_coloop' in __import__('sys').builtin_module_names: os.abort()",
    });
    const { code, faults } = await report([], { PYTHONPATH: folder, BREAK: "coloop" });
    expect({ code, codes: faults.map((fault) => fault.code) }).toEqual({
      code: 1,
      codes: ["ERR_COLOOP_START"],
    });
    expect(faults[0]?.summary).toContain("SIGABRT");
  });
});
