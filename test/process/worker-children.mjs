// A Worker's loop has children too, which the main thread's Node.js runs; they are killed with the Worker.
// noise: ^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 20000
import { deepStrictEqual } from "node:assert/strict";
import { Python } from "coloop";
import { startWorker } from "./worker-helpers.mjs";

const py = await Python.start({ sandbox: { subprocess: () => true } });

function lives(pid) {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

for (let i = 0; i < 3; i++) {
  const { worker, message } = await startWorker("children");
  const [out, code, pid] = message;
  deepStrictEqual([out, code, lives(pid)], ["out\n", 3, true]);
  await worker.terminate();
  while (lives(pid)) await new Promise((resolve) => setTimeout(resolve, 1));
}
console.log(await py.eval("await __import__('asyncio').sleep(0, 'pass')"));
