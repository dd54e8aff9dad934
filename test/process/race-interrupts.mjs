// Time-outs and interrupts race with the ends of calls. Every call has its own result or its own error;
// what has no limit is never hit; every interrupt that was promised comes; what never ends is stopped.
// A sample; COLOOP_RACES=1000000 is the whole, COLOOP_SEED another order.
// within: 110000
import { fileURLToPath } from "node:url";
import { isMainThread, Worker, workerData } from "node:worker_threads";
import { Python } from "coloop";
import { random } from "./random-helpers.mjs";

const races = Number(process.env["COLOOP_RACES"] ?? 15_000);
const chance = random(isMainThread ? Number(process.env["COLOOP_SEED"] ?? 1) : workerData.seed);

const code = `
import asyncio
def work(value, turns):
    for _ in range(turns):
        pass
    return value
async def task(value, turns, pause):
    work(value, turns)
    await asyncio.sleep(pause)
    work(value, turns)
    return value
def spin():
    while True:
        pass
`;

const counts = { values: 0, timeouts: 0, interrupts: 0, endless: 0, tasks: 0 };
const wrong = [];
const fail = (text) => {
  if (wrong.push(text) > 10) throw new Error(wrong.join("; "));
};

function raceOne(py, value) {
  const turns = Math.floor(chance() * 8000);
  const dice = chance();
  if (dice < 0.3) {
    if (py.globals.work(value, turns) !== value) fail("a call without a limit");
    counts.values += 1;
    return;
  }
  const endless = dice > 0.995;
  const timeout = chance() * 0.3;
  const start = performance.now();
  try {
    const result = endless
      ? py.globals.spin.$with({ timeout })()
      : py.globals.work.$with({ timeout })(value, turns);
    if (result !== value) fail(`another call's value: ${result}`);
    counts.values += 1;
  } catch (error) {
    if (error.name !== "PythonTimeoutError") fail(`the error is ${error.name}`);
    if (performance.now() - start < timeout) fail("a time-out before its time");
    counts[endless ? "endless" : "timeouts"] += 1;
  }
}

async function raceTasks(py, value) {
  const one = async (id, timeout) => {
    const turns = Math.floor(chance() * 8000);
    const call = timeout === undefined ? py.globals.task : py.globals.task.$with({ timeout });
    try {
      if ((await call(id, turns, chance() * 0.0005)) !== id) fail("another Task's value");
    } catch (error) {
      if (timeout === undefined) fail(`a Task without a limit: ${error.name}`);
      if (error.name !== "PythonTimeoutError") fail(`the Task's error is ${error.name}`);
    }
    counts.tasks += 1;
  };
  const all = [];
  for (let i = 0; i < 10; i++) all.push(one(value + i, i % 2 === 0 ? chance() * 2 : undefined));
  await Promise.all(all);
}

// A Worker interrupts the main thread whenever it likes; each time it was told that it had, it waits
// until a call has ended so. Without an error of a call it would wait for ever.
async function raceInterrupts(py, turns) {
  const shared = new Int32Array(new SharedArrayBuffer(12)); // errors, promised, stop
  const seed = Math.floor(chance() * 2 ** 31);
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { shared, seed } });
  await new Promise((resolve) => worker.once("message", resolve));
  for (let i = 0; i < turns; i++) {
    try {
      if (py.globals.work(i, Math.floor(chance() * 8000)) !== i) fail("another call's value");
    } catch (error) {
      if (error.name !== "PythonInterruptedError") fail(`the error is ${error.name}`);
      counts.interrupts += 1;
      Atomics.add(shared, 0, 1);
      Atomics.notify(shared, 0);
    }
  }
  Atomics.store(shared, 2, 1);
  Atomics.notify(shared, 0);
  await new Promise((resolve) => worker.once("exit", resolve));
  const [errors, promised] = shared;
  if (errors !== promised) fail(`${promised} interrupts were promised, ${errors} came`);
}

async function interrupter(py) {
  const { shared } = workerData;
  const { parentPort } = await import("node:worker_threads");
  parentPort.postMessage("ready");
  while (Atomics.load(shared, 2) === 0) {
    const before = Atomics.load(shared, 0);
    if (!py.interrupt({ threadId: 0 })) continue;
    Atomics.add(shared, 1, 1);
    while (Atomics.load(shared, 0) === before) {
      if (Atomics.wait(shared, 0, before, 5000) === "timed-out") return;
    }
    for (let pause = chance() * 20_000; pause > 0; pause--);
  }
}

const py = await Python.start();
if (isMainThread) {
  py.execSync(code);
  for (let i = 0; i < races * 0.6; i++) raceOne(py, i);
  for (let i = 0; i < races * 0.2; i += 10) await raceTasks(py, i);
  await raceInterrupts(py, races * 0.2);
  if (Object.values(counts).some((count) => count === 0)) fail("not every race was run");
  console.log(JSON.stringify(counts));
  console.log(wrong.length === 0 ? "pass" : wrong.join("; "));
} else {
  await interrupter(py);
}
await py.close();
