// Tables of the documents that come from the tables of the code: between `<!-- name:begin -->` and
// `<!-- name:end -->`. `node tools/tables.mjs` says which are out of date; with --write it mends them.

import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { main, root, ToolError } from "./run.mjs";

const values = "native/convert/kinds.def";
const events = "native/sandbox/events.def";
const errors = "src/errors.ts";

/** The arguments of every `macro(…)` line of a .def file: quoted texts and bare words. */
function rowsOf(text, macro) {
  const lines = text.matchAll(new RegExp(`^${macro}\\((.*)\\)$`, "gm"));
  return [...lines].map(([, inner]) =>
    [...inner.matchAll(/"((?:[^"\\]|\\.)*)"|(\w+)/g)].map(([, quoted, word]) => quoted ?? word),
  );
}

function tableOf(header, rows) {
  const lines = [header, header.map(() => "---"), ...rows];
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const lowered = (name) => name.slice(1).toLowerCase();

function eventRow([event, group, standard, strict, why]) {
  const shown = [standard, strict].map((it) => (it === "kDeny" ? "**deny**" : lowered(it)));
  return [`\`${event}\``, lowered(group), ...shown, why];
}

/** The codes of `errorCodes` and what each says. */
function codeRows(text) {
  const [, table] = text.match(/^export const errorCodes = \{\n([\s\S]*?)^\} as const;$/m);
  const rows = table.matchAll(/^ {2}(ERR_COLOOP_\w+):\s+"(.*)",$/gm);
  return [...rows].map(([, code, says]) => [`\`${code}\``, says]);
}

/** Each generated table: where it is, and how it is made from which file. */
export const tables = [
  {
    document: "docs/conversion.md",
    name: "to-python",
    source: values,
    make: (text) => tableOf(["JavaScript", "Python", "how"], rowsOf(text, "TO_PYTHON")),
  },
  {
    document: "docs/conversion.md",
    name: "to-javascript",
    source: values,
    make: (text) => tableOf(["Python", "JavaScript", "how"], rowsOf(text, "TO_JS")),
  },
  {
    document: "docs/sandbox.md",
    name: "events",
    source: events,
    make: (text) =>
      tableOf(
        ["event", "group", "default", "strict", "what it does"],
        rowsOf(text, "COLOOP_EVENT").map(eventRow),
      ),
  },
  {
    document: "docs/guide/errors.md",
    name: "error-codes",
    source: errors,
    make: (text) => tableOf(["code", "what it says"], codeRows(text)),
  },
];

// Whatever formats documents may pad the cells of a table.
const unpadded = (text) => text.replace(/ *\| */g, "|").replace(/-{3,}/g, "---");

/** A document's text with the table in its place; the very text if that holds the table already. */
export function withTable(text, { document, name }, table) {
  const begin = `<!-- ${name}:begin -->\n`;
  const end = `<!-- ${name}:end -->`;
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new ToolError(`${document} has no place for the table "${name}"`);
  const start = from + begin.length;
  const present = text.slice(start, to).trim();
  if (unpadded(present) === unpadded(table)) return text;
  return `${text.slice(0, start)}${table}\n${text.slice(to)}`;
}

/** The documents whose tables differ from the code; with `write` they are mended. */
export function staleTables({ write = false } = {}) {
  const stale = [];
  for (const table of tables) {
    const file = path.join(root, table.document);
    const text = readFileSync(file, "utf8");
    const made = table.make(readFileSync(path.join(root, table.source), "utf8"));
    const wanted = withTable(text, table, made);
    if (wanted === text) continue;
    stale.push(`${table.document}: the table "${table.name}" differs from ${table.source}`);
    if (write) writeFileSync(file, wanted);
  }
  return stale;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(() => {
    const write = process.argv.includes("--write");
    const stale = staleTables({ write });
    for (const line of stale) console.log(`${line}${write ? ": written" : ""}`);
    return stale.length === 0 || write ? 0 : 1;
  });
}
