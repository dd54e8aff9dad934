// process.exit while a Worker is inside a Python call that does not return by itself.
// within: 15000
import { Python } from "coloop";
import { startWorker } from "./worker-helpers.mjs";

const py = await Python.start();
py.execSync("import atexit\natexit.register(lambda: print('pass'))");
await startWorker("spin");
process.exit(0);
