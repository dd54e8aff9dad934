// `npm run test:orders [-- --runs 500] [--seed N] [--address] [--python X]`: processes that start Python, call it, spawn threads,
// open servers, interrupt, get signals, start, interrupt and terminate Workers (from Python 3.12 on half of them in
// interpreters of their own) and end, each in an order of its own
// (test/process/orders-script.mjs). Each must end as it said it would: its status, atexit once, no other word
// on stderr, and in time. One order again: `-- --runs 1 --seed N`; COLOOP_ORDERS_TRACE=1 prints its steps.

import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { line, none } from "./counts.mjs";
import { main, root, run, ToolError, timed } from "./run.mjs";

const limit = 20_000; // milliseconds; the longest grace at exit is 2 s

// A Worker that ends with a pending Task drops its coroutine, whose `finally` then waits in vain, or one that it has
// just made. An interrupt may hit a finalizer or a weak reference's callback, of which Python tells.
const known = [
  /^Exception ignored in: <coroutine object stubborn[^\n]*\n(?:.*\n)*?RuntimeError: no running event loop\n/gm,
  /^\S+ RuntimeWarning: coroutine '\S+' was never awaited\n {2}.*\n(?:RuntimeWarning: Enable tracemalloc .*\n)?/gm,
  /^Exception ignored in: .*\n(?:Traceback .*\n(?: {2}.*\n|\n)*)?KeyboardInterrupt(?:: )?\n+/gm,
];

/** What is wrong with the end of a process, as a list of texts. */
export function judge({ code, signal, stdout, stderr }) {
  const found = /^promise (\{.*\})$/m.exec(stdout);
  if (!found) return [`ended before it said how: status ${signal ?? code}`];
  const promise = JSON.parse(found[1]);
  const wrong = promise.wanted.map((what) => `a step failed: ${what}`);
  const end = signal ?? code;
  const wanted = promise.signal ?? promise.code;
  if (end !== wanted) wrong.push(`ended with ${end}, not ${wanted}`);
  const atexit = stdout.split("\n").filter((text) => text === "atexit").length;
  if (atexit !== promise.atexit) wrong.push(`atexit ran ${atexit} times, not ${promise.atexit}`);
  const rest = known.reduce((text, pattern) => text.replace(pattern, ""), stderr);
  if (promise.stderr === null && rest !== "") wrong.push("there is something on stderr");
  if (promise.stderr !== null && !stderr.includes(promise.stderr)) {
    wrong.push(`stderr lacks ${promise.stderr}`);
  }
  if (/Sanitizer|Fatal Python error|FATAL ERROR/.test(stderr)) wrong.push("it crashed");
  return wrong;
}

async function runOne(seed, { folder, env, nodeOptions, slower }) {
  const script = path.join(folder, "orders-script.mjs");
  const start = performance.now();
  const result = await run(process.execPath, [...nodeOptions, script, String(seed)], {
    capture: true,
    env,
    timeout: limit * slower,
  });
  const wrong = judge(result);
  if (performance.now() - start > limit * slower) wrong.push("it hung");
  if (wrong.length === 0) return true;
  console.log(`FAILED: seed ${seed}: ${wrong.join("; ")}\n${result.stdout}${result.stderr}`);
  return false;
}

/** Runs `runs` orders from `seed` on, as many at once as there are cores; returns the counts. */
export async function testOrders({ runs, seed, python, variant = {} }) {
  const how = {
    folder: path.join(root, "test", "process"),
    nodeOptions: [],
    slower: 1,
    ...variant,
  };
  how.env = { ...how.env, ...(python && { COLOOP_PYTHON: python }) };
  const counts = { ...none };
  let next = seed;
  const worker = async () => {
    while (next < seed + runs) counts[(await runOne(next++, how)) ? "passed" : "failed"] += 1;
  };
  await timed(`orders: ${runs} from seed ${seed}`, () =>
    Promise.all(Array.from({ length: os.availableParallelism() }, worker)),
  );
  return counts;
}

/** A whole number from 1, from the option of that name. */
function whole(values, name) {
  const number = Number(values[name]);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new ToolError(`--${name} takes a whole number from 1, not ${values[name]}`);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const { values } = parseArgs({
      options: {
        runs: { type: "string", default: "500" },
        seed: { type: "string", default: String(1 + Math.floor(Math.random() * 1e6)) },
        address: { type: "boolean" },
        python: { type: "string" },
      },
    });
    const orders = { runs: whole(values, "runs"), seed: whole(values, "seed") };
    const { python } = values;
    const { addressVariant } = await import("./sanitize.mjs");
    const variant = values.address ? await addressVariant(python) : {};
    const counts = await testOrders({ ...orders, ...(python && { python }), variant });
    console.log(line(counts));
    return counts.failed === 0 ? 0 : 1;
  });
}
