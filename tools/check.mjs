// `npm run check`: formats, lints and types of TypeScript, JavaScript and Python, and the comments of the
// public names. All checks run, also when one fails.

import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { lintPython } from "./lint-python.mjs";
import { main, root, run, timed } from "./run.mjs";

const require = createRequire(import.meta.url);

function node(script, ...args) {
  return run(process.execPath, [require.resolve(script), ...args], { quiet: true });
}

// Its package does not export its command.
const typedoc = path.join(path.dirname(require.resolve("typedoc/package.json")), "bin", "typedoc");

const checks = [
  ["biome", () => node("@biomejs/biome/bin/biome", "ci", "--colors=off", ".")],
  ["tsc", () => node("typescript/bin/tsc", "-p", "tsconfig.json")],
  [
    "basedpyright",
    () =>
      existsSync(path.join(root, "python"))
        ? node("basedpyright", "--warnings", "--project", "pyproject.toml")
        : { code: 0 },
  ],
  ["typedoc", () => run(process.execPath, [typedoc, "--emit", "none"], { quiet: true })],
  ["ruff", async () => ({ code: (await lintPython()) === 0 ? 0 : 1 })],
];

/** Returns how many checks passed and failed. */
export async function check() {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const [name, work] of checks) {
    const { code } = await timed(`check: ${name}`, work);
    if (code === 0) counts.passed += 1;
    else counts.failed += 1;
    if (code !== 0) console.log(`[coloop] check: ${name} FAILED`);
  }
  return counts;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => ((await check()).failed === 0 ? 0 : 1));
}
