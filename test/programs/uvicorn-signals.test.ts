// uvicorn as it is, which handles SIGINT and SIGTERM where it can, in a process that did not give Python any
// signals: refused with a word where to go, or without handlers. Node.js keeps its dispositions and listeners.

import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PyProxy } from "coloop";
import { afterAll, afterEach, beforeEach, expect, test } from "vitest";
import { masks } from "../process/signal-helpers.mjs";
import { startPrograms, venv } from "./start.js";

const py = await startPrograms({}, "refuse");
const fastapi = py.import("program_fastapi");

let heard = 0;
const listener = () => {
  heard += 1;
};
process.on("SIGINT", listener);
afterAll(() => process.off("SIGINT", listener));

const before = masks();
beforeEach(() => {
  heard = 0;
});
afterEach(async () => {
  await interrupt();
  expect(masks()).toEqual(before);
  expect(heard).toBe(1);
});

/** Sends a SIGINT that Node.js hears. */
async function interrupt(): Promise<void> {
  const came = once(process, "SIGINT");
  process.kill(process.pid, "SIGINT");
  await came;
}

const refused = expect.objectContaining({
  name: "RuntimeError",
  message:
    "signal.signal is blocked in Node.js host context. Signals and their handlers belong to Node.js. " +
    "Use py.onSignal() in JavaScript, which calls a JavaScript or Python function, or start Python " +
    'with signals: "host".',
});

async function answerOf(port: number): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${port}/stream?to=3`)).text();
}

test("Server.serve() on the hosted loop is refused", async () => {
  const running = fastapi.Running.$with({ ref: true })("h11") as PyProxy;
  await expect(running.start()).rejects.toEqual(refused);
  expect(running.server.started).toBe(false);
});

test("uvicorn.run() on this thread is refused", () => {
  const uvicorn = py.import("uvicorn");
  const app = fastapi.make_app.$with({ ref: true })() as PyProxy;
  const run = () => py.evalSync("uvicorn.run(app, port=0)", { uvicorn, app }, { timeout: 10_000 });
  expect(run).toThrow(refused);
});

test("Server.run() in a thread of Python's serves, and a SIGINT is Node's", async () => {
  const running = fastapi.Running.$with({ ref: true })("h11") as PyProxy;
  const ended = py.eval("await __import__('asyncio').to_thread(server.run)", {
    server: running.server,
  });
  const port = (await running.wait_for_port()) as number;
  expect(masks()).toEqual(before);
  await interrupt();
  heard = 0;
  expect(await answerOf(port)).toBe("0\n1\n2\n");
  running.server.should_exit = true;
  await ended;
  expect(running.app.state.log).toEqual(["startup", "shutdown"]);
});

test("Server.serve() in a Worker serves, and a SIGINT is Node's", async () => {
  const workerData = { venv, signals: "refuse" };
  const worker = new Worker(new URL("worker.mjs", import.meta.url), { workerData });
  const exited = once(worker, "exit"); // may come in the turn of the last message
  const [port] = (await once(worker, "message")) as [number];
  expect(masks()).toEqual(before);
  await interrupt();
  heard = 0;
  expect(await answerOf(port)).toBe("0\n1\n2\n");
  worker.postMessage("stop");
  expect((await once(worker, "message"))[0]).toEqual(["startup", "shutdown"]);
  expect((await exited)[0]).toBe(0);
});
