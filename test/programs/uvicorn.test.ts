// FastAPI on uvicorn, unmodified, on the hosted loop, asked by Node's own clients in the same process.

import { once } from "node:events";
import http from "node:http";
import { constants } from "node:os";
import { json, text } from "node:stream/consumers";
import { Worker } from "node:worker_threads";
import type { PyProxy } from "coloop";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { masks } from "../process/signal-helpers.mjs";
import { startPrograms, venv } from "./start.js";

const py = await startPrograms();
const fastapi = py.import("program_fastapi");

interface Closed {
  code: number;
  reason: string;
}

describe.each(["h11", "httptools"])("with %s", (parser) => {
  const running = fastapi.Running.$with({ ref: true })(parser) as PyProxy;
  const listeners = process.listenerCount("SIGINT");
  let port = 0;
  const url = (path: string) => `http://127.0.0.1:${port}${path}`;

  beforeAll(async () => {
    port = (await running.start()) as number;
  });
  afterAll(async () => {
    const log = (await running.stop()) as string[];
    expect(log.at(0)).toBe("startup");
    expect(log.at(-1)).toBe("shutdown");
    expect(process.listenerCount("SIGINT")).toBe(listeners);
  });

  test("it is this parser", () => {
    expect((running.parser as string).toLowerCase()).toContain(parser);
  });

  test("fetch: JSON, validation, an error's status, a handler in a thread", async () => {
    const post = (body: unknown) =>
      fetch(url("/items"), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
    expect(await (await post({ name: "one", price: 1.5 })).json()).toEqual({
      name: "one",
      twice: 3,
    });
    expect((await post({ name: "one" })).status).toBe(422);
    expect((await fetch(url("/fail"))).status).toBe(418);
    expect(await (await fetch(url("/blocking"))).json()).toBe("from a thread");
  });

  test("fetch: 100 at once, streamed answers", async () => {
    const whole = Array.from({ length: 40 }, (_, i) => `${i}\n`).join("");
    const texts = await Promise.all(
      Array.from({ length: 100 }, async () => (await fetch(url("/stream?to=40"))).text()),
    );
    expect(new Set(texts)).toEqual(new Set([whole]));
  });

  test("node:http: keep-alive uses one connection, Expect: 100-continue, a body in parts", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set<number | undefined>();
    for (let i = 0; i < 20; i++) {
      const request = http.request(url("/length"), {
        agent,
        method: "POST",
        headers: { expect: "100-continue" },
      });
      request.flushHeaders();
      await once(request, "continue");
      const answered = once(request, "response") as Promise<[http.IncomingMessage]>;
      for (let part = 0; part < 5; part++) request.write("x".repeat(i * 1000));
      request.end();
      const [response] = await answered;
      ports.add(request.socket?.localPort);
      expect(await json(response)).toBe(i * 5000);
    }
    expect(ports.size).toBe(1);
    agent.destroy();
  });

  test("node:http: pipelined requests are answered in order", async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const bodies = await Promise.all(
      [3, 1, 2].map(async (to) => {
        const request = http.get(url(`/stream?to=${to}`), { agent });
        const [response] = (await once(request, "response")) as [http.IncomingMessage];
        return text(response);
      }),
    );
    expect(bodies).toEqual(["0\n1\n2\n", "0\n", "0\n1\n"]);
    agent.destroy();
  });

  test("a client that aborts a stream: the server goes on", async () => {
    const controller = new AbortController();
    const response = await fetch(url("/stream?to=1000000000"), { signal: controller.signal });
    const reader = (response.body as ReadableStream).getReader();
    await reader.read();
    controller.abort();
    await expect(reader.read()).rejects.toThrow(/abort/i);
    expect((await fetch(url("/fail"))).status).toBe(418);
  });

  test("Node's WebSocket", async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/shout`, "shout");
    await once(socket, "open");
    expect(socket.protocol).toBe("shout");
    const answers: string[] = [];
    socket.addEventListener("message", ({ data }) => answers.push(data as string));
    const closed = once(socket, "close") as unknown as Promise<[Closed]>;
    for (let i = 0; i < 100; i++) socket.send(`text ${i}`);
    socket.send("close");
    const [{ code, reason }] = await closed;
    expect(answers).toEqual(Array.from({ length: 100 }, (_, i) => `TEXT ${i}`));
    expect([code, reason]).toEqual([4001, "asked for"]);
  });
});

test.each([
  ["this thread", () => fastapi.run_on_own_loop()],
  [
    "a thread of Python's",
    () =>
      py.eval("await __import__('asyncio').to_thread(run)", {
        run: fastapi.$attr("run_on_own_loop"),
      }),
  ],
])("uvicorn.run with coloop's loop factory, on %s", async (_where, run) => {
  const expected = ["ErlangEventLoop", "0\n1\n2\n", ["startup", "shutdown"]];
  expect(await run()).toEqual(expected);
});

test("SIGINT ends the server in good order; Node.js hears it, and has its dispositions back", async () => {
  let heard = 0;
  const listener = () => {
    heard += 1;
  };
  process.on("SIGINT", listener);
  const before = masks();
  const running = fastapi.Running.$with({ ref: true })("h11") as PyProxy;
  await running.start();
  const sigterm = 1n << BigInt(constants.signals.SIGTERM - 1); // uvicorn's alone, and caught for it
  expect(masks()).toEqual({ ...before, caught: before.caught | sigterm });
  process.kill(process.pid, "SIGINT");
  expect(await running.ended()).toEqual(["startup", "shutdown"]);
  // uvicorn raises it once more when it has ended, for whoever is there besides.
  while (heard < 2) await once(process, "SIGINT");
  expect(masks()).toEqual(before);
  process.off("SIGINT", listener);
});

test("in a Worker, asked from the main thread", async () => {
  const worker = new Worker(new URL("worker.mjs", import.meta.url), {
    workerData: { venv, signals: "host" },
  });
  const exited = once(worker, "exit"); // may come in the turn of the last message
  const [port] = (await once(worker, "message")) as [number];
  const answers = await Promise.all(
    Array.from({ length: 50 }, async () => {
      const response = await fetch(`http://127.0.0.1:${port}/stream?to=3`);
      return response.text();
    }),
  );
  expect(new Set(answers)).toEqual(new Set(["0\n1\n2\n"]));
  worker.postMessage("stop");
  const [log] = (await once(worker, "message")) as [string[]];
  expect(log).toEqual(["startup", "shutdown"]);
  expect((await exited)[0]).toBe(0);
});
