// process.exit while Workers compute, sleep and wait in Python.
// noise: ^Exception in callback[\s\S]*KeyboardInterrupt|^Exception ignored in[\s\S]*KeyboardInterrupt|the JavaScript environment is ending|coroutine '\S+' was never awaited
// within: 15000
import { Python } from "coloop";
import { startWorker } from "./worker-helpers.mjs";

const py = await Python.start();
py.execSync("import atexit\natexit.register(lambda: print('pass'))");
await Promise.all(["busy", "tasks", "sockets", "threads", "promise"].map(startWorker));
process.exit(0);
