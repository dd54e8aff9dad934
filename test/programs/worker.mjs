// uvicorn on the hosted loop of a Worker, until it is told to stop.
import { once } from "node:events";
import { parentPort, workerData } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start({ python: workerData.venv, signals: workerData.signals });
const running = py.import("program_fastapi").Running.$with({ ref: true })("httptools");
parentPort.postMessage(await running.start());
await once(parentPort, "message");
parentPort.postMessage(await running.stop());
await py.close();
