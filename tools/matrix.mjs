// `npm run test:matrix [-- --node 22 --python 3.12]`: the smoke tests on every Node and every Python,
// with a venv that each Python makes, and a table of the results. Its last line is their sum.

import { existsSync, mkdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { add, line, none, ofVitest, oneFailed } from "./counts.mjs";
import { installNode, nodeMajors } from "./nodes.mjs";
import { findPythons, hasHeaders, minorOf } from "./pythons.mjs";
import { main, must, root, run, seconds, ToolError } from "./run.mjs";
import { missingSymbols } from "./symbols.mjs";

const usage = `usage: npm run test:matrix [-- options]
  --node N      a major version of Node (${nodeMajors.join(", ")}); may be repeated
  --python X    a version of Python such as 3.12 or 3.12.1; may be repeated
  --sample      each Node and each Python at least once, in place of all combinations`;

const folder = path.join(root, "build", "matrix");
const oneSkipped = Object.freeze({ ...none, skipped: 1 });

/** Each Node and each Python at least once, in as few pairs as that takes. */
export function sampleOf(nodes, pythons) {
  const count = Math.max(nodes.length, pythons.length);
  return Array.from({ length: count }, (_, i) => [
    nodes[i % nodes.length],
    pythons[i % pythons.length],
  ]);
}

/** The lines of a table: a row for each Python, a column for each Node. */
export function table(nodes, pythons, results) {
  const cell = (node, python) => {
    const counts = results.find((result) => result.node === node && result.python === python);
    if (counts === undefined) return "-";
    const { passed, failed, skipped } = counts.counts;
    const others = [failed && `${failed} failed`, skipped && `${skipped} skipped`].filter(Boolean);
    return [passed, ...others].join(", ");
  };
  const rows = [
    ["passed", ...nodes.map(({ version }) => `Node ${version}`)],
    ...pythons.map((python) => [
      `Python ${python.label}`,
      ...nodes.map((node) => cell(node, python)),
    ]),
  ];
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows.map((row) =>
    row
      .map((text, column) =>
        (column === 0 ? text.padEnd : text.padStart).call(text, widths[column]),
      )
      .join("  "),
  );
}

/** The venv that an interpreter makes. Its folder's name has a space: that must not matter. */
async function makeVenv(python, ...options) {
  const venv = path.join(folder, `venv ${python.version} ${options.length}`);
  rmSync(venv, { recursive: true, force: true });
  const args = ["-I", "-m", "venv", "--without-pip", ...options, venv];
  await must(python.executable, args, { quiet: true });
  return venv;
}

/** The rows of the matrix: every interpreter, a venv of each, and one that sees the base's packages. */
async function rowsOf(pythons) {
  const rows = [];
  for (const [i, python] of pythons.entries()) {
    const { version, tag } = python;
    const where = python.executable.startsWith("/usr/bin/") ? ", the system's" : "";
    rows.push({ label: `${version}${where}`, selection: python.executable, version, tag });
    rows.push({ label: `${version}, venv`, selection: await makeVenv(python), version, tag });
    if (i > 0) continue;
    const selection = await makeVenv(python, "--system-site-packages");
    rows.push({ label: `${version}, venv --system-site-packages`, selection, version, tag });
  }
  return rows;
}

/** Builds the bridges that are missing; returns why there is none, by ABI tag. */
async function buildBridges(pythons) {
  const reasons = new Map();
  for (const tag of new Set(pythons.map((python) => python.tag))) {
    const python = pythons.find((each) => each.tag === tag && hasHeaders(each));
    if (python) await build({ python: python.executable });
    else if (!existsSync(addonOf(tag)))
      reasons.set(tag, `no headers of ${tag}, and no bridge built`);
  }
  return reasons;
}

function addonOf(tag) {
  return path.join(root, "build", tag, `coloop_${tag}.node`);
}

async function checkSymbols(nodes, tags) {
  const addons = [path.join(root, "build", "loader", "coloop_loader.node"), ...tags.map(addonOf)];
  let counts = none;
  for (const node of nodes) {
    const missing = await missingSymbols(node.executable, addons);
    for (const [addon, names] of Object.entries(missing)) {
      if (names.length > 0)
        console.log(`  Node ${node.version} lacks for ${addon}: ${names.join(" ")}`);
      counts = add(counts, names.length > 0 ? oneFailed : { ...none, passed: 1 });
    }
  }
  console.log(`[coloop] symbols of Node and libuv, each addon in each Node: ${line(counts)}`);
  return counts;
}

async function runSmoke(node, python) {
  const vitest = path.join(
    path.dirname(createRequire(import.meta.url).resolve("vitest/package.json")),
    "vitest.mjs",
  );
  const report = path.join(
    folder,
    `${node.version} ${python.label}.json`.replaceAll(/[ ,']+/g, "-"),
  );
  rmSync(report, { force: true });
  // One process for several files takes half the time; the environment is closed and started between.
  const args = ["run", "test/smoke", "--no-isolate", "--reporter=default", "--reporter=json"];
  const env = {
    COLOOP_PYTHON: python.selection,
    COLOOP_TEST_COMBINATION: `${node.version} ${python.version}`,
    NO_COLOR: "1",
    CI: "1",
  };
  const { code } = await run(node.executable, [vitest, ...args, `--outputFile.json=${report}`], {
    quiet: true,
    timeout: 5 * 60_000,
    env,
  });
  return ofVitest(report, code);
}

/** Runs the matrix or a sample of it; returns the counts. */
export async function testMatrix({ node: majors = nodeMajors, python: versions, sample = false }) {
  const unknown = majors.filter((major) => !nodeMajors.includes(major));
  if (unknown.length > 0) {
    throw new ToolError(
      `Node ${unknown.join(", ")} is not in the matrix: ${nodeMajors.join(", ")}`,
    );
  }
  mkdirSync(folder, { recursive: true });
  const found = await findPythons();
  for (const version of versions ?? []) {
    if (found.some((python) => isVersion(python, version))) continue;
    throw new ToolError(`no usable Python ${version} is on this machine`);
  }
  const pythons = found.filter((each) => versions?.some((v) => isVersion(each, v)) ?? true);
  const reasons = await buildBridges(pythons);
  const nodes = [];
  for (const major of majors) nodes.push(await installNode(major));
  const built = [...new Set(pythons.map(({ tag }) => tag))].filter((tag) => !reasons.has(tag));
  const symbols = await checkSymbols(nodes, built);

  const rows = await rowsOf(pythons);
  const all = rows.flatMap((python) => nodes.map((node) => [node, python]));
  const results = [];
  for (const [node, python] of sample ? sampleOf(nodes, rows) : all) {
    const start = performance.now();
    const reason = reasons.get(python.tag);
    const counts = reason ? oneSkipped : await runSmoke(node, python);
    results.push({ node, python, counts });
    const title = `Node ${node.version}, Python ${python.label}${reason ? ` (${reason})` : ""}`;
    console.log(`  ${seconds(start).padStart(7)}  ${line(counts)}  ${title}`);
  }
  console.log(`\n${table(nodes, rows, results).join("\n")}\n`);
  return add(symbols, ...results.map(({ counts }) => counts));
}

function isVersion(python, version) {
  return python.version === version || minorOf(python) === version;
}

async function cli() {
  const { values } = parseArgs({
    options: {
      node: { type: "string", multiple: true },
      python: { type: "string", multiple: true },
      sample: { type: "boolean" },
      help: { type: "boolean", short: "h" },
    },
  });
  if (values.help) {
    console.log(usage);
    return 0;
  }
  const counts = await testMatrix(values);
  console.log(line(counts));
  return counts.failed === 0 ? 0 : 1;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) await main(cli);
