// What the soak's Workers do until they are terminated.
import { parentPort } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start();
const asyncio = py.import("asyncio");
for (let i = 0; i < 20; i++) asyncio.sleep(60).catch(() => {});
py.eval("await promise", { promise: new Promise(() => {}) }).catch(() => {});
setInterval(() => asyncio.sleep(0).catch(() => {}), 1);
parentPort.postMessage(py.evalSync("6 * 7"));
