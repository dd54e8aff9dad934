// `npm run test:conformance [-- --python X] [--debug] [--address] [module...]`: CPython's own asyncio
// tests on ErlangEventLoop, inside Node.js. Each module of tests runs in a process of its own, and goes on
// in a new one after a test that crashed or hung. A test of listed.py that passes is a failure too.

import { spawn } from "node:child_process";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { line, none } from "../../../tools/counts.mjs";
import { loadDiscovery } from "../../../tools/pythons.mjs";
import { main, root, run, seconds, ToolError } from "../../../tools/run.mjs";

const folder = import.meta.dirname;
const moduleTimeout = 10 * 60_000; // suite.py ends a test that hangs: this is for one it cannot
const plain = { root, env: {}, nodeOptions: [], slower: 1 };

async function modulesOf(python) {
  const script = path.join(folder, "suite.py");
  const env = { PYTHONDONTWRITEBYTECODE: "1" };
  const { code, stdout, stderr } = await run(python.executable, [script], { capture: true, env });
  if (code !== 0) throw new ToolError(`cannot list the tests of ${python.executable}:\n${stderr}`);
  return JSON.parse(stdout);
}

function startChild(module, file, { python, debug = false, env: more = {}, variant = plain }) {
  const env = {
    ...process.env,
    COLOOP_PYTHON: python.executable,
    PYTHONDONTWRITEBYTECODE: "1",
    ...more,
    ...variant.env,
  };
  const script = path.join(variant.root, path.relative(root, folder), "child.mjs");
  const child = spawn(
    process.execPath,
    [...variant.nodeOptions, script, module, file, debug ? "1" : ""],
    {
      cwd: variant.root,
      env,
      stdio: ["ignore", "pipe", "pipe"],
      timeout: moduleTimeout * variant.slower,
      killSignal: "SIGKILL",
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output = (output + text).slice(-8000);
    });
  }
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code, signal, output }));
  });
}

function eventsOf(file) {
  return readFileSync(file, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((text) => JSON.parse(text));
}

/** Runs a module's tests to the end, in as many processes as that takes; returns the events. */
export async function runModule(module, file, options) {
  writeFileSync(file, "");
  for (;;) {
    const before = eventsOf(file).length;
    const { code, signal, output } = await startChild(module, file, options);
    const events = eventsOf(file);
    const done = events.some((event) => event.done);
    if (done && code === 0) return events;
    const news = events.slice(before).filter((event) => event.start ?? event.end);
    const start = news.at(-1)?.start;
    const detail = `the process ended with ${signal ?? `code ${code}`}\n${output}`;
    const end = start ?? `${module}: ${done ? "exit" : "outside of a test"}`;
    appendFileSync(file, `${JSON.stringify({ end, outcome: "failed", detail })}\n`);
    if (done || news.length === 0) return eventsOf(file);
  }
}

/** What the events of a module say: counts, and what has to be shown. */
export function judge(events) {
  const listed = new Map(events.filter((event) => event.listed).map((e) => [e.listed, e.reason]));
  const verdict = { passed: 0, failed: 0, skipped: 0, listed: 0, notApplicable: 0, faults: [] };
  for (const { end, outcome, detail } of events) {
    if (!end) continue;
    if (outcome === "passed" && listed.has(end)) {
      verdict.failed += 1;
      verdict.faults.push(
        `${end}\nit is listed and passes; why it should fail: ${listed.get(end)}`,
      );
    } else if (outcome === "failed" && !listed.has(end)) {
      verdict.failed += 1;
      verdict.faults.push(`${end}\n${detail}`);
    } else if (outcome === "passed") verdict.passed += 1;
    else {
      verdict.skipped += 1;
      if (outcome === "failed") verdict.listed += 1;
      if (outcome === "not applicable") verdict.notApplicable += 1;
    }
  }
  return verdict;
}

/** Runs the suites on one Python; `only` holds parts of modules' names. Returns the counts. */
export async function testConformance({ python: selection, debug = false, only = [], variant }) {
  const python = (await loadDiscovery())(selection);
  const kind = `${debug ? ", debug mode" : ""}${variant ? ", AddressSanitizer" : ""}`;
  const title = `CPython's tests, Python ${python.version}${kind}`;
  const all = await modulesOf(python);
  if (all.length === 0) {
    console.log(`[coloop] ${title} skipped: ${python.executable} has no package test.test_asyncio`);
    return { ...none, skipped: 1 };
  }
  const modules = all.filter((name) => only.length === 0 || only.some((o) => name.endsWith(o)));
  if (modules.length === 0) throw new ToolError(`no module of tests ends with ${only.join(", ")}`);
  const name = `${python.tag}${debug ? "-debug" : ""}${variant ? "-address" : ""}`;
  const results = path.join(root, "build", "conformance", name);
  mkdirSync(results, { recursive: true });
  const start = performance.now();
  const total = { passed: 0, failed: 0, skipped: 0, listed: 0, notApplicable: 0 };
  const work = async (queue) => {
    for (let module = queue.shift(); module; module = queue.shift()) {
      const began = performance.now();
      const file = path.join(results, `${module}.jsonl`);
      const verdict = judge(await runModule(module, file, { python, debug, variant }));
      for (const key of Object.keys(total)) total[key] += verdict[key];
      console.log(`[coloop] ${module}: ${line(verdict)} (${seconds(began)})`);
      for (const fault of verdict.faults) console.log(`FAILED ${fault}\n`);
    }
  };
  // It connects to ports that it has found unused: another module's server might take them.
  const alone = modules.filter((name) => name.endsWith(".test_events"));
  const others = modules.filter((name) => !alone.includes(name));
  await work(alone);
  const workers = Math.min(2, os.availableParallelism());
  await Promise.all(Array.from({ length: workers }, () => work(others)));
  const { listed, notApplicable } = total;
  console.log(
    `[coloop] ${title}: of the skipped ${notApplicable} are not applicable, ${listed} test ` +
      `implementation details and fail as listed (${seconds(start)})`,
  );
  return { passed: total.passed, failed: total.failed, skipped: total.skipped };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const { values, positionals } = parseArgs({
      options: {
        python: { type: "string" },
        debug: { type: "boolean" },
        address: { type: "boolean" },
      },
      allowPositionals: true,
    });
    const { address, ...options } = values;
    const { addressVariant } = await import("../../../tools/sanitize.mjs");
    const variant = address ? await addressVariant(values.python) : undefined;
    const counts = await testConformance({ ...options, only: positionals, variant });
    console.log(line(counts));
    return counts.failed === 0 ? 0 : 1;
  });
}
