// Latency of interrupts: from a call's time-out to its error, beside which Python computes, sleeps, waits
// for a lock or matches a regular expression; on the JavaScript thread and in a Worker. Prints a table;
// ends with status 1 if a bar is missed. A machine that has other work to do is late by itself: what a
// sleeping thread is late, beside one that computes, is measured first and allowed for.
//
//   node bench/interrupts.mjs [repetitions]

import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";

const bars = { "JavaScript thread": 10, Worker: 60 }; // ms, of the 99th percentile
const repetitions = Number(process.argv[2] ?? 300);
const timeout = 5;

const code = `
import re, threading, time
held = threading.Lock(); held.acquire()
def computes():
    while True: pass
def sleeps(): time.sleep(1e6)
def waits(): held.acquire()
def matches(): re.match(r"(a+)+$", "a" * 64 + "b")
async def is_a_task():
    while True: pass
`;
const breakable = ["computes", "is_a_task"]; // without signals
const names = isMainThread ? [...breakable, "sleeps", "waits", "matches"] : breakable;

/** How late this machine wakes a thread that sleeps. */
function machine(count) {
  const cell = new Int32Array(new SharedArrayBuffer(4));
  const late = [];
  for (let i = 0; i < count; i++) {
    const start = performance.now();
    Atomics.wait(cell, 0, 0, timeout);
    late.push(performance.now() - start - timeout);
  }
  return late.sort((a, b) => a - b);
}

async function measure(py, count) {
  py.execSync(code);
  const rows = [];
  for (const name of names) {
    const call = py.globals[name].$with({ timeout });
    const late = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      try {
        await call();
      } catch (error) {
        if (error.name !== "PythonTimeoutError") throw error;
      }
      late.push(performance.now() - start - timeout);
    }
    rows.push([name, late.sort((a, b) => a - b)]);
  }
  return rows;
}

const at = (late, part) => late[Math.min(late.length - 1, Math.floor(late.length * part))];

function show(place, name, late) {
  const numbers = [at(late, 0.5), at(late, 0.99), at(late, 1)].map((ms) =>
    ms.toFixed(2).padStart(9),
  );
  console.log(place.padEnd(20) + name.padEnd(12) + numbers.join(""));
}

function showAll(place, rows, allowance) {
  for (const [name, late] of rows) show(place, name, late);
  return rows.every(([, late]) => at(late, 0.99) - allowance <= bars[place]);
}

const py = await Python.start();
if (isMainThread) {
  console.log(
    `${"ms, late".padEnd(32)}${["median", "p99", "worst"].map((t) => t.padStart(9)).join("")}`,
  );
  const busy = new Worker("for (;;);", { eval: true });
  await once(busy, "online");
  const alone = machine(repetitions);
  await busy.terminate();
  show("this machine", "a timer", alone);
  const allowance = at(alone, 0.99);
  const own = showAll("JavaScript thread", await measure(py, repetitions), allowance);
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: repetitions });
  const [rows] = await once(worker, "message");
  const theirs = showAll("Worker", rows, allowance);
  if (!own || !theirs) process.exitCode = 1;
} else {
  parentPort.postMessage(await measure(py, workerData));
}
await py.close();
