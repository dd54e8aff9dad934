// `npm run test:sanitize [-- --address | --thread] [--native] [--python X]`: builds of their own with AddressSanitizer
// (with UndefinedBehaviorSanitizer and LeakSanitizer) and with ThreadSanitizer. Both run the tests
// without Node; AddressSanitizer also runs test/process, in a copy of the package that has its addons. In the same
// copy `--address` of test:orders, test:stress and test:conformance runs.

import { cpSync, existsSync, mkdirSync, realpathSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { build } from "./build.mjs";
import { add, line, none, ofVitest } from "./counts.mjs";
import { ask, main, root, run, ToolError, timed, which } from "./run.mjs";
import { obstacle, runNative } from "./test-native.mjs";

const timeout = 15 * 60_000;
// The first starts processes of its own, in which no sanitizer is; the second leaves no addresses free, which a
// sanitizer needs itself.
const without = ["race-thread-call-exit", "exit-no-memory"];

const suppressions = (name) =>
  `suppressions=${path.join(root, "tools", "sanitizers", name)}:print_suppressions=0`;

const addressOptions = {
  PYTHONMALLOC: "malloc", // or LeakSanitizer sees pymalloc's arenas only
  // A large quarantine of freed memory would look like a leak to the leak-*.mjs scripts.
  ASAN_OPTIONS: "detect_leaks=1:detect_stack_use_after_return=1:quarantine_size_mb=4",
  LSAN_OPTIONS: suppressions("leaks.txt"),
  UBSAN_OPTIONS: "print_stacktrace=1",
};

const useAfterFree = `
import ctypes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
address = libc.malloc(16)
libc.free(ctypes.c_void_p(address))
ctypes.memset(address, 0, 1)
`;

const leak = `
import ctypes
ctypes.CDLL(None).malloc(1234)
`;

const race = `
import ctypes, threading
memory = ctypes.create_string_buffer(1 << 22)
memset = ctypes.CDLL(None).memset
def fill():
    for _ in range(50):
        memset(memory, 1, len(memory))
threads = [threading.Thread(target=fill) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
`;

/** What each sanitizer needs, and errors made on purpose: one that reports none of them sees nothing. */
const sanitizers = {
  address: {
    launcher: [],
    env: addressOptions,
    proofs: [
      ["heap-use-after-free", useAfterFree],
      ["detected memory leaks", leak],
    ],
  },
  thread: {
    // gcc 12's runtime does not find its place among addresses as random as a new kernel's.
    launcher: ["setarch", "-R"],
    env: { TSAN_OPTIONS: "halt_on_error=0:exitcode=66:second_deadlock_stack=1" },
    proofs: [["data race", race]],
  },
};

async function prove({ launcher, env, proofs }, folder, python) {
  for (const [report, code] of proofs) {
    const [command, ...args] = [...launcher, path.join(folder, "coloop_python"), "-c", code];
    const result = await run(command, args, {
      capture: true,
      timeout: 60_000,
      env: { ...env, COLOOP_PYTHON: python.executable },
    });
    if (result.code === 0 || !result.stderr.includes(report)) {
      throw new ToolError(`the sanitizer missed an error made on purpose (${report})`);
    }
  }
}

/** What a sanitizer needs without Node. */
function nativeOptions(name, python) {
  const { launcher, env } = sanitizers[name];
  if (name !== "address" || !hasImmortalStrings(python.version)) return { launcher, env };
  return { launcher, env: { ...env, LSAN_OPTIONS: suppressions("immortal-strings.txt") } };
}

function hasImmortalStrings(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > 3 || minor >= 12;
}

/** A copy of the package in `folder`, in whose build/ the addons are. */
function copyPackage(folder) {
  const tests = ["process", "fixtures", "stress", "python/conformance"].map(
    (name) => `test/${name}`,
  );
  for (const name of ["dist", "python", "package.json", "tools", ...tests]) {
    rmSync(path.join(folder, name), { recursive: true, force: true });
    cpSync(path.join(root, name), path.join(folder, name), { recursive: true });
  }
}

/** How a program of the copy runs with AddressSanitizer in Node, with or without the search for leaks. */
function variantIn(folder, python, leaks) {
  const runtime = ask(process.env.CXX ?? "c++", ["-print-file-name=libasan.so"]);
  if (!runtime || !existsSync(runtime)) throw new ToolError("libasan.so is missing (Debian: g++)");
  return {
    root: folder,
    folder: path.join(folder, "test", "process"), // of the scripts of test/process
    env: {
      ...addressOptions,
      ASAN_OPTIONS: `${addressOptions.ASAN_OPTIONS}:detect_leaks=${leaks ? 1 : 0}`,
      LD_PRELOAD: realpathSync(runtime),
      COLOOP_PYTHON: python.executable,
    },
    // What these start (the interpreter that is asked what it is) runs without.
    nodeOptions: ["--import", "data:text/javascript,delete process.env.LD_PRELOAD"],
    slower: 4,
  };
}

/** Groups of run.test.ts. */
function groupsOf(groups, leaks) {
  const filter = `^(${groups.join("|")}) (?!${without.join("|")})`;
  return { title: groups.join(", "), args: ["test/process/run.test.ts", "-t", filter], leaks };
}

/** Builds with AddressSanitizer; returns how a program of the copy runs with it. */
export async function addressVariant(selection, { leaks = false } = {}) {
  const folder = path.join(root, "build", "address");
  mkdirSync(folder, { recursive: true });
  const output = path.join(folder, "build");
  const python = await build({ python: selection, tests: true, sanitize: "address", output });
  copyPackage(folder);
  const variant = variantIn(folder, python, leaks);
  variant.env.COLOOP_TEST_VARIANT = JSON.stringify(variant);
  return variant;
}

/** Runs scripts of test/process with AddressSanitizer in Node, with or without the search for leaks. */
async function runInNode(folder, python, { title, args, leaks }) {
  const variant = variantIn(folder, python, leaks);
  const vitest = createRequire(import.meta.url).resolve("vitest/package.json");
  const report = path.join(folder, `vitest-${title.split(",")[0]}.json`);
  rmSync(report, { force: true });
  const { code } = await timed(`test/process: ${title}`, () =>
    run(
      process.execPath,
      [
        path.join(path.dirname(vitest), "vitest.mjs"),
        "run",
        ...args,
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
      ],
      {
        timeout,
        env: { COLOOP_TEST_VARIANT: JSON.stringify(variant), NO_COLOR: "1", CI: "1" },
      },
    ),
  );
  // The groups that are not run are not skipped tests.
  return { ...ofVitest(report, code), skipped: 0 };
}

/** Builds with one sanitizer and runs what it can run, or the tests without Node only; returns the counts. */
export async function sanitize(name, selection, { inNode = true } = {}) {
  const reason =
    (await obstacle()) ??
    (process.platform === "linux" ? undefined : "only Linux is set up for it");
  if (reason || (name === "thread" && !which("setarch"))) {
    console.log(`[coloop] ${name}: skipped: ${reason ?? "setarch is missing (util-linux)"}`);
    return { ...none, skipped: 1 };
  }
  const folder = path.join(root, "build", name);
  mkdirSync(folder, { recursive: true });
  const output = path.join(folder, "build");
  const bridge = name === "address" && inNode;
  const python = await build({ python: selection, tests: true, bridge, sanitize: name, output });
  const tests = path.join(output, `tests-${python.tag}`);
  await prove(sanitizers[name], tests, python);
  const counts = await runNative(tests, python, nativeOptions(name, python));
  if (!bridge) return counts;
  copyPackage(folder);
  // An exit leaves frames that run as they are, and what only they hold: they are in mapped memory, where
  // LeakSanitizer does not look. It crashes itself where threads end as it stops them, as those of a race do.
  return add(
    counts,
    await runInNode(folder, python, groupsOf(["exit", "signal", "natural", "loop", "race"], false)),
    await runInNode(folder, python, groupsOf(["worker", "leak", "close"], true)),
    await runInNode(folder, python, {
      title: "own interpreters",
      args: ["test/process/own.test.ts"],
      leaks: false,
    }),
  );
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const { values } = parseArgs({
      options: {
        address: { type: "boolean" },
        thread: { type: "boolean" },
        native: { type: "boolean" },
        python: { type: "string" },
      },
    });
    const chosen = Object.keys(sanitizers).filter((name) => values[name]);
    let counts = none;
    for (const name of chosen.length > 0 ? chosen : Object.keys(sanitizers)) {
      counts = add(counts, await sanitize(name, values.python, { inNode: !values.native }));
    }
    console.log(line(counts));
    if (counts.failed > 0) throw new ToolError("the sanitizers found something");
  });
}
