// `npm run build [-- --python X] [--debug] [--tests] [--loader-only]`: TypeScript to dist/, then the
// loader addon and the bridge addon for one Python minor version, with CMake and ninja (or make).

import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { compileTypeScript } from "./build-typescript.mjs";
import { findNodeHeaders, findSystemUv } from "./node-headers.mjs";
import { loadDiscovery } from "./pythons.mjs";
import { main, must, root, seconds, ToolError, timed, which } from "./run.mjs";

const usage = `usage: npm run build [-- options]
  --python X      an interpreter, a venv folder or a version such as 3.12 (default: as the library chooses)
  --tests         also the native tests, which need libuv's own headers (Debian: libuv1-dev)
  --debug         unoptimised, with assertions
  --loader-only   only the loader addon, which needs no Python`;

function findCompilers() {
  const missing = [];
  const cmake = which("cmake");
  if (!cmake) missing.push("cmake (Debian: apt-get install cmake)");
  const compiler = process.env.CXX ?? ["c++", "g++", "clang++"].find(which);
  if (!compiler) missing.push("a C++20 compiler (Debian: apt-get install g++)");
  const generator = which("ninja") ? "Ninja" : which("make") ? "Unix Makefiles" : undefined;
  if (!generator) missing.push("ninja or make (Debian: apt-get install ninja-build)");
  if (missing.length > 0) {
    throw new ToolError(`the native part cannot be built. Missing:\n  ${missing.join("\n  ")}`);
  }
  return { cmake, generator };
}

/** Configures a build folder unless it was configured just so before, then builds it. */
async function buildPart(name, definitions, { cmake, generator, buildType, output, sanitize }) {
  const folder = path.join(output, name);
  const settings = [
    `-DCMAKE_BUILD_TYPE=${buildType}`,
    `-DCOLOOP_SANITIZE=${sanitize}`,
    `-DCMAKE_LIBRARY_OUTPUT_DIRECTORY=${folder}`,
    `-DCMAKE_RUNTIME_OUTPUT_DIRECTORY=${folder}`,
    ...Object.entries(definitions).map(([key, value]) => `-D${key}=${value}`),
  ];
  const stamp = path.join(folder, "coloop-settings.json");
  const wanted = JSON.stringify({ root, generator, settings }, undefined, 1);
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    rmSync(path.join(folder, "CMakeCache.txt"), { force: true });
    const args = ["-S", root, "-B", folder, "-G", generator, ...settings];
    await timed(`${name}: configured`, () => must(cmake, args, { quiet: true }));
    writeFileSync(stamp, wanted);
  }
  const jobs = String(os.availableParallelism());
  await timed(`${name}: built`, () => must(cmake, ["--build", folder, "-j", jobs]));
}

function checkPython(python) {
  if (existsSync(path.join(python.include, "Python.h"))) return;
  const minor = python.version.split(".").slice(0, 2).join(".");
  throw new ToolError(
    `${python.executable} has no headers: ${path.join(python.include, "Python.h")} is missing ` +
      `(Debian: apt-get install python${minor}-dev)`,
  );
}

/** Two builds at once would write the same files: the second waits. */
async function locked(work) {
  const lock = path.join(root, "build", "lock");
  mkdirSync(path.dirname(lock), { recursive: true });
  for (let told = false; ; ) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const owner = readOwner(lock);
    if (owner === undefined) rmSync(lock, { force: true });
    else if (!told) console.log(`[coloop] waiting for another build (process ${owner})`);
    told = true;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const release = () => rmSync(lock, { force: true });
  process.once("exit", release);
  try {
    return await work();
  } finally {
    process.off("exit", release);
    release();
  }
}

/** The process that holds the lock, or undefined when it is gone. */
function readOwner(lock) {
  try {
    const owner = Number(readFileSync(lock, "utf8"));
    process.kill(owner, 0);
    return owner;
  } catch (error) {
    return error.code === "EPERM" ? "of another user" : undefined;
  }
}

/**
 * Builds what `options` ask for; returns the interpreter it was built for. With `sanitize` (the value of
 * COLOOP_SANITIZE) the native part goes into `output`, apart from the one in use.
 */
export async function build({
  python: selection,
  tests = false,
  bridge = true,
  debug = false,
  loaderOnly = false,
  sanitize = "",
  output = path.join(root, "build"),
}) {
  return await locked(async () => {
    const typed = await compileTypeScript();
    const buildType = sanitize ? "RelWithDebInfo" : debug ? "Debug" : "Release";
    const tools = { ...findCompilers(), buildType, output, sanitize };
    const node = findNodeHeaders().join(";");
    await buildPart("loader", { COLOOP_PART: "loader", COLOOP_NODE_INCLUDE: node }, tools);
    if (loaderOnly) return finish(undefined, typed);

    const discover = await loadDiscovery();
    const python = discover(selection);
    checkPython(python);
    console.log(`[coloop] for Python ${python.version}, ${python.executable}`);
    const definitions = {
      COLOOP_PYTHON_INCLUDE: python.include,
      COLOOP_PYTHON_TAG: python.tag,
    };
    if (bridge) {
      const bridgeDefinitions = { COLOOP_PART: "bridge", COLOOP_NODE_INCLUDE: node };
      await buildPart(python.tag, { ...bridgeDefinitions, ...definitions }, tools);
    }
    if (tests) await buildTests(python, definitions, tools);
    return finish(python, typed);
  });
}

/** Type errors do not keep tsc from writing its output: they are told last, the native part is built. */
function finish(python, typed) {
  if (!typed) throw new ToolError("TypeScript reported errors (above)");
  return python;
}

async function buildTests(python, definitions, tools) {
  const uv = findSystemUv();
  if (!uv) {
    throw new ToolError(
      "the native tests need libuv's headers (Debian: apt-get install libuv1-dev)",
    );
  }
  await buildPart(
    `tests-${python.tag}`,
    {
      COLOOP_PART: "tests",
      COLOOP_TESTS: "ON",
      COLOOP_NODE_INCLUDE: uv,
      COLOOP_PYTHON_LIBRARY: python.library,
      ...definitions,
    },
    tools,
  );
}

async function cli() {
  const { values } = parseArgs({
    options: {
      python: { type: "string" },
      tests: { type: "boolean" },
      debug: { type: "boolean" },
      "loader-only": { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
  const start = performance.now();
  await build({ ...values, loaderOnly: values["loader-only"] });
  console.log(`[coloop] done in ${seconds(start)}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(cli);
