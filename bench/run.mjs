// `npm run bench [-- options]`: what crossing costs, beside asyncio's own loop in the plain interpreter of
// the same installation. When a bar is missed the status is 1.
//   --quick      one short round that judges nothing
//   --only X     some of await, call, values, callback, sandbox
//   --rounds N   in place of 7
//   --python X   an interpreter, a venv or a version
//   --json       the numbers, to be read by programs

import os from "node:os";
import { parseArgs } from "node:util";
import { Python } from "coloop";
import { cases as awaitCases } from "./cases/await.mjs";
import { cases as callCases } from "./cases/call.mjs";
import { cases as callbackCases } from "./cases/callback.mjs";
import { cases as sandboxCases } from "./cases/sandbox.mjs";
import { cases as valueCases } from "./cases/values.mjs";
import { measure, median } from "./measure.mjs";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    rounds: { type: "string" },
    python: { type: "string" },
    only: { type: "string" },
  },
});

function microseconds(value) {
  return value < 10 ? value.toFixed(3) : value.toFixed(1);
}

/** One row: the median, its spread, and how it stands to its bar. */
function rowOf(test, samples) {
  const own = samples.get(test.name);
  const row = {
    name: test.name,
    median: median(own),
    low: Math.min(...own),
    high: Math.max(...own),
  };
  if (test.over !== undefined) {
    const more = row.median - median(samples.get(test.over));
    row.over = more;
    if (test.limit !== undefined)
      Object.assign(row, { bar: `<= +${test.limit} us`, holds: more <= test.limit });
  } else if (test.against !== undefined) {
    row.ratio = row.median / median(samples.get(test.against));
    if (test.bar !== undefined)
      Object.assign(row, { bar: `<= ${test.bar}x`, holds: row.ratio <= test.bar });
  } else if (test.limit !== undefined) {
    Object.assign(row, { bar: `<= ${test.limit} us`, holds: row.median <= test.limit });
  }
  return row;
}

function print(rows) {
  const header = ["", "median us", "least", "most", "ratio", "bar", ""];
  const lines = rows.map(({ name, median: middle, low, high, ratio, over, bar, holds }) => [
    name,
    ...[middle, low, high].map(microseconds),
    over !== undefined ? `+${over.toFixed(3)}` : ratio === undefined ? "" : `${ratio.toFixed(3)}x`,
    bar ?? "",
    holds === undefined || options.quick ? "" : holds ? "holds" : "MISSED",
  ]);
  const widths = header.map((_, column) =>
    Math.max(...[header, ...lines].map((line) => line[column].length)),
  );
  for (const line of [header, ...lines]) {
    const cells = line.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
    );
    console.log(cells.join("  ").trimEnd());
  }
}

const py = await Python.start(options.python === undefined ? {} : { python: options.python });
const groups = {
  await: awaitCases,
  call: callCases,
  values: valueCases,
  callback: callbackCases,
  sandbox: sandboxCases,
};
const chosen = options.only === undefined ? Object.keys(groups) : options.only.split(",");
const unknown = chosen.filter((name) => !(name in groups));
if (unknown.length > 0) {
  console.error(`--only takes ${Object.keys(groups).join(", ")}, not ${unknown.join(", ")}`);
  process.exit(2);
}
const cases = chosen.flatMap((name) => groups[name](py));
const rounds = options.rounds === undefined ? (options.quick ? 1 : 7) : Number(options.rounds);
const scale = options.quick ? 0.01 : 1;
const samples = await measure(cases, {
  rounds,
  scale,
  onRound: (round) => {
    if (process.stderr.isTTY) process.stderr.write(`\rround ${round} of ${rounds} `);
  },
});
if (process.stderr.isTTY) process.stderr.write("\r\x1b[2K");
const rows = cases.map((test) => rowOf(test, samples));
const [cpu] = os.cpus();
const machine = {
  python: py.version,
  node: process.version,
  system: `${os.type()} ${os.arch()}, ${os.cpus().length} x ${cpu?.model.trim() ?? "unknown"}`,
  rounds,
};
await py.close();

if (options.json) {
  console.log(JSON.stringify({ machine, rows }, undefined, 1));
} else {
  print(rows);
  console.log(
    `\nPython ${machine.python}, Node ${machine.node}, ${machine.system}; medians of ${rounds} round${rounds === 1 ? "" : "s"}`,
  );
}
if (!options.quick && rows.some(({ holds }) => holds === false)) process.exitCode = 1;
