// `npm run check:native`: clang-format and clang-tidy, version 19, over the C++ code.
// `node tools/lint-native.mjs --write` formats; `--format-only` leaves clang-tidy out; with `--idle` it takes
// only what time others leave it, and clang's analyzer follows fewer paths, which is a third of the time.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { line } from "./counts.mjs";
import { installDebianPackages } from "./install.mjs";
import { ask, main, root, run, timed, which } from "./run.mjs";

const version = "19";
const folders = ["native", "test/native"];
const shallow = ["-analyzer-config", "mode=shallow"].flatMap((argument) => [
  "--extra-arg=-Xclang",
  `--extra-arg=${argument}`,
]);

function sources(...endings) {
  return folders
    .map((folder) => path.join(root, folder))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true })
        .filter((name) => endings.some((ending) => name.endsWith(ending)))
        .map((name) => path.join(folder, name)),
    )
    .sort();
}

function isVersion(program) {
  return ask(program, ["--version"])?.includes(`version ${version}.`);
}

/** The program in the version that the profile is written for, installed if need be and possible. */
async function findTool(name) {
  const find = () => [`${name}-${version}`, name].find((each) => which(each) && isVersion(each));
  const found = find();
  if (found) return { program: found };
  const reason = await installDebianPackages(`${name}-${version}`);
  return reason === undefined ? { program: find() } : { reason };
}

async function format(write) {
  const { program, reason } = await findTool("clang-format");
  if (!program) return skip("clang-format", reason);
  const mode = write ? ["-i"] : ["--dry-run", "-Werror"];
  const files = sources(".h", ".cc");
  const { code } = await timed("check: clang-format", () => run(program, [...mode, ...files]));
  return count(code);
}

/** Every file that some build folder compiles, with a folder whose commands compile it. */
function compiledFiles() {
  const build = path.join(root, "build");
  const byFile = new Map();
  for (const name of existsSync(build) ? readdirSync(build) : []) {
    const database = path.join(build, name, "compile_commands.json");
    if (!existsSync(database)) continue;
    for (const { file } of JSON.parse(readFileSync(database, "utf8"))) {
      if (existsSync(file)) byFile.set(file, path.join(build, name));
    }
  }
  return byFile;
}

/** A clean file is not looked at again before it, a header or the profile changes. */
function cleanMarks(depth) {
  const folder = path.join(root, "build", "tidy");
  mkdirSync(folder, { recursive: true });
  const common = createHash("sha256").update(depth.join());
  for (const file of [path.join(root, ".clang-tidy"), ...sources(".h", ".def")]) {
    common.update(readFileSync(file));
  }
  const base = common.digest("hex");
  return (file, database) =>
    path.join(
      folder,
      createHash("sha256").update(base).update(database).update(readFileSync(file)).digest("hex"),
    );
}

async function tidyFiles(program, depth, queue, markOf) {
  let failed = false;
  for (let next = queue.pop(); next; next = queue.pop()) {
    const [file, database] = next;
    const args = ["-p", database, "--quiet", "--warnings-as-errors=*", ...depth, file];
    const { code, stdout } = await run(program, args, { capture: true });
    if (code === 0) {
      writeFileSync(markOf(file, database), "");
      continue;
    }
    failed = true;
    process.stdout.write(stdout);
  }
  return failed;
}

async function tidy(depth) {
  const { program, reason } = await findTool("clang-tidy");
  if (!program) return skip("clang-tidy", reason);
  const files = compiledFiles();
  if (files.size === 0) return skip("clang-tidy", "nothing is built yet: npm run build");
  const markOf = cleanMarks(depth);
  const queue = [...files].filter(([file, database]) => !existsSync(markOf(file, database)));
  const title = `check: clang-tidy, ${queue.length} of ${files.size} files`;
  const failures = await timed(title, () =>
    Promise.all(
      Array.from({ length: os.availableParallelism() }, () =>
        tidyFiles(program, depth, queue, markOf),
      ),
    ),
  );
  return count(failures.includes(true) ? 1 : 0);
}

function count(code) {
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 };
}

function skip(name, reason) {
  console.log(`[coloop] check: ${name} skipped: ${reason}`);
  return { passed: 0, failed: 0, skipped: 1 };
}

/** Returns how many checks passed, failed and were skipped. */
export async function lintNative({ write = false, formatOnly = false, depth = [] } = {}) {
  const results = [await format(write)];
  if (!formatOnly && !write) results.push(await tidy(depth));
  const sum = (key) => results.reduce((total, result) => total + result[key], 0);
  return { passed: sum("passed"), failed: sum("failed"), skipped: sum("skipped") };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const write = process.argv.includes("--write");
  const formatOnly = process.argv.includes("--format-only");
  const idle = process.argv.includes("--idle");
  if (idle) os.setPriority(os.constants.priority.PRIORITY_LOW);
  await main(async () => {
    const counts = await lintNative({ write, formatOnly, depth: idle ? shallow : [] });
    console.log(line(counts));
    return counts.failed === 0 ? 0 : 1;
  });
}
