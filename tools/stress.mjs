// `npm run test:stress [-- --full] [--python X]`: connections by the thousands on the hosted loop, good and bad ones;
// afterwards live objects and descriptors are back where they were. --full: 100,000 opened and closed, 10,000
// held at once.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { line, none } from "./counts.mjs";
import { main, root, run, seconds, ToolError } from "./run.mjs";

const perConnection = 16 * 1024; // bytes, both ends and the protocols
const oneWrite = 64 * 1024;

function expect(condition, what) {
  if (!condition) throw new ToolError(what);
}

function certificate(folder) {
  const [cert, key] = ["cert.pem", "key.pem"].map((name) => path.join(folder, name));
  const options =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost";
  execFileSync("openssl", [...options.split(" "), "-keyout", key, "-out", cert], {
    stdio: "ignore",
  });
  return [cert, key];
}

/** [title, what]: each throws if something is not as it should be, and returns what there is to say. */
function casesOf(stress, full, folder) {
  const [cycles, held] = full ? [100_000, 10_000] : [5_000, 1_000];
  return [
    [
      `${cycles} connections opened and closed: streams, half-closes, resets`,
      async () => {
        const answered = await stress.open_and_close(cycles, 50);
        expect(answered === cycles, `${answered} of ${cycles} answered`);
      },
    ],
    [
      `${held} connections held at once`,
      async () => {
        const possible = stress.most_connections(held);
        const [answered, memory] = await stress.hold(possible);
        expect(answered === possible, `${answered} of ${possible} answered`);
        expect(memory < perConnection, `${memory} bytes for each connection`);
        const fewer = possible < held ? `; ${possible} only: RLIMIT_NOFILE allows no more` : "";
        return `${Math.round(memory)} bytes for each, both ends${fewer}`;
      },
    ],
    [
      "20 slow readers of 32 MiB each",
      async () => {
        const [buffered, complete] = await stress.slow_readers(20);
        expect(complete === 20, `${complete} read all`);
        expect(buffered <= 2 * oneWrite, `${buffered} bytes in a buffer`);
      },
    ],
    [
      "200 dead peers that are written to",
      async () => expect((await stress.dead_peers(200)) === 200, "an end was not told"),
    ],
    [
      "60 peers that never finish their TLS handshake",
      async () => {
        const made = await stress.unfinished_handshakes(60, ...certificate(folder));
        expect(made === 0, `${made} protocols were told of a connection`);
      },
    ],
    [
      "descriptors exhausted: accepting pauses and goes on",
      async () => {
        const [failures, answered] = await stress.exhausted(20);
        expect(failures === 1, `told ${failures} times`);
        expect(answered === 20, `${answered} of 20 answered afterwards`);
      },
    ],
  ];
}

function resources(py) {
  return { ...py.counters(), descriptors: readdirSync("/proc/self/fd").length };
}

/** What is above its start; waits for what ends by itself. */
async function leftOver(py, collect, before) {
  for (const end = performance.now() + 10_000; ; await wait(20)) {
    globalThis.gc();
    collect();
    await turn();
    const now = resources(py);
    const more = Object.keys(before).filter((kind) => now[kind] > before[kind]);
    if (more.length === 0 || performance.now() > end) {
      return more.map((kind) => `${kind}: ${before[kind]} before, ${now[kind]} after`);
    }
  }
}

async function stressHere({ python, full }) {
  const { Python } = await import("coloop");
  const py = await Python.start({ ...(python && { python }) });
  const folder = path.join(root, "test", "stress");
  py.execSync("import sys; sys.path.insert(0, folder)", { folder });
  const connections = py.import("connections");
  const collect = py.import("gc").collect;
  const temporary = mkdtempSync(path.join(os.tmpdir(), "coloop-stress-"));
  let { passed, failed } = none;
  await connections.open_and_close(10, 5); // what is made once
  for (const [title, work] of casesOf(connections, full, temporary)) {
    await leftOver(py, collect, {});
    const before = resources(py);
    const start = performance.now();
    try {
      const remark = await work();
      const left = await leftOver(py, collect, before);
      expect(left.length === 0, `left behind: ${left.join("; ")}`);
      console.log(`  ${seconds(start).padStart(7)}  ${title}${remark ? ` (${remark})` : ""}`);
      passed += 1;
    } catch (error) {
      console.log(`  FAILED   ${title}: ${error.traceback ?? error.message}`);
      failed += 1;
    }
  }
  rmSync(temporary, { recursive: true });
  await py.close();
  return { ...none, passed, failed };
}

/** Runs them in a process of their own; returns the counts. */
export async function stress({ python, full = false } = {}) {
  const args = [...(full ? ["--full"] : []), ...(python ? ["--python", python] : [])];
  const script = path.join(root, "tools", "stress.mjs");
  const { code, stdout } = await run(process.execPath, ["--expose-gc", script, ...args], {
    timeout: 10 * 60_000,
    capture: true,
  });
  process.stdout.write(stdout);
  const found = [...stdout.matchAll(/(\d+) passed, (\d+) failed, (\d+) skipped/g)].at(-1);
  const [, passed, failed] = (found ?? [0, 0, 1]).map(Number);
  return { ...none, passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    if (globalThis.gc === undefined) throw new ToolError("run it with node --expose-gc");
    const { values } = parseArgs({
      options: { python: { type: "string" }, full: { type: "boolean" } },
    });
    const counts = await stressHere(values);
    console.log(line(counts));
    return counts.failed === 0 ? 0 : 1;
  });
}
