import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { repository, runCode, runScript } from "../helpers/child.js";

function temporaryFolder(): string {
  const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-tools-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Runs findNodeHeaders as a Node that lies in an empty prefix would, in a project's folder. */
function findHeaders(env: Record<string, string>, folder = temporaryFolder()) {
  const program = path.join(folder, "bin", "node");
  mkdirSync(path.dirname(program), { recursive: true });
  writeFileSync(program, "");
  const code = `
    Object.defineProperty(process, "execPath", { value: ${JSON.stringify(program)} });
    const { findNodeHeaders } = await import(${JSON.stringify(`${repository}/tools/node-headers.mjs`)});
    try { console.log(findNodeHeaders().join()); } catch (error) { console.error(error.message); }`;
  const own = { HOME: folder, XDG_CACHE_HOME: folder, PATH: folder };
  return runCode(code, { env: { ...own, ...env }, cwd: folder });
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
  expect(stderr).toContain("pkg-config libuv: not found");
  expect(stderr).toContain("the npm package node-api-headers: not installed");
  expect(stderr).toContain("npm install --save-dev node-api-headers");
});

test("headers: libuv's own, with the package node-api-headers of the project", async () => {
  const folder = temporaryFolder();
  writeFileSync(path.join(folder, "uv.h"), "");
  const program = path.join(folder, "pkg-config");
  writeFileSync(program, `#!/bin/sh\necho "${folder}"\n`);
  chmodSync(program, 0o755);
  const without = await findHeaders({ npm_config_nodedir: "" }, folder);
  expect(without.stderr).toContain(`pkg-config libuv: ${folder}`);
  expect(without.stderr).toContain("the npm package node-api-headers: not installed");

  const api = path.join(folder, "node_modules", "node-api-headers");
  mkdirSync(api, { recursive: true });
  writeFileSync(path.join(api, "package.json"), "{}");
  const { stdout } = await findHeaders({ npm_config_nodedir: "" }, folder);
  expect(stdout.trim()).toBe(`${path.join(api, "include")},${folder}`);
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
