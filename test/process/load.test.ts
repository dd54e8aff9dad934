// Loading libpython into Node.js, each time in a process of its own. What concerns the interpreter is
// done for every Python on this machine that an addon is built for.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Interpreter } from "../../src/discover.js";
import { findPythons } from "../../tools/pythons.mjs";
import { ask, which } from "../../tools/run.mjs";
import {
  type ChildOptions,
  type ChildResult,
  repository,
  runProgram,
  runScript,
} from "../helpers/child.js";

const fixtures = path.join(repository, "test", "fixtures", "load");
const pythons: Interpreter[] = await findPythons();
const compiler = process.env["CXX"] ?? ["c++", "g++", "clang++"].find((name) => which(name));
const isGlibc = process.platform === "linux" && !existsSync("/etc/alpine-release");
let folder: string;

beforeAll(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), "coloop-load-")));
});

afterAll(() => rmSync(folder, { recursive: true }));

function emptyFolder(name: string): string {
  const made = path.join(folder, name);
  mkdirSync(made);
  return made;
}

async function compile(args: readonly string[]): Promise<void> {
  const result = await runProgram(compiler as string, args, { timeout: 60_000 });
  expect(result).toMatchObject({ code: 0, stderr: "" });
}

async function run(script: string, options: ChildOptions = {}): Promise<ChildResult> {
  return await runScript(`test/process/${script}`, { timeout: 60_000, ...options });
}

function expectPass(result: ChildResult): void {
  expect(result.stderr).toBe("");
  expect(result).toMatchObject({ code: 0, signal: null });
  expect(result.stdout.trimEnd().split("\n")).toContain("pass");
}

function whyNot(python: Interpreter): string {
  const addon = path.join(repository, "build", python.tag, `coloop_${python.tag}.node`);
  return existsSync(addon) ? "" : ` (no addon is built for ${python.tag})`;
}

describe.each(pythons)("$version, $executable", (python) => {
  const env = { COLOOP_PYTHON: python.executable };
  const reason = whyNot(python);
  const built = test.skipIf(reason !== "");

  built(`its libraries, paths and environment are the plain interpreter's${reason}`, async () => {
    expectPass(await run("load-same-as-plain.mjs", { env }));
  });

  built(`a venv of it is that venv${reason}`, async () => {
    const venv = path.join(emptyFolder(`${python.tag}-${pythons.indexOf(python)}`), "venv");
    const made = await runProgram(python.executable, ["-m", "venv", "--without-pip", venv]);
    expect(made).toMatchObject({ code: 0, stderr: "" });
    const lib = path.join(venv, "lib");
    const site = path.join(lib, readdirSync(lib)[0] as string, "site-packages");
    writeFileSync(path.join(site, "early.pth"), "import early\n");
    writeFileSync(
      path.join(site, "early.py"),
      "import ssl, zlib\nopenssl = ssl.OPENSSL_VERSION\nzlib = zlib.ZLIB_RUNTIME_VERSION\n",
    );
    expectPass(await run("load-venv.mjs", { args: [venv], env }));
  });

  const headers = existsSync(path.join(python.include, "Python.h"));
  const lacking = reason || (headers && compiler ? "" : " (no Python.h or no C++ compiler)");
  test.skipIf(lacking !== "")(`a C++ extension has the streams${lacking}`, async () => {
    const place = emptyFolder(`extension-${python.tag}-${pythons.indexOf(python)}`);
    await compile([
      "-std=c++17",
      "-shared",
      "-fPIC",
      `-I${python.include}`,
      path.join(fixtures, "stream_extension.cc"),
      "-o",
      path.join(place, `stream_extension.${python.soabi}.so`),
    ]);
    const script = path.join(repository, "test", "process", "load-extension.mjs");
    const command = 'echo first second | exec "$0" "$1" "$2"';
    const result = await runProgram("/bin/sh", ["-c", command, process.execPath, script, place], {
      env: { ...env, TZ: "MINE-1:30" },
      timeout: 60_000,
    });
    expect(result.stderr).toBe("cerr ff\nclog 1e+100\n");
    expect(result.stdout).toBe("cout 42 2.5 1\npass\n");
    expect(result.code).toBe(0);
  });
});

describe("the loader", () => {
  test("refuses what cannot be loaded and loads one library once", async () => {
    expectPass(await run("load-loader.mjs", { args: [emptyFolder("loader")] }));
  });

  test("is called by Workers at once", async () => {
    expectPass(await run("load-workers-first.mjs"));
  });

  test("is missing, or the addon is", async () => {
    expectPass(await run("load-unbuilt.mjs", { args: [emptyFolder("unbuilt")] }));
  });

  test.skipIf(pythons.length < 2)("keeps to one interpreter", async () => {
    const other = pythons[1] as Interpreter;
    expectPass(await run("load-other-interpreter.mjs", { args: [other.executable] }));
  });

  test("is not run by two copies of the package", async () => {
    expectPass(await run("load-two-copies.mjs", { args: [emptyFolder("copies")] }));
  });
});

describe("plain", () => {
  const env = { COLOOP_TEST_VARIABLE: "set by the test" };

  test("by COLOOP_DLOPEN", async () => {
    const plain = { ...env, COLOOP_DLOPEN: "plain" };
    expectPass(await run("load-plain.mjs", { args: ["COLOOP_DLOPEN=plain"], env: plain }));
  });

  test.skipIf(!isGlibc || !compiler)("with another malloc", async () => {
    const library = path.join(emptyFolder("malloc"), "libreplaced.so");
    const source = path.join(fixtures, "replaced_malloc.c");
    await compile(["-x", "c", "-O1", "-fno-builtin", "-shared", "-fPIC", source, "-o", library]);
    const preloaded = { ...env, LD_PRELOAD: library };
    expectPass(
      await run("load-plain.mjs", {
        args: ["malloc is replaced by .*libreplaced"],
        env: preloaded,
      }),
    );
  });

  const asan = compiler ? ask(compiler, ["-print-file-name=libasan.so"]) : undefined;
  test.skipIf(!isGlibc || !asan?.startsWith("/"))("under a sanitizer", async () => {
    const sanitized = { ...env, LD_PRELOAD: asan, ASAN_OPTIONS: "detect_leaks=0" };
    expectPass(await run("load-plain.mjs", { args: ["a sanitizer is loaded"], env: sanitized }));
  });
});
