// `npm run verify`: from a bare clone, everything that must hold: build, checks and all tests, on the
// default Python and on a second minor version, the smoke tests on a sample of all Nodes and Pythons, and what starts
// processes on each Python.
// It shows how far it is and what failed; the whole output is in build/verify/output.txt, or shown with
// `-- --verbose`. Its last line is the sum of all runners' counts.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { add, line, none, ofNative, ofVitest, oneFailed } from "./counts.mjs";
import { installDebianPackages, installPackages } from "./install.mjs";
import { testMatrix } from "./matrix.mjs";
import { failureOf, hasFailed, heading, isProgress, stepEnd, stepsOf } from "./output.mjs";
import { findPythons, hasHeaders, minorOf } from "./pythons.mjs";
import { main, root, run, seconds } from "./run.mjs";

const start = performance.now();
const reports = path.join(root, "build", "verify");
const results = [];
const summary = "summary";

/** Runs one step. An error in it is one failure; the steps after it still run. */
async function step(title, work) {
  console.log(`\n${heading(title)}`);
  const began = performance.now();
  let counts = none;
  try {
    counts = (await work()) ?? none;
  } catch (error) {
    console.log(`[coloop] ${title} FAILED: ${error.message}`);
    counts = oneFailed;
  }
  const took = seconds(began);
  console.log(stepEnd(line(counts), took));
  results.push({ title, counts, took });
}

function skip(title, reason) {
  console.log(`\n${heading(title)}\n[coloop] skipped: ${reason}`);
  results.push({ title: `${title} (${reason})`, counts: { ...none, skipped: 1 }, took: "0.0 s" });
}

async function vitest(python, ...filters) {
  const script = path.join(
    path.dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
    "vitest.mjs",
  );
  const report = path.join(
    reports,
    `vitest-${python.tag}-${filters.length}-${python.version}.json`,
  );
  rmSync(report, { force: true });
  const args = ["run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const { code } = await run(process.execPath, [script, ...args, ...filters], {
    timeout: 20 * 60_000,
    env: { COLOOP_PYTHON: python.executable, NO_COLOR: "1", CI: "1" },
  });
  return ofVitest(report, code);
}

/** The second version: the minor that is farthest from the default's. */
function chooseSecond([first, ...others]) {
  const number = (python) => Number(minorOf(python).split(".")[1]);
  const distance = (python) => Math.abs(number(python) - number(first));
  return others
    .filter((python) => hasHeaders(python) && distance(python) > 0)
    .sort((a, b) => distance(b) - distance(a) || number(b) - number(a))[0];
}

/** Begins them in the time that the steps leave; returns a function that waits for their end. */
function startNativeChecks() {
  const ended = run(process.execPath, [path.join(root, "tools", "lint-native.mjs"), "--idle"], {
    capture: true,
    timeout: 25 * 60_000,
  });
  return async () => {
    const { code, stdout, stderr } = await ended;
    process.stdout.write(stdout + stderr);
    return ofNative(stdout, code);
  };
}

async function verifyPython(python) {
  const name = `Python ${python.version}`;
  const { testNative } = await import("./test-native.mjs");
  await step(`build for ${name}`, async () => void (await build({ python: python.executable })));
  await step(`native tests and unittest, ${name}`, () => testNative(python.executable));
  await step(`vitest, ${name}`, () => vitest(python));
  const { testConformance } = await import("../test/python/conformance/run.mjs");
  await step(`CPython's asyncio tests, ${name}`, () =>
    testConformance({ python: python.executable }),
  );
}

async function verify() {
  mkdirSync(reports, { recursive: true });
  await step("npm packages", installPackages);
  const debian = await installDebianPackages("libuv1-dev", "clang-format-19", "clang-tidy-19");
  if (debian) console.log(`[coloop] Debian packages: ${debian}`);

  await step("build", async () => void (await build({})));
  const pythons = await findPythons();
  console.log("[coloop] Pythons found:");
  for (const python of pythons) console.log(`  ${python.version}  ${python.executable}`);
  const [first] = pythons;
  const second = chooseSecond(pythons);

  await verifyPython(first);
  const nativeChecks = startNativeChecks();
  if (second) await verifyPython(second);
  else skip("the second Python", "no other minor version with headers is on this machine");
  await step("matrix: smoke tests on each Node and each Python", () =>
    testMatrix({ sample: true }),
  );
  // Only now there is an addon for each of them.
  await step("processes that Python would start, on each Python", () =>
    vitest(first, "test/process/sandbox-starters.test.ts"),
  );

  const { testPrograms } = await import("./programs.mjs");
  await step(`real programs, Python ${first.version}`, () => testPrograms(first.executable));

  const { stress } = await import("./stress.mjs");
  await step("stress: connections by the thousands", () => stress({ python: first.executable }));

  const { testOrders } = await import("./orders.mjs");
  await step("orders: processes that do things in a random order and end", () =>
    testOrders({ runs: 30, seed: 1, python: first.executable }),
  );

  const { sanitize } = await import("./sanitize.mjs");
  await step("AddressSanitizer, LeakSanitizer and UBSan: native tests and unittest", () =>
    sanitize("address", first.executable, { inNode: false }),
  );
  await step("ThreadSanitizer: native tests and unittest", () =>
    sanitize("thread", first.executable, { inNode: false }),
  );
  await step("soak, half a minute", async () => {
    const soak = path.join(root, "tools", "soak.mjs");
    const { code } = await run(process.execPath, ["--expose-gc", soak, "--minutes", "0.5"], {
      timeout: 5 * 60_000,
      env: { COLOOP_PYTHON: first.executable },
    });
    return code === 0 ? { ...none, passed: 1 } : oneFailed;
  });

  await step("checks", async () => await (await import("./check.mjs")).check());
  await step("native checks, begun after the first Python's tests", nativeChecks);
}

/** All steps, their whole output shown, then the summary. */
async function verifyAll() {
  try {
    await verify();
  } catch (error) {
    console.log(`[coloop] FAILED: ${error.message}`);
    results.push({ title: "verify itself", counts: oneFailed, took: "" });
  }
  console.log(`\n${heading(`${summary} after ${seconds(start)}`)}`);
  for (const { title, counts, took } of results) {
    console.log(`  ${took.padStart(8)}  ${line(counts).padEnd(34)}  ${title}`);
  }
  const total = add(...results.map(({ counts }) => counts));
  console.log(line(total));
  return total.failed === 0 ? 0 : 1;
}

/** The same in a process whose output is kept: the lines of progress, then what failed, then the summary. */
async function verifyBriefly() {
  mkdirSync(reports, { recursive: true });
  const file = path.join(reports, "output.txt");
  const kept = createWriteStream(file);
  console.log(`[coloop] the whole output: ${path.relative(process.cwd(), file)}`);
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), "--verbose"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let ended = false;
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (text) => {
      kept.write(`${text}\n`);
      ended ||= text.startsWith(heading(summary));
      if (!ended && isProgress(text)) console.log(text);
    });
  }
  const closed = once(child, "close");
  const [code, signal] = await once(child, "exit");
  // Something that outlives its step may hold the streams open.
  await Promise.race([closed, wait(5000, undefined, { ref: false })]);
  child.stdout.destroy();
  child.stderr.destroy();
  await new Promise((resolve) => kept.end(resolve));

  const steps = [...stepsOf(readFileSync(file, "utf8"))];
  for (const [title, lines] of steps.filter(([, lines]) => hasFailed(lines))) {
    console.log(`\n[coloop] ---- failed: ${title}\n${failureOf(lines).join("\n")}`);
  }
  const [, last] = steps.at(-1) ?? ["", []];
  console.log(`\n${(ended ? last : failureOf(last)).join("\n").trimEnd()}`);
  if (signal) console.log(`[coloop] FAILED: ended by ${signal}`);
  return code ?? 1;
}

await main(async () => {
  const { values } = parseArgs({ options: { verbose: { type: "boolean" } } });
  return await (values.verbose ? verifyAll() : verifyBriefly());
});
