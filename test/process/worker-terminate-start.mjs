// Workers are terminated at every moment of their start.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 60000
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start();
const url = new URL("worker-script.mjs", import.meta.url);
for (let i = 0; i < 50; i++) {
  const worker = new Worker(url, { workerData: "tasks" });
  const exit = once(worker, "exit");
  await new Promise((resolve) => setTimeout(resolve, i * 5));
  await worker.terminate();
  await exit;
}
console.log(py.evalSync("'pass'"));
