// src/ to dist/ with plain tsc, unless nothing changed since the last time.

import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { root, run, ToolError, timed } from "./run.mjs";

const source = path.join(root, "src");
const output = path.join(root, "dist");
const stamp = path.join(output, ".sources");

function listFiles(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
}

function fingerprint() {
  const files = [
    ...listFiles(source),
    path.join(root, "tsconfig.base.json"),
    path.join(root, "tsconfig.build.json"),
  ];
  return files
    .map((file) => {
      const { mtimeMs, size } = statSync(file);
      return `${path.relative(root, file)} ${mtimeMs} ${size}`;
    })
    .join("\n");
}

/** Removes what was compiled from a source that no longer exists. */
function sweep() {
  for (const file of listFiles(output)) {
    if (file === stamp) continue;
    const name = path.relative(output, file).replace(/(\.d\.ts|\.js)(\.map)?$/, ".ts");
    if (!existsSync(path.join(source, name))) rmSync(file);
  }
}

function findCompiler() {
  try {
    return createRequire(import.meta.url).resolve("typescript/bin/tsc");
  } catch {
    throw new ToolError("typescript is not installed: run `npm ci --ignore-scripts` first");
  }
}

/** Returns false when there were type errors; dist/ is written all the same. */
export async function compileTypeScript() {
  // The published package holds dist/ and no sources.
  if (!existsSync(source)) return true;
  const state = fingerprint();
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === state) return true;
  const tsc = findCompiler();
  const { code } = await timed("TypeScript compiled", () =>
    run(process.execPath, [tsc, "-p", "tsconfig.build.json"]),
  );
  if (!existsSync(output)) throw new ToolError("tsc wrote nothing (its message is above)");
  sweep();
  if (code === 0) writeFileSync(stamp, state);
  return code === 0;
}
