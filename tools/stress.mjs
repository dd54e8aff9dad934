// `npm run test:stress [-- --full] [--address] [--python X]`: connections by the thousands on the hosted loop, good
// and bad ones; afterwards live objects and descriptors are back where they were. --full: 100,000 opened and
// closed, 10,000 held at once, also with the other end in a process of its own. --address: with AddressSanitizer
// and LeakSanitizer, without the bars of memory.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { line, none } from "./counts.mjs";
import { loadDiscovery } from "./pythons.mjs";
import { main, root, run, seconds, ToolError } from "./run.mjs";

const perConnection = 16 * 1024; // bytes, both ends and the protocols
const perEnd = perConnection / 2;
const oneWrite = 64 * 1024;

// With a sanitizer in the addon this runs in a copy of the package, and is told how Node is started there.
const told = process.env.COLOOP_TEST_VARIANT;
const here = { root, env: {}, nodeOptions: [], slower: 1, ...(told && JSON.parse(told)) };

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

/** The other end, a process of asyncio's own: `next(said)` writes to it and resolves to the number it says then. */
function startPeer(python, ...args) {
  const script = path.join(root, "test", "stress", "peer.py");
  const child = spawn(python, ["-I", script, ...args.map(String)], {
    stdio: ["pipe", "pipe", "inherit"],
    timeout: 5 * 60_000 * here.slower,
  });
  const closed = once(child, "close");
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async next(said = "") {
      child.stdin.write(said);
      const { value, done } = await lines.next();
      expect(!done, "the other end has ended");
      return Number(value);
    },
    async stop() {
      child.stdin.end();
      await closed;
    },
  };
}

/** So many connections, the other ends elsewhere: how many answered, and memory for each. */
const hold = {
  async server(stress, python, count) {
    let peer;
    const connect = (port) => {
      peer = startPeer(python, "connect", count, port);
      return peer.next();
    };
    try {
      return await stress.hold_as_server(count, connect, () => peer.next("\n"));
    } finally {
      await peer?.stop();
    }
  },
  async client(stress, python, count) {
    const peer = startPeer(python, "serve", count);
    try {
      return await stress.hold_as_client(count, await peer.next());
    } finally {
      await peer.stop();
    }
  },
};

async function holdOneEnd(stress, python, count, role) {
  expect(stress.allow_connections(count), `RLIMIT_NOFILE does not allow ${count} descriptors`);
  const [answered, memory] = await hold[role](stress, python, count);
  expect(answered === count, `${answered} of ${count} answered`);
  expect(told || memory < perEnd, `${memory} bytes for each connection`);
  return `${Math.round(memory)} bytes for each`;
}

/**
 * [title, what, alone]: each throws if something is not as it should be, and returns what there is to say. Alone: in a
 * process of its own, whose memory nothing has used before.
 */
function casesOf(stress, python, full, folder) {
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
        expect(told || memory < perConnection, `${memory} bytes for each connection`);
        const fewer = possible < held ? `; ${possible} only: RLIMIT_NOFILE allows no more` : "";
        return `${Math.round(memory)} bytes for each, both ends${fewer}`;
      },
      true,
    ],
    ...["server", "client"].map((role) => [
      `${held} connections held at once, as their ${role}`,
      () => holdOneEnd(stress, python, held, role),
      true,
    ]),
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

const countLine = /^(\d+) passed, (\d+) failed.*\n/m;

/** Runs this in another process. */
function runIn({ root: folder, env, nodeOptions, slower }, { python, full }, ...more) {
  const args = [...(full ? ["--full"] : []), ...(python ? ["--python", python] : []), ...more];
  const script = path.join(folder, "tools", "stress.mjs");
  const timeout = 10 * 60_000 * slower;
  const options = [...nodeOptions, "--expose-gc"];
  return run(process.execPath, [...options, script, ...args], { timeout, env, capture: true });
}

/** Runs one case in a process of its own; returns the counts. */
async function runAlone(number, options) {
  const { code, stdout, stderr } = await runIn(here, options, "--only", String(number));
  process.stdout.write(stdout.replace(countLine, ""));
  process.stderr.write(stderr);
  return code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

async function stressHere({ python, full, only }) {
  const { executable } = (await loadDiscovery())(python);
  const { Python } = await import("coloop");
  const py = await Python.start({ ...(python && { python }) });
  const folder = path.join(root, "test", "stress");
  py.execSync("import sys; sys.path.insert(0, folder)", { folder });
  const connections = py.import("connections");
  const collect = py.import("gc").collect;
  const temporary = mkdtempSync(path.join(os.tmpdir(), "coloop-stress-"));
  let { passed, failed } = none;
  // What is made once: also by Node, when it first starts a process.
  await connections.open_and_close(10, 5);
  await run("true", [], { capture: true });
  const cases = casesOf(connections, executable, full, temporary);
  for (const [number, [title, work, alone]] of cases.entries()) {
    if (only !== undefined && only !== String(number)) continue;
    if (alone && only === undefined) {
      const counts = await runAlone(number, { python, full });
      passed += counts.passed;
      failed += counts.failed;
      continue;
    }
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
export async function stress({ python, full = false, variant = here } = {}) {
  const { code, stdout, stderr } = await runIn(variant, { python, full });
  process.stdout.write(stdout.replace(countLine, ""));
  process.stderr.write(stderr);
  const [, passed, failed] = (countLine.exec(stdout) ?? [0, 0, 1]).map(Number);
  return { ...none, passed, failed: code !== 0 && failed === 0 ? 1 : failed };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    if (globalThis.gc === undefined) throw new ToolError("run it with node --expose-gc");
    const { values } = parseArgs({
      options: {
        python: { type: "string" },
        full: { type: "boolean" },
        address: { type: "boolean" },
        only: { type: "string" }, // the number of a case
      },
    });
    const { addressVariant } = await import("./sanitize.mjs");
    const variant = values.address && (await addressVariant(values.python, { leaks: true }));
    const counts = variant ? await stress({ ...values, variant }) : await stressHere(values);
    console.log(line(counts));
    return counts.failed === 0 ? 0 : 1;
  });
}
