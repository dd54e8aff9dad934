// `npm run test:anyio [-- --python X] [--debug] [--only WORDS] [files]`: anyio's own tests, from the package index and
// of a pinned version, on owned loops inside Node.js. What is left out, and why, is in
// test/programs/anyio_suite.py.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { line } from "./counts.mjs";
import { makeVenv } from "./programs.mjs";
import { loadDiscovery } from "./pythons.mjs";
import { main, must, root, run, ToolError, timed } from "./run.mjs";

const packages = "anyio-suite.txt";
const programs = path.join(root, "test", "programs");
const limit = 15 * 60_000;

/** The source package with its tests, unpacked; its folder. */
async function source(venv) {
  const wanted = readFileSync(path.join(programs, packages), "utf8").match(/^anyio==.*$/m)[0];
  const target = path.join(root, "build", "programs", "sources");
  const folder = path.join(target, wanted.replace("==", "-"));
  if (existsSync(folder)) return folder;
  mkdirSync(target, { recursive: true });
  const pip = ["-I", "-m", "pip", "download", "--quiet", "--disable-pip-version-check"];
  await must(
    path.join(venv, "bin", "python"),
    [...pip, "--no-deps", "--no-binary", "anyio", "--dest", target, wanted],
    { quiet: true, timeout: 3 * 60_000 },
  );
  const archive = readdirSync(target).find((name) => name.endsWith(".tar.gz"));
  await must("tar", ["-xzf", path.join(target, archive), "-C", target]);
  rmSync(path.join(target, archive));
  return folder;
}

/** Runs the tests; what came of them. */
async function outcomeOf(title, [command, ...args], result) {
  rmSync(result, { force: true });
  const { code, signal, stdout } = await timed(title, () =>
    run(command, args, { capture: true, timeout: limit }),
  );
  if (existsSync(result)) return JSON.parse(readFileSync(result, "utf8"));
  throw new ToolError(`the process ended with ${signal ?? code}\n${stdout.slice(-4000)}`);
}

async function testAnyio({ python: selection, debug }, filters) {
  const python = (await loadDiscovery())(selection);
  const venv = await makeVenv(python, packages);
  const folder = await source(venv);
  const file = (name) =>
    path.join(root, "build", "programs", `anyio-${python.version}-${name}.json`);
  const more = (result) => [folder, result, debug ? "1" : "", ...filters];
  const ours = await outcomeOf(
    `anyio's tests on owned loops, Python ${python.version}`,
    [process.execPath, path.join(programs, "anyio-suite.mjs"), venv, ...more(file("ours"))],
    file("ours"),
  );
  const failing = Object.keys(ours.faults);
  // What this machine lacks, such as IPv6 or a name, asyncio's own loop lacks here, too.
  const also =
    failing.length === 0
      ? { faults: {} }
      : await outcomeOf(
          "the same on asyncio's own loop",
          [
            path.join(venv, "bin", "python"),
            path.join(programs, "anyio_suite.py"),
            ...more(file("asyncio")),
          ],
          file("asyncio"),
        );
  const shared = failing.filter((name) => name in also.faults);
  const faults = failing.filter((name) => !shared.includes(name));
  for (const name of faults) console.log(`FAILED ${name} ${ours.faults[name]}\n`);
  for (const [reason, count] of Object.entries(ours.excluded)) {
    console.log(`[coloop] ${count} left out: ${reason}`);
  }
  if (shared.length > 0) {
    console.log(`[coloop] ${shared.length} skipped: they fail on asyncio's own loop here, too`);
  }
  const broken = ours.passed === 0 || (ours.code !== 0 && failing.length === 0);
  return {
    passed: ours.passed,
    failed: faults.length + (broken ? 1 : 0),
    skipped: ours.skipped + shared.length,
  };
}

await main(async () => {
  const { values, positionals } = parseArgs({
    options: {
      python: { type: "string" },
      debug: { type: "boolean", default: false },
      only: { type: "string" }, // pytest's -k
    },
    allowPositionals: true,
  });
  const only = values.only === undefined ? [] : ["-k", values.only];
  const counts = await testAnyio(values, [...only, ...positionals]);
  console.log(line(counts));
  return counts.failed === 0 ? 0 : 1;
});
