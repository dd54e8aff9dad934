// The results of `npm run bench:loop` as text, as a page and as a picture.

import { median } from "../measure.mjs";
import { contenderTitles } from "./cells.mjs";

const names = Object.keys(contenderTitles);
const coloop = ["owned", "hosted"];

/** How often the cost of `other` contains that of `own`. */
function ratio(costs, own, other) {
  return costs[own] === undefined || costs[other] === undefined
    ? undefined
    : costs[other].cost / costs[own].cost;
}

/** The bars of a cell and whether they are reached; nothing is decided where a figure is missing. */
function verdictsOf(cell, costs, judge) {
  return coloop
    .filter((name) => cell.bars[name] !== undefined)
    .map((name) => {
      const verdict = { contender: name, bar: cell.bars[name] };
      const own = ratio(costs, name, "uvloop");
      const beside = cell.aheadOfAsyncio ? ratio(costs, name, "asyncio") : Number.POSITIVE_INFINITY;
      if (!judge || own === undefined || beside === undefined) return verdict;
      return { ...verdict, reached: own >= verdict.bar && beside > 1 };
    });
}

/** One row a cell: each contender's medians, ratios to uvloop, bars. */
export function evaluate(cells, results, { judge }) {
  return cells.map((cell) => {
    const costs = {};
    for (const name of cell.contenders) {
      const samples = results.of(cell.name, name);
      if (samples.length === 0) continue;
      costs[name] = { cost: median(samples.map(({ cost }) => cost)) };
      if (samples[0].rate !== undefined) costs[name].rate = median(samples.map(({ rate }) => rate));
    }
    const ratios = Object.fromEntries(
      Object.keys(costs).map((name) => [name, ratio(costs, name, "uvloop")]),
    );
    const verdicts = verdictsOf(cell, costs, judge);
    return { name: cell.name, title: cell.title, served: "kind" in cell, costs, ratios, verdicts };
  });
}

function microseconds(value) {
  if (value === undefined) return "";
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}

const times = (value) => (value === undefined ? "" : `${value.toFixed(2)}x`);
const thousands = (rate) => (rate === undefined ? "" : `${(rate / 1000).toFixed(1)}k`);

function verdictText({ contender, bar, reached }) {
  const word = reached === undefined ? "" : reached ? " reached" : " MISSED";
  return `${contender} >= ${bar}x${word}`;
}

/** The header and the lines of a table of some rows. */
function tableOf(rows) {
  const present = names.filter((name) => rows.some(({ costs }) => name in costs));
  const served = rows.some((row) => row.served);
  const measured = (row) => [
    ...present.map((name) => microseconds(row.costs[name]?.cost)),
    ...coloop.map((name) => times(row.ratios[name])),
    ...(served ? present.map((name) => thousands(row.costs[name]?.rate)) : []),
  ];
  const header = [
    ...present.map((name) => contenderTitles[name]),
    "owned/uvloop",
    "hosted/uvloop",
    ...(served ? present.map((name) => `${name} req/s`) : []),
  ];
  return {
    header: ["cell", ...header, "bars"],
    lines: rows.map((row) => [
      row.title,
      ...measured(row),
      row.verdicts.map(verdictText).join("; "),
    ]),
  };
}

function sections({ rows }) {
  return [
    ["Processor time of the server, us per request", rows.filter(({ served }) => served)],
    [
      "Processor time of one operation, us (with a second thread: time on the clock)",
      rows.filter(({ served }) => !served),
    ],
  ].filter(([, own]) => own.length > 0);
}

function alignedText({ header, lines }) {
  const widths = header.map((_, column) =>
    Math.max(...[header, ...lines].map((line) => line[column].length)),
  );
  const last = header.length - 1;
  return [header, ...lines].map((line) =>
    line
      .map((text, column) =>
        column === 0 || column === last
          ? text.padEnd(widths[column])
          : text.padStart(widths[column]),
      )
      .join("  ")
      .trimEnd(),
  );
}

function machineLines({ machine }) {
  return [
    `${machine.date}; ${machine.system}`,
    ...Object.entries(machine.contenders).map(
      ([name, about]) => `${contenderTitles[name]}: ${about}`,
    ),
    `medians of ${machine.rounds} round${machine.rounds === 1 ? "" : "s"}, ${machine.connections} connections, TLS load by ${machine.tlsClient}`,
  ];
}

export function asText(report) {
  const tables = sections(report).flatMap(([title, rows]) => [
    title,
    ...alignedText(tableOf(rows)),
    "",
  ]);
  return [...tables, ...machineLines(report)].join("\n");
}

function markdownTable({ header, lines }) {
  const row = (cells) => `| ${cells.join(" | ")} |`;
  const rule = header.map((_, column) => (column === 0 ? "---" : "--:"));
  return [header, rule, ...lines].map(row);
}

export function asMarkdown(report) {
  return `${[
    "# The loop beside others",
    "",
    "Written by `npm run bench:loop -- --write`; do not edit. A ratio says how often uvloop's cost contains coloop's:",
    "1.00x is equal, more is faster. *Owned* is a loop that Python runs (`coloop.run`), *hosted* is the one that Node",
    "runs; both are inside Node. Each cell of each contender ran in a fresh process, in turn with the others; the load",
    "client is `bench/loop/client.c`, the Python servers are one file, `bench/loop/server.py`.",
    "",
    "![Ratios to uvloop](benchmark.svg)",
    ...sections(report).flatMap(([title, rows]) => [
      "",
      `## ${title}`,
      "",
      ...markdownTable(tableOf(rows)),
    ]),
    "",
    "## Where it ran",
    "",
    ...machineLines(report).map((line) => `- ${line}`),
  ].join("\n")}\n`;
}

const colours = {
  asyncio: "#9a9a9a",
  uvloop: "#222222",
  c: "#c58b00",
  node: "#3c873a",
  owned: "#c2185b",
  hosted: "#1565c0",
};

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");

/** Ratios to uvloop as dots on a logarithmic scale, a line for each cell; a bar is a short stroke. */
export function asPicture({ rows }) {
  const [left, right, top, step, width] = [230, 30, 64, 22, 900];
  const values = rows.flatMap(({ ratios }) => Object.values(ratios)).filter((value) => value > 0);
  const [low, high] = [Math.min(0.5, ...values), Math.max(2, ...values)].map(Math.log2);
  const [first, last] = [Math.floor(low), Math.ceil(high)];
  const x = (value) =>
    left + ((Math.log2(value) - first) / (last - first)) * (width - left - right);
  const height = top + rows.length * step + 20;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">`,
    "<title>The loop's cost beside uvloop's, cell by cell</title>",
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    `<text x="10" y="20" font-size="14">uvloop's cost divided by each contender's: further right is faster; strokes are the bars</text>`,
  ];
  for (let power = first; power <= last; power++) {
    const at = x(2 ** power).toFixed(1);
    const stroke = power === 0 ? "#222" : "#ddd";
    parts.push(
      `<path d="M${at} ${top - 8}V${height - 16}" stroke="${stroke}"/>`,
      `<text x="${at}" y="${height - 4}" text-anchor="middle">${2 ** power}x</text>`,
    );
  }
  names.forEach((name, index) => {
    const at = 10 + index * 145;
    parts.push(
      `<circle cx="${at + 5}" cy="38" r="5" fill="${colours[name]}"/>`,
      `<text x="${at + 14}" y="42">${contenderTitles[name]}</text>`,
    );
  });
  rows.forEach(({ title, ratios, verdicts }, index) => {
    const y = top + index * step + 6;
    parts.push(`<text x="10" y="${y + 4}">${escaped(title)}</text>`);
    for (const { contender, bar } of verdicts) {
      const at = x(bar).toFixed(1);
      parts.push(
        `<path d="M${at} ${y - 8}v16" stroke="${colours[contender]}" stroke-width="2" opacity=".6"/>`,
      );
    }
    for (const [name, value] of Object.entries(ratios)) {
      if (value === undefined) continue;
      parts.push(
        `<circle cx="${x(value).toFixed(1)}" cy="${y}" r="5" fill="${colours[name]}" opacity=".85"><title>${contenderTitles[name]}: ${times(value)}</title></circle>`,
      );
    }
  });
  return `${[...parts, "</svg>"].join("\n")}\n`;
}
