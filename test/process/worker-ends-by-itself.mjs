// A Worker with nothing left to do ends by itself, and process.exit in it ends only the Worker.
import { Python } from "coloop";
import { startWorker } from "./worker-helpers.mjs";

await Python.start();
const { message, exit } = await startWorker("answer");
const [code] = await exit;
console.log(code === 0 && message === 42 ? "pass" : [code, message]);
