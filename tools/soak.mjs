// `npm run soak [-- --minutes 10] [--seed N] [--python X] [--only call,proxy]`: a bit of everything, at random and at once, for
// a while. Memory must be flat after the warm-up; live objects, descriptors and threads must be back where
// they were.

import { once } from "node:events";
import { readdirSync } from "node:fs";
import path from "node:path";
import { setImmediate as turn, setTimeout as wait } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { random } from "../test/process/random-helpers.mjs";
import { main, root, ToolError } from "./run.mjs";

const megabyte = 1024 * 1024;
const growthLimit = 24 * megabyte; // what V8's heap and malloc's free lists vary by
const atOnce = 12;
const perRound = 600;

function expect(actual, wanted, what) {
  if (actual !== wanted) throw new ToolError(`${what}: ${actual}, not ${wanted}`);
}

async function expectError(name, call) {
  let thrown;
  try {
    await call();
  } catch (error) {
    thrown = error;
  }
  expect(thrown?.name, name, "the error's name");
  return thrown;
}

async function* generate(end) {
  for (let i = 0; i < end; i++) {
    if (i % 4 === 0) await turn();
    yield i;
  }
}

const triangle = (end) => (end * (end - 1)) / 2;

/** [how often, what]: each checks its own result. `any(n)` is a random integer below n. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a table
function kindsOfWork(work) {
  return {
    call: [
      8,
      (any) => expect(work.echo([any(1e6), "text", null, { a: 2n ** 70n }]).length, 4, "call"),
    ],
    bytes: [4, (any) => expect(work.echo(new Uint8Array(any(50_000))).nbytes >= 0, true, "bytes")],
    proxy: [8, (any) => expect(work.Thing(any(9)).other().other().value < 9, true, "proxy")],
    coroutine: [8, async (any) => expect(await work.nap(any(4) / 1000, 7), 7, "coroutine")],
    promises: [
      4,
      async (any) => {
        const promises = Array.from({ length: any(20) }, (_, i) => wait(any(3)).then(() => i));
        expect(await work.several(promises), triangle(promises.length), "promises");
      },
    ],
    callback: [
      4,
      (any) => {
        const times = any(20);
        expect(
          work.call_back((number) => number, times),
          triangle(times),
          "callback",
        );
      },
    ],
    threads: [2, async () => expect(await work.in_threads((number) => number, 3), 30, "threads")],
    thread: [1, async () => expect(await work.own_thread((number) => number + 1), 21, "thread")],
    exception: [
      4,
      async (any) => {
        const error = await expectError("ValueError", () => work.fail(`text ${any(1000)}`));
        expect(error.cause.name, "KeyError", "cause");
      },
    ],
    jsError: [
      4,
      async () => {
        const thrown = new RangeError("thrown");
        const caught = await expectError("RangeError", () =>
          work.call_back(() => {
            throw thrown;
          }, 1),
        );
        expect(caught, thrown, "the same error");
      },
    ],
    generator: [
      2,
      async (any) => {
        const end = any(40);
        let sum = 0;
        for await (const item of work.count(end)) sum += item;
        expect(sum, triangle(end), "generator");
      },
    ],
    leftEarly: [
      2,
      async () => {
        for await (const item of work.count(50)) if (item === 7) break;
      },
    ],
    stream: [
      2,
      async (any) => {
        const end = any(40);
        expect(await work.add(generate(end)), triangle(end), "stream");
      },
    ],
    cancel: [
      4,
      async (any) => {
        const controller = new AbortController();
        const call = work.nap.$with({ signal: controller.signal })(60, 0);
        setTimeout(() => controller.abort(), any(3));
        await expectError("AbortError", () => call);
      },
    ],
    timeout: [
      2,
      (any) =>
        expectError("PythonTimeoutError", () => work.nap.$with({ timeout: 1 + any(3) })(60, 0)),
    ],
    sockets: [
      2,
      async (any) => {
        const size = 1 + any(100_000);
        expect(await work.serve(new Uint8Array(size)), size, "sockets");
      },
    ],
    worker: [
      0.02,
      async () => {
        const worker = new Worker(new URL("../test/soak/worker.mjs", import.meta.url));
        const [message] = await once(worker, "message");
        expect(message, 42, "Worker");
        await worker.terminate();
      },
    ],
  };
}

function chooser(kinds, next) {
  const table = Object.values(kinds);
  const total = table.reduce((sum, [weight]) => sum + weight, 0);
  return () => {
    let left = next() * total;
    return table.find(([weight]) => {
      left -= weight;
      return left < 0;
    })[1];
  };
}

function median(values) {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}

/** How much more the last third is than the first: medians, so that one busy moment does not count. */
function growth(samples) {
  const third = Math.ceil(samples.length / 3);
  return median(samples.slice(-third)) - median(samples.slice(0, third));
}

function resources(py) {
  return {
    ...py.counters(),
    descriptors: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    tasks: py.evalSync("len(a.all_tasks(a.get_event_loop()))", { a: py.import("asyncio") }),
  };
}

async function settle(collect) {
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    collect();
    await turn();
  }
}

/** What is above its start; waits for what ends by itself (a thread's exit, a closing handle). */
async function leftOver(py, collect, before) {
  for (const end = performance.now() + 10_000; ; await wait(50)) {
    await settle(collect);
    const now = resources(py);
    const more = Object.keys(before).filter((kind) => now[kind] > before[kind]);
    if (more.length === 0 || performance.now() > end) {
      return more.map((kind) => `${kind}: ${before[kind]} at the start, ${now[kind]} at the end`);
    }
  }
}

async function soak({ minutes, seed, python, only }) {
  if (globalThis.gc === undefined) throw new ToolError("run it with node --expose-gc");
  const { Python } = await import("coloop");
  const py = await Python.start({ ...(python && { python }) });
  py.execSync("import sys; sys.path.insert(0, folder)", {
    folder: path.join(root, "test", "soak"),
  });
  const work = py.import("work");
  const collect = py.import("gc").collect;
  await work.warm_executor(40);

  const next = random(seed);
  const any = (limit) => Math.floor(next() * limit);
  const names = only?.split(",");
  const kinds = Object.fromEntries(
    Object.entries(kindsOfWork(work)).filter(([name]) => names?.includes(name) ?? true),
  );
  const choose = chooser(kinds, next);
  const round = async () => {
    let left = perRound;
    const lane = async () => {
      while (left-- > 0) await choose()(any);
    };
    await Promise.all(Array.from({ length: atOnce }, lane));
    await settle(collect);
  };

  // A Task that waits for a thread alone does not keep Node alive.
  const alive = setInterval(() => {}, 60_000);
  const start = performance.now();
  const elapsed = () => (performance.now() - start) / 60_000;
  for (const [, once] of Object.values(kinds)) await once(any);
  while (elapsed() < minutes / 3) await round();
  const before = resources(py);
  const samples = [];
  while (elapsed() < minutes || samples.length < 9) {
    await round();
    samples.push(process.memoryUsage.rss());
  }
  const problems = await leftOver(py, collect, before);
  const grown = growth(samples);
  if (grown > growthLimit) problems.push(`memory grew by ${(grown / megabyte).toFixed(1)} MB`);
  console.log(
    `[coloop] soak: seed ${seed}, ${samples.length * perRound} pieces of work after the warm-up, ` +
      `memory ${(samples.at(-1) / megabyte).toFixed(0)} MB (${(grown / megabyte).toFixed(1)} MB more)`,
  );
  clearInterval(alive);
  await py.close();
  if (problems.length > 0) throw new ToolError(`soak failed:\n  ${problems.join("\n  ")}`);
}

await main(async () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: "string", default: "10" },
      seed: { type: "string", default: String(Date.now() % 1e9) },
      python: { type: "string" },
      only: { type: "string" },
    },
  });
  try {
    await soak({ ...values, minutes: Number(values.minutes), seed: Number(values.seed) });
  } catch (error) {
    console.error("[coloop]", error);
    process.exit(1); // whatever still runs
  }
});
