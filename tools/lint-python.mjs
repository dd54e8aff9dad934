// ruff's lint and format over the Python files, from npm: no pip, no binary.
// `node tools/lint-python.mjs [--write] [files]`: with --write formats them.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { PositionEncoding, Workspace } from "@astral-sh/ruff-wasm-nodejs";
import { main, root } from "./run.mjs";

const settings = {
  "line-length": 100,
  "target-version": "py310",
  lint: {
    select: "A B C4 E F FA I N PIE PYI RUF SIM TID UP W".split(" "),
    ignore: [
      "N818", // erlang_python's exception names do not end in Error
    ],
    isort: { "known-first-party": ["_coloop", "_erlang_impl", "coloop", "erlang"] },
  },
};

const folders = ["python", "test", "examples", "bench"];

function pythonFiles() {
  return folders
    .map((folder) => path.join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true })
        .filter((name) => name.endsWith(".py") && !name.includes(`fixtures${path.sep}broken`))
        .map((name) => path.join(folder, name)),
    )
    .sort();
}

/** Prints every finding; returns their number. */
export function lintPython({ write = false, files = pythonFiles() } = {}) {
  const workspace = new Workspace(settings, PositionEncoding.Utf32);
  let findings = 0;
  const report = (file, row, text) => {
    findings += 1;
    console.log(`${path.relative(root, file)}:${row}: ${text}`);
  };
  for (const file of files) {
    const source = readFileSync(file, "utf8");
    for (const { code, message, start_location: start } of workspace.check(source)) {
      report(file, start.row, `${code ?? "syntax"} ${message}`);
    }
    let formatted;
    try {
      formatted = workspace.format(source);
    } catch {
      continue; // a syntax error, reported above
    }
    if (formatted === source) continue;
    if (write) writeFileSync(file, formatted);
    else report(file, 1, "not formatted: node tools/lint-python.mjs --write");
  }
  return findings;
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const args = process.argv.slice(2);
  const files = args.filter((arg) => arg !== "--write").map((name) => path.resolve(name));
  const options = { write: args.includes("--write"), ...(files.length > 0 ? { files } : {}) };
  await main(() => (lintPython(options) === 0 ? 0 : 1));
}
