// Interpreters of Workers' own: every own-*.mjs in a process of its own, on each Python of this machine
// that an addon is built for and that can have them; on the others the refusal.

import { readdirSync, readFileSync, realpathSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { runScript, variant } from "../helpers/child.js";
import { builtPythons } from "../helpers/pythons.js";

const folder = import.meta.dirname;
// A build with a sanitizer is for one of them.
const { COLOOP_PYTHON: only } = variant.env;
const pythons = builtPythons.filter(
  ({ executable }) => !only || realpathSync(executable) === realpathSync(only),
);
const scripts = readdirSync(folder)
  .filter((name) => /^own-.*\.mjs$/.test(name) && !/-(script|helpers|refused)\.mjs$/.test(name))
  .sort();

function headOf(name: string, key: string): string | undefined {
  const text = readFileSync(path.join(folder, name), "utf8");
  return new RegExp(`^// ${key}: (.+)$`, "m").exec(text)?.[1];
}

function canHaveOwn(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 3 || minor >= 12;
}

test("there is a Python to try it with", () => {
  expect(pythons.length).toBeGreaterThan(0);
});

describe.each(pythons)("$executable", ({ version, executable }) => {
  const run = (name: string, timeout: number, args: string[] = []) =>
    runScript(path.join(variant.folder, name), {
      args,
      execArgv: variant.nodeOptions,
      timeout: timeout * variant.slower,
      env: { COLOOP_PYTHON: executable, ...variant.env },
    });

  test("the refusal", async () => {
    const result = await run("own-refused.mjs", 60_000, [version]);
    expect(result).toMatchObject({ code: 0, stderr: "" });
    expect(result.stdout).toContain("pass");
  }, 60_000);

  test.each(canHaveOwn(version) ? scripts : [])(
    "%s",
    async (name) => {
      const limit = Number(headOf(name, "within") ?? 60_000);
      const result = await run(name, limit);
      const noise = headOf(name, "noise");
      if (noise === undefined || result.stderr === "") expect(result.stderr).toBe("");
      else expect(result.stderr).toMatch(new RegExp(noise));
      for (const line of (headOf(name, "prints") ?? "pass").split(", ")) {
        expect(result.stdout.split("\n")).toContain(line);
      }
      expect({ code: result.code, signal: result.signal }).toEqual({ code: 0, signal: null });
    },
    250_000 * variant.slower,
  );
});
