// How much faster two Workers compute with interpreters of their own than with the shared one, and
// than one alone: `node bench/own-interpreters.mjs` with COLOOP_PYTHON of 3.12 or newer.
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";

const rounds = 9;

async function serve() {
  const py = await Python.start({ interpreter: workerData });
  py.execSync(`
def compute(n):
    total = 0
    for i in range(n):
        total += i * i % 7
    return total
`);
  parentPort.on("message", (n) => {
    if (n === 0) parentPort.close();
    else parentPort.postMessage(py.globals.compute(n));
  });
  parentPort.postMessage("ready");
}

/** Milliseconds in which so many Workers compute the same at once: the fewest, others use the machine too. */
async function measure(interpreter, count, n) {
  const file = fileURLToPath(import.meta.url);
  const workers = Array.from(
    { length: count },
    () => new Worker(file, { workerData: interpreter }),
  );
  await Promise.all(workers.map((worker) => once(worker, "message")));
  const times = [];
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    for (const worker of workers) worker.postMessage(n);
    await Promise.all(workers.map((worker) => once(worker, "message")));
    times.push(performance.now() - start);
  }
  const exits = workers.map((worker) => once(worker, "exit"));
  for (const worker of workers) worker.postMessage(0);
  await Promise.all(exits);
  return Math.min(...times);
}

if (isMainThread) {
  const py = await Python.start();
  const n = 1_000_000;
  const one = await measure("own", 1, n);
  const shared = await measure("shared", 2, n);
  const own = await measure("own", 2, n);
  console.log(`Python ${py.version}: the same work twice, in milliseconds (best of ${rounds})`);
  console.log(`one Worker, once       ${one.toFixed(0)}`);
  console.log(`two Workers, "shared"  ${shared.toFixed(0)}`);
  console.log(
    `two Workers, "own"     ${own.toFixed(0)}  ${(shared / own).toFixed(2)} times as fast`,
  );
} else {
  await serve();
}
