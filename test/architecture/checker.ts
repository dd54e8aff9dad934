// The rules on layers, foreign APIs and file sizes, as a function over a source tree.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

export type Rule =
  | "layer"
  | "foreign-api"
  | "header-api"
  | "one-api"
  | "file-size"
  | "one-binding"
  | "import-circle"
  | "missing-document"
  | "local-path";

export interface Violation {
  rule: Rule;
  file: string;
  line: number;
  text: string;
}

type Api = "python" | "node" | "uv";

/** What a native folder may include: folders of ours, and the foreign APIs its files may use. */
interface Layer {
  includes: readonly string[];
  apis: readonly Api[];
}

const lower = ["interp", "base"];

/** src → bridge → { context, io → loop, sandbox, convert } → interp → base. */
const layers: Readonly<Record<string, Layer>> = {
  base: { includes: [], apis: [] },
  elf: { includes: [], apis: [] },
  interp: { includes: ["base"], apis: ["python"] },
  convert: { includes: lower, apis: ["python", "node"] },
  sandbox: { includes: ["elf", ...lower], apis: ["python"] },
  loop: { includes: lower, apis: ["python", "uv"] },
  io: { includes: ["loop", ...lower], apis: ["python"] },
  context: { includes: lower, apis: ["python", "uv"] },
  bridge: {
    includes: ["context", "io", "loop", "sandbox", "convert", ...lower],
    apis: ["node", "uv"],
  },
  loader: { includes: ["elf", "base"], apis: ["node"] },
};

/** Umbrella headers only: the parts of an API are reached through them. */
const apiHeaders: readonly (readonly [Api, RegExp])[] = [
  ["python", /^(Python|structmember|datetime|frameobject)\.h$|^(cpython|internal)\//],
  ["node", /^(node_api|js_native_api|napi|napi-inl|node|v8)\.h$/],
  ["uv", /^uv(\/|\.h$)/],
];

const maxLines = 500;

const sourceEndings = [".h", ".cc", ".ts", ".mjs", ".py", ".pyi"];
const textEndings = [...sourceEndings, ".def", ".md", ".txt", ".json", ".toml", ".gyp"];
const skipped = new Set([
  "node_modules",
  "build",
  "dist",
  "coverage",
  ".git",
  ".cache",
  "__pycache__",
]);

interface SourceFile {
  file: string;
  lines: readonly string[];
}

function* readTree(root: string, folder = ""): Generator<SourceFile> {
  for (const entry of readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const file = path.posix.join(folder, entry.name);
    if (entry.isDirectory()) {
      const isFixture = file === "test/architecture/fixtures";
      if (!skipped.has(entry.name) && !isFixture) yield* readTree(root, file);
    } else if (textEndings.some((ending) => entry.name.endsWith(ending))) {
      const text = readFileSync(path.join(root, file), "utf8");
      yield { file, lines: text.replace(/\n$/, "").split("\n") };
    }
  }
}

function apiOf(header: string): Api | undefined {
  return apiHeaders.find(([, pattern]) => pattern.test(header))?.[0];
}

type Report = (rule: Rule, line: number, text: string) => void;

/** The headers of native/ that a file of another folder includes: "interp/gil.h". */
function sharedHeaders(sources: readonly SourceFile[]): Set<string> {
  const shared = new Set<string>();
  for (const { file, lines } of sources) {
    if (!file.startsWith("native/")) continue;
    for (const line of lines) {
      const header = /^\s*#\s*include\s*"([^"]+)"/.exec(line)?.[1];
      if (header !== undefined && !file.startsWith(`native/${header.split("/")[0]}/`)) {
        shared.add(header);
      }
    }
  }
  return shared;
}

// libuv's handles are members of their owner, so a header that stays in its folder may include uv.h.
function mayIncludeApi(file: string, api: Api, shared: ReadonlySet<string>): boolean {
  return !file.endsWith(".h") || (api === "uv" && !shared.has(file.slice("native/".length)));
}

function checkNative(
  { file, lines }: SourceFile,
  shared: ReadonlySet<string>,
  report: Report,
): void {
  const folder = file.split("/")[1] ?? "";
  const layer = layers[folder];
  if (layer === undefined) {
    report("layer", 1, `native/${folder} is no layer of the architecture`);
    return;
  }
  const used = new Set<Api>();
  lines.forEach((line, index) => {
    const header = /^\s*#\s*include\s*[<"]([^>"]+)[>"]/.exec(line)?.[1];
    if (header === undefined) return;
    const api = apiOf(header);
    if (api !== undefined) {
      used.add(api);
      if (!layer.apis.includes(api)) {
        report("foreign-api", index + 1, `native/${folder} may not include <${header}>`);
      }
      if (!mayIncludeApi(file, api, shared)) {
        report("header-api", index + 1, `a header may not include <${header}>: declare forward`);
      }
    }
    const quoted = /#\s*include\s*"([^/"]+)\//.exec(line)?.[1];
    if (quoted !== undefined && quoted !== folder && !layer.includes.includes(quoted)) {
      report("layer", index + 1, `native/${folder} may not include "${header}"`);
    }
    if (/#\s*include\s*"[^"]*\.\.\//.test(line)) {
      report("layer", index + 1, `include "${header}" by its path from native/`);
    }
  });
  if (used.has("python") && used.has("node")) {
    report("one-api", 1, "a file includes Python.h or node_api.h, never both");
  }
}

function checkBinding({ file, lines }: SourceFile, report: Report): void {
  lines.forEach((line, index) => {
    if (/\bprocess\.dlopen\b|\bcreateRequire\b|\.node["'`]/.test(line)) {
      report("one-binding", index + 1, `only src/binding.ts touches the addon, not ${file}`);
    }
  });
}

/** What each module of src/ imports of them, types too, with the line. */
function importsOf(sources: readonly SourceFile[]): Map<string, Map<string, number>> {
  const modules = new Map<string, Map<string, number>>();
  for (const { file, lines } of sources) {
    if (!/^src\/.*\.ts$/.test(file)) continue;
    const imported = new Map<string, number>();
    lines.forEach((line, index) => {
      const name = /(?:\bfrom|\bimport)[ (]*"(\.[^"]+)\.js"/.exec(line)?.[1];
      if (name === undefined) return;
      imported.set(`${path.posix.join(path.posix.dirname(file), name)}.ts`, index + 1);
    });
    modules.set(file, imported);
  }
  return modules;
}

/** Each import that closes a circle, at the module that was reached first. */
function checkCircles(sources: readonly SourceFile[], violations: Violation[]): void {
  const modules = importsOf(sources);
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    if (done.has(file)) return;
    for (const [next, line] of [...(modules.get(file) ?? [])].sort()) {
      const at = [...trail, file].indexOf(next);
      if (at >= 0) {
        const text = [...trail.slice(at), file, next].join(" -> ");
        violations.push({ rule: "import-circle", file, line, text });
      } else visit(next, [...trail, file]);
    }
    done.add(file);
  };
  for (const file of [...modules.keys()].sort()) visit(file, []);
}

/** Documents that a text names must exist, and nobody's own folders are named. */
function checkText(root: string, { file, lines }: SourceFile, report: Report): void {
  lines.forEach((line, index) => {
    for (const [name] of line.matchAll(/(?<![\w/.-])[A-Z][A-Z_]+\.md\b/g)) {
      const beside = path.join(root, path.dirname(file), name);
      if (!existsSync(path.join(root, name)) && !existsSync(beside)) {
        report("missing-document", index + 1, `${name} does not exist`);
      }
    }
    const own = /(?<![\w./-])\/(?:work|home|root|Users)\/\w[\w./-]*/.exec(line);
    if (own) report("local-path", index + 1, `${own[0]} exists on one machine only`);
  });
}

/** Every violation in the tree under `root`; empty when the architecture holds. */
export function checkArchitecture(root: string): Violation[] {
  const violations: Violation[] = [];
  const sources = [...readTree(root)];
  const shared = sharedHeaders(sources);
  for (const source of sources) {
    const { file, lines } = source;
    const report: Report = (rule, line, text) => void violations.push({ rule, file, line, text });
    const isNative = /^native\/[^/]+\/.*\.(h|cc|def)$/.test(file);
    if (isNative) checkNative(source, shared, report);
    if (/^src\/.*\.ts$/.test(file) && file !== "src/binding.ts") checkBinding(source, report);
    if (sourceEndings.some((ending) => file.endsWith(ending)) && lines.length > maxLines) {
      report("file-size", maxLines + 1, `${lines.length} lines, ${maxLines} allowed`);
    }
    checkText(root, source, report);
  }
  checkCircles(sources, violations);
  return violations;
}
