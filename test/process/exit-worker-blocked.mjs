// A Worker sleeps in C code that keeps the GIL, and nothing interrupts it: the process ends all the same, when the
// grace is over.
// exit: 3
// within: 5000
import { once } from "node:events";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start(isMainThread ? { exitGrace: 300 } : {});
if (isMainThread) {
  await once(new Worker(new URL(import.meta.url)), "message");
  console.log("pass");
  process.exit(3);
}
py.register("ready", () => parentPort.postMessage("ready"));
py.execSync("import coloop, ctypes\ncoloop.call('ready')\nctypes.PyDLL(None).sleep(60)");
