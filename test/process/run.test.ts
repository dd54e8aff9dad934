// Runs every script of this folder in a process of its own. A script's head says how it ends:
//
//   // exit: 3            its exit code (default 0)
//   // within: 5000       milliseconds that it may take at most, start of Node and Python included
//   // stderr: some text  what its stderr contains (default: nothing at all)
//   // noise: some regex  what its stderr may contain instead of nothing
//   // signal: SIGTERM    sent to it as soon as it prints "ready"
//   // node: --expose-gc  options of Node
//
// And it prints "pass" when all of its own checks hold.
//
// tools/sanitize.mjs runs them once more against a copy of the package that is built with a sanitizer,
// whose report on stderr, or whose exit code, is a failure.

import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { runScript, variant } from "../helpers/child.js";

const folder = import.meta.dirname;
const groups = ["exit", "natural", "signal", "loop", "close", "worker", "leak", "race"];
const scripts = readdirSync(folder)
  .filter((name) => name.endsWith(".mjs") && groups.some((group) => name.startsWith(`${group}-`)))
  .filter((name) => !name.endsWith("-script.mjs") && !name.endsWith("-helpers.mjs"))
  .sort();

function readHead(name: string): Map<string, string> {
  const text = readFileSync(path.join(folder, name), "utf8");
  const lines = text.matchAll(/^\/\/ (exit|within|stderr|noise|signal|node): (.+)$/gm);
  return new Map(Array.from(lines, ([, key, value]) => [key as string, value as string]));
}

describe.each(groups)(
  "%s",
  (group) => {
    test.each(scripts.filter((name) => name.startsWith(`${group}-`)))("%s", async (name) => {
      const head = readHead(name);
      const signal = head.get("signal") as NodeJS.Signals | undefined;
      const limit = Number(head.get("within") ?? 60_000) * variant.slower;
      const start = performance.now();
      const result = await runScript(path.join(variant.folder, name), {
        execArgv: [...variant.nodeOptions, ...(head.get("node")?.split(" ") ?? [])],
        env: variant.env,
        timeout: limit + 5_000,
        onStart: (child) => {
          if (signal === undefined) return;
          child.stdout?.on("data", (text: string) => {
            if (text.includes("ready")) child.kill(signal);
          });
        },
      });
      const took = performance.now() - start;
      const wanted = head.get("stderr");
      const noise = head.get("noise");
      if (wanted === undefined && noise !== undefined && result.stderr !== "") {
        expect(result.stderr).toMatch(new RegExp(noise));
      } else if (wanted === undefined) expect(result.stderr).toBe("");
      else expect(result.stderr).toContain(wanted);
      expect(result.stdout.split("\n")).toContain("pass");
      expect({ code: result.code, signal: result.signal }).toEqual({
        code: Number(head.get("exit") ?? 0),
        signal: null,
      });
      expect(took).toBeLessThan(limit);
    });
  },
  120_000 * variant.slower,
);
