// Python in Workers beside Python on the main thread. (How Workers end is test/process's business.)

import { once } from "node:events";
import { existsSync } from "node:fs";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { startPython } from "../fixtures/py2/start.js";

const py = await startPython();
const dist = path.join(import.meta.dirname, "..", "..", "dist", "index.js");
const folder = path.join(import.meta.dirname, "..", "fixtures", "py2");
if (!existsSync(dist)) throw new Error("dist/index.js is missing: run `npm run build`");

/** Runs the body of an async function in a Worker, with `py`, `Python`, `input`; its result. */
async function inWorker<T>(body: string, input?: unknown): Promise<T> {
  const source = `
    const { parentPort, workerData } = require("node:worker_threads");
    const { dist, folder, input } = workerData;
    (async () => {
      const { Python, kw } = await import(dist);
      const py = await Python.start();
      py.execSync("import sys\\nif folder not in sys.path: sys.path.insert(0, folder)", { folder });
      try {
        return { value: await (async () => { ${body} })() };
      } finally {
        await py.close();
      }
    })().catch((error) => ({ error: String(error?.stack ?? error) }))
      .then((message) => parentPort.postMessage(message));
  `;
  const worker = new Worker(source, { eval: true, workerData: { dist, folder, input } });
  const exit = once(worker, "exit");
  const [message] = (await once(worker, "message")) as [{ value: T; error?: string }];
  const [code] = await exit;
  expect(code).toBe(0);
  if (message.error !== undefined) throw new Error(message.error);
  return message.value;
}

describe("a Worker's own Python", () => {
  test("synchronous calls", async () => {
    expect(await inWorker("return py.evalSync('6 * 7')")).toBe(42);
    expect(await inWorker("return py.import('math').factorial(20)")).toBe(2432902008176640000n);
  });

  test("coroutines and promises, on the Worker's loop", async () => {
    const seen = await inWorker(`
      const mod = py.import("seam_promise");
      const late = new Promise((resolve) => setTimeout(resolve, 5, "late"));
      return Promise.all([mod.add(1, 2), mod.later(0.005, "slept"), mod.wait_for_it(late)]);
    `);
    expect(seen).toEqual([3, "slept", "late"]);
  });

  test("its hosted loop is another than the main thread's", async () => {
    const ids = await inWorker<string[]>(`
      const id = "__import__('builtins').id(__import__('asyncio').get_event_loop())";
      return [String(py.evalSync(id)), py.import("seam_loop").running(), py.loop.$repr()];
    `);
    expect(ids[0]).not.toBe(
      String(py.evalSync("__import__('builtins').id(__import__('asyncio').get_event_loop())")),
    );
    expect(ids.slice(1)).toEqual(["none", expect.stringMatching(/hosted running=True/)]);
  });

  test("the interpreter and its modules are shared", async () => {
    const mod = py.import("seam_lifetime");
    mod.shared = 17;
    expect(await inWorker("return py.import('seam_lifetime').shared")).toBe(17);
    await inWorker("py.import('seam_lifetime').shared += 1");
    expect(mod.shared).toBe(18);
  });

  test("the namespace of eval and exec is its own", async () => {
    py.execSync("of_main = 1");
    expect(await inWorker("return py.evalSync(\"'of_main' in globals()\")")).toBe(false);
    await inWorker("py.execSync('of_worker = 1')");
    expect(py.evalSync("'of_worker' in globals()")).toBe(false);
  });

  test("registered names are its own", async () => {
    py.register("whose", () => "main");
    const seen = await inWorker<string>(`
      py.register("whose", () => "worker");
      return py.evalSync("__import__('coloop').whose()");
    `);
    expect(seen).toBe("worker");
    expect(py.evalSync("__import__('coloop').whose()")).toBe("main");
    py.unregister("whose");
  });

  test("errors, streams, abort signals", async () => {
    const seen = await inWorker<unknown[]>(`
      const name = (promise) => promise.then(() => "none", (error) => error.name + ": " + error.message);
      const items = [];
      for await (const item of py.import("seam_stream").count(5)) items.push(item);
      const controller = new AbortController();
      setTimeout(() => controller.abort(), 5);
      return [
        await name(py.import("seam_promise").fail_later("in a Worker")),
        items,
        (await name(py.import("seam_cancel").sleeper.$with({ signal: controller.signal })())).split(":")[0],
      ];
    `);
    expect(seen).toEqual(["ValueError: in a Worker", [1, 2, 3, 4, 5], "AbortError"]);
  });

  test("threads and executors call its JavaScript, not the main thread's", async () => {
    const seen = await inWorker<unknown[]>(`
      const { threadId } = require("node:worker_threads");
      const mod = py.import("seam_loop");
      return [await mod.to_thread(() => threadId) === threadId, await mod.run_threadsafe()];
    `);
    expect(seen).toEqual([true, 42]);
  });

  test("sockets", async () => {
    const answer = await inWorker<string>(`
      const net = require("node:net");
      const { buffer } = require("node:stream/consumers");
      const server = py.import("seam_network").echo.$with({ ref: true })();
      const port = await server.start();
      const socket = net.connect(port, "127.0.0.1");
      socket.end("through a Worker");
      const text = (await buffer(socket)).toString();
      await server.close();
      return text;
    `);
    expect(answer).toBe("through a Worker");
  });

  test("coloop.run inside a synchronous call", async () => {
    expect(await inWorker("return py.import('seam_loop').coloop_run(40, 2)")).toBe(42);
    py.import("seam_loop").take_log();
  });

  test("close and start again inside one Worker", async () => {
    const seen = await inWorker<unknown>(`
      await py.close();
      const again = await Python.start();
      const value = await again.eval("await __import__('asyncio').sleep(0, 5)");
      await again.close();
      return value;
    `);
    expect(seen).toBe(5);
  });

  test("a Worker inside a Worker", async () => {
    const seen = await inWorker<unknown>(
      `
      const { Worker } = require("node:worker_threads");
      const { once } = require("node:events");
      const worker = new Worker(input, { eval: true, workerData: dist });
      const [message] = await once(worker, "message");
      return message;
    `,
      `const { parentPort, workerData } = require("node:worker_threads");
       import(workerData).then(({ Python }) => Python.start()).then(async (py) => {
         parentPort.postMessage(py.evalSync("'inner'"));
         await py.close();
       });`,
    );
    expect(seen).toBe("inner");
  });
});

describe("at once", () => {
  test("four Workers and the main thread", async () => {
    const body = `
      let sum = 0;
      for (let i = 0; i < 300; i++) sum += await py.import("seam_promise").turns(i % 3, i);
      return sum;
    `;
    const workers = Array.from({ length: 4 }, () => inWorker<number>(body));
    let sum = 0;
    for (let i = 0; i < 300; i++) sum += await py.import("seam_promise").turns(i % 3, i);
    expect(await Promise.all([...workers, sum])).toEqual(Array(5).fill((300 * 299) / 2));
  });

  test("a Task of one thread's loop cannot be awaited on another's", async () => {
    const mod = py.import("seam_lifetime");
    mod.keep(py.loop.create_future.$with({ ref: true })());
    const seen = await inWorker<string>(`
      const kept = py.import("seam_lifetime");
      return py.eval("await m.kept[-1]", { m: kept }).then(() => "none", (error) => error.message);
    `);
    expect(seen).toMatch(/attached to a different loop/);
    mod.drop();
  });

  test("an exception of one thread in another", async () => {
    const mod = py.import("seam_lifetime");
    py.execSync("m.keep(ValueError('made by main'))", { m: mod });
    const seen = await inWorker<string>(`
      try {
        py.execSync("raise m.kept[-1]", { m: py.import("seam_lifetime") });
      } catch (error) {
        return error.message;
      }
    `);
    expect(seen).toBe("made by main");
    mod.drop();
  });

  test("a JavaScript function of the main thread, called by Python in a Worker", async () => {
    const mod = py.import("seam_lifetime");
    mod.keep((value: number) => value * 2);
    expect(await inWorker("return py.import('seam_lifetime').call_kept(21)")).toBe(42);
    mod.drop();
  });
});

test("what is left when Workers have ended is what was there before", async () => {
  py.import("gc").collect();
  const before = py.counters();
  await Promise.all(Array.from({ length: 4 }, () => inWorker("return 1")));
  py.import("gc").collect();
  const after = py.counters();
  for (const kind of ["loops", "uvHandles", "watches", "deferreds", "pyProxies"]) {
    expect({ [kind]: (after[kind] as number) <= (before[kind] as number) }).toEqual({
      [kind]: true,
    });
  }
});
