// A Worker with an interpreter of its own: runs the function whose source it gets. See own-helpers.mjs.
import assert from "node:assert/strict";
import { parentPort, threadId, workerData } from "node:worker_threads";
import * as coloop from "coloop";
import { catchEverything } from "./catching-helpers.mjs";

const { task, input, options } = workerData;
try {
  const py = await coloop.Python.start({ interpreter: "own", ...options });
  const tell = (message) => parentPort.postMessage({ told: message });
  const tools = { ...coloop, py, assert, threadId, tell, catchEverything };
  // biome-ignore lint/security/noGlobalEval: of a function of the script that started this Worker
  const value = await globalThis.eval(task)(tools, input);
  parentPort.postMessage({ value });
} catch (error) {
  parentPort.postMessage({ error: String(error?.stack ?? error) });
}
