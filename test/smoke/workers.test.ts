// Workers with a Python of their own beside the main thread's.

import { once } from "node:events";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { repository } from "../helpers/child.js";
import { startPython } from "../helpers/python.js";

const py = await startPython();
const index = path.join(repository, "dist", "index.js");

/** Runs the body of an async function, with `py`, in a Worker. */
function startWorker(body: string): Worker {
  const source = `
    const { parentPort, threadId } = require("node:worker_threads");
    (async () => {
      const { Python } = await import(${JSON.stringify(index)});
      const py = await Python.start();
      const value = await (async () => { ${body} })();
      await py.close();
      return value;
    })().then((value) => parentPort.postMessage({ value }), (error) => parentPort.postMessage({ error: String(error) }));`;
  return new Worker(source, { eval: true });
}

async function inWorker(body: string): Promise<unknown> {
  const worker = startWorker(body);
  const ended = once(worker, "exit");
  const [message] = (await once(worker, "message")) as [{ value: unknown; error?: string }];
  expect(message.error).toBeUndefined();
  expect(await ended).toEqual([0]);
  return message.value;
}

test("synchronous calls and coroutines", async () => {
  const body =
    "return [py.evalSync('2 ** 10'), await py.call('asyncio', 'sleep', [0.001, 'slept'])]";
  expect(await inWorker(body)).toEqual([1024, "slept"]);
});

test("names are its own, modules are shared", async () => {
  py.execSync("import math\nmath.mark = 1\nmine = 1");
  const body = "return [py.evalSync(\"'mine' in globals()\"), py.import('math').mark]";
  expect(await inWorker(body)).toEqual([false, 1]);
  py.execSync("del math.mark");
});

test("a registered function and a thread call that Worker's JavaScript", async () => {
  const body = `
    py.register("where", () => threadId);
    const here = await py.eval("await __import__('asyncio').to_thread(lambda: __import__('coloop').where())");
    return here === threadId;`;
  expect(await inWorker(body)).toBe(true);
});

test("errors have their name and message there", async () => {
  const body = "return py.eval('1 / 0').catch((error) => [error.name, error.message, error.code]);";
  expect(await inWorker(body)).toEqual([
    "ZeroDivisionError",
    "division by zero",
    "ERR_COLOOP_PYTHON",
  ]);
});

test("four at once, beside the main thread", async () => {
  const body =
    "let sum = 0; for (let i = 0; i < 200; i++) sum += await py.call('asyncio', 'sleep', [0, i]); return sum;";
  const all = [1, 2, 3, 4].map(() => inWorker(body));
  const own = py.call("asyncio", "sleep", [0.001, "own"]);
  expect(await Promise.all([...all, own])).toEqual([19900, 19900, 19900, 19900, "own"]);
});

test("one that is terminated while Python spins, with Tasks and a server open", async () => {
  const worker = startWorker(`
    await py.exec("import asyncio\\nserver = await asyncio.start_server(print, '127.0.0.1', 0)");
    void py.call("asyncio", "sleep", [60]).catch(() => {});
    parentPort.postMessage("spins");
    py.execSync("while True: pass");`);
  await once(worker, "message");
  await worker.terminate();
  expect(py.evalSync("1 + 1")).toBe(2);
});
