import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runCode, runScript } from "../helpers/child.js";

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-tools-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Runs findNodeHeaders as a Node that lies in an empty prefix would. */
function findHeaders(env: Record<string, string>) {
  const folder = temporaryFolder();
  const program = path.join(folder, "bin", "node");
  mkdirSync(path.dirname(program));
  writeFileSync(program, "");
  const code = `
    Object.defineProperty(process, "execPath", { value: ${JSON.stringify(program)} });
    const { findNodeHeaders } = await import(process.cwd() + "/tools/node-headers.mjs");
    try { console.log(findNodeHeaders().join()); } catch (error) { console.error(error.message); }`;
  return runCode(code, { env: { HOME: folder, XDG_CACHE_HOME: folder, PATH: folder, ...env } });
}

test("headers: those that npm was told of come first", async () => {
  const folder = temporaryFolder();
  const include = path.join(folder, "include", "node");
  mkdirSync(include, { recursive: true });
  writeFileSync(path.join(include, "uv.h"), "");
  writeFileSync(path.join(include, "node_api.h"), "");
  const { stdout } = await findHeaders({ npm_config_nodedir: folder });
  expect(stdout.trim()).toBe(include);
});

test("headers: when there are none, the error lists what was tried", async () => {
  const { stdout, stderr } = await findHeaders({ npm_config_nodedir: "/nonexistent" });
  expect(stdout).toBe("");
  expect(stderr).toContain(`no headers of Node ${process.versions.node}`);
  expect(stderr).toContain(path.join("/nonexistent", "include", "node"));
  expect(stderr).toContain(path.join("node-gyp", process.versions.node, "include", "node"));
  expect(stderr).toContain("npx node-gyp install");
});

test("build: an unknown option is an error with one line", async () => {
  const { code, stderr } = await runScript("tools/build.mjs", { args: ["--pyton", "3.12"] });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^\[coloop\] Unknown option '--pyton'[^\n]*\n$/);
});

test("ruff: findings have their line, and --write formats", async () => {
  const file = path.join(temporaryFolder(), "bad.py");
  writeFileSync(file, "import os\nx  = 1\n");
  const before = await runScript("tools/lint-python.mjs", { args: [file] });
  expect(before.code).toBe(1);
  expect(before.stdout).toContain("bad.py:1: F401");
  expect(before.stdout).toContain("bad.py:1: not formatted");

  await runScript("tools/lint-python.mjs", { args: ["--write", file] });
  expect(readFileSync(file, "utf8")).toBe("import os\n\nx = 1\n");
});
