// 50 Workers one after the other start Python, use it and end; handles and loops do not pile up.
// within: 60000
import { Python } from "coloop";
import { startWorker, terminateDuring } from "./worker-helpers.mjs";

const py = await Python.start();
const before = py.counters();
for (let i = 0; i < 25; i++) {
  await terminateDuring("tasks");
  const { message, exit } = await startWorker("closes");
  await exit;
  if (message !== "ready") throw new Error(message);
}
py.import("gc").collect();
const after = py.counters();
const same = ["loops", "uvHandles", "watches", "timers", "deferreds"].every(
  (kind) => after[kind] <= before[kind],
);
console.log(same ? "pass" : [before, after]);
