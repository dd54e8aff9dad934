// `npm run test:native [-- --python X]`: the tests that need no Node: the C++ test programs, and
// Python's unittest in `coloop_python`, which embeds Python as the addon does.

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { add, line, none, ofNative, ofUnittest, oneFailed } from "./counts.mjs";
import { installDebianPackages } from "./install.mjs";
import { findSystemUv } from "./node-headers.mjs";
import { main, root, run, ToolError, timed } from "./run.mjs";

const timeout = 10 * 60_000;

function launch(launcher, program, args, env) {
  const [command, ...rest] = [...launcher, program, ...args];
  return run(command, rest, { capture: true, timeout, env });
}

async function runPrograms(folder, python, { launcher, env }) {
  const programs = readdirSync(folder).filter((name) => /^coloop_\w*tests?$/.test(name));
  let counts = none;
  for (const name of programs.sort()) {
    const result = await timed(`native: ${name}`, () =>
      launch(launcher, path.join(folder, name), [], {
        ...env,
        COLOOP_TEST_PYTHON: python.executable,
      }),
    );
    if (result.code !== 0) process.stdout.write(result.stdout + result.stderr);
    if (result.signal) console.log(`[coloop] ${name} was ended by ${result.signal}`);
    counts = add(counts, ofNative(result.stdout + result.stderr, result.code));
  }
  return counts;
}

/** Why tests were skipped, and how many for each reason. */
function printSkips(output) {
  const reasons = new Map();
  for (const [, , reason] of output.matchAll(/ skipped (['"])(.*)\1$/gm)) {
    reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
  for (const [reason, count] of reasons) console.log(`[coloop] ${count} skipped: ${reason}`);
}

async function runUnittest(folder, python, { launcher, env }) {
  const program = path.join(folder, "coloop_python");
  const suite = path.join(root, "test", "python");
  if (!existsSync(program) || !existsSync(suite)) {
    console.log(`[coloop] unittest: ${existsSync(suite) ? program : suite} is missing`);
    return oneFailed;
  }
  const result = await timed("unittest", () =>
    launch(launcher, program, ["-m", "unittest", "discover", "-v", "-s", suite, "-t", suite], {
      ...env,
      COLOOP_PYTHON: python.executable,
      PYTHONPATH: path.join(root, "python"),
      PYTHONDONTWRITEBYTECODE: "1",
    }),
  );
  if (result.code !== 0) process.stdout.write(result.stdout + result.stderr);
  else printSkips(result.stderr);
  if (result.signal) console.log(`[coloop] unittest was ended by ${result.signal}`);
  return ofUnittest(result.stderr + result.stdout, result.code);
}

/** Why they cannot be built, after trying to install what is missing; else undefined. */
export async function obstacle() {
  const reason = findSystemUv() ? undefined : await installDebianPackages("libuv1-dev");
  return reason && `libuv's headers are missing: ${reason}`;
}

/** Runs what `build` put into a folder. A launcher is a command that takes the program to run. */
export async function runNative(folder, python, how = {}) {
  const { launcher = [], env = {} } = how;
  const programs = await runPrograms(folder, python, { launcher, env });
  return add(programs, await runUnittest(folder, python, { launcher, env }));
}

/** Builds and runs them for one interpreter; returns the counts. */
export async function testNative(selection) {
  const reason = await obstacle();
  if (reason) {
    console.log(`[coloop] native tests skipped: ${reason}`);
    return { ...none, skipped: 1 };
  }
  const python = await build({ python: selection, tests: true });
  return await runNative(path.join(root, "build", `tests-${python.tag}`), python);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const { values } = parseArgs({ options: { python: { type: "string" } } });
    const counts = await testNative(values.python);
    console.log(line(counts));
    if (counts.failed > 0) throw new ToolError("native tests failed");
  });
}
