// A policy of one's own: allowed, denied, tightened. In a process of its own, since nothing loosens it.

import { once } from "node:events";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Python } from "../../src/index.js";

const sandbox = {
  allow: ["subprocess", "socket.getaddrinfo"],
  deny: ["network", "open/write", "cffi"],
};

let py: Python;

beforeAll(async () => {
  // A policy that is not valid starts nothing: the next start is the first.
  await expect(Python.start({ sandbox: { deny: ["netwrk"] } })).rejects.toMatchObject({
    code: "ERR_COLOOP_POLICY",
    message: expect.stringContaining('no event or group "netwrk"; near it are: network'),
  });
  py = await Python.start({ sandbox });
});

afterAll(() => py.close());

test.each([
  [
    { sandbox: { alow: ["os.fork"] } },
    /has no option "alow"; it has: preset, allow, deny, rules, watch, onEvent/,
  ],
  [{ sandbox: { allow: "os.fork" } }, /must be an array of strings/],
  [{ sandbox: { deny: [1] } }, /must be an array of strings/],
  [{ sandbox: true }, /must be an object/],
])("start(%j) is an error", async (options, message) => {
  await expect(Python.start(options as never)).rejects.toMatchObject({
    code: "ERR_COLOOP_ARGUMENT",
    message: expect.stringMatching(message),
  });
});

test("the same policy in another order is the same handle", async () => {
  const reversed = { allow: sandbox.allow.toReversed(), deny: [...sandbox.deny, "cffi"] };
  expect(await Python.start({ sandbox: reversed })).toBe(py);
});

test("no policy is the same handle", async () => {
  expect(await Python.start()).toBe(py);
  expect(await Python.start({ sandbox: { onEvent: () => undefined } })).toBe(py);
});

test("another policy is an error", async () => {
  await expect(Python.start({ sandbox: { deny: ["network"] } })).rejects.toMatchObject({
    code: "ERR_COLOOP_POLICY",
    message: expect.stringMatching(/one sandbox policy, set by its first start: start Python here/),
  });
});

test.each([
  ["the same policy", sandbox, "sandboxed: True"],
  ["none", {}, "sandboxed: True"],
  ["another", { allow: ["signals"] }, "ERR_COLOOP_POLICY"],
])("a Worker with options of %s", async (_, options, expected) => {
  const code = `
    const { parentPort, workerData } = require("node:worker_threads");
    import(workerData.library)
      .then(({ Python }) => Python.start({ sandbox: workerData.options }))
      .then(
        (py) => "sandboxed: " + py.evalSync("str(__import__('coloop._sandbox')._sandbox.is_sandboxed())"),
        (error) => error.code,
      )
      .then((answer) => parentPort.postMessage(answer));
  `;
  const library = new URL("../../dist/index.js", import.meta.url).href;
  const worker = new Worker(code, { eval: true, workerData: { library, options } });
  const [answer] = await once(worker, "message");
  expect(answer).toBe(expected);
  await worker.terminate();
});

test("what is denied is refused", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  expect(() =>
    py.execSync("import socket; socket.create_connection(('127.0.0.1', port))", { port }),
  ).toThrow("socket.connect is blocked in Node.js host context. The sandbox policy denies it.");
  server.close();
});

test("an event's own name counts more than its group", () => {
  expect(py.evalSync("len(__import__('socket').getaddrinfo('127.0.0.1', 80)) > 0")).toBe(true);
  expect(() => py.evalSync("__import__('socket').gethostname()")).toThrow(
    /^socket\.gethostname is/,
  );
});

test("files can be read and not written", () => {
  const file = path.join(tmpdir(), "coloop-sandbox-written");
  expect(() => py.evalSync("open(file, 'w')", { file })).toThrow(/^open\/write is blocked/);
  expect(() => py.evalSync("open(file, 'a')", { file })).toThrow(/^open\/write is blocked/);
  expect(() => py.evalSync("open(file, 'x')", { file })).toThrow(/^open\/write is blocked/);
  expect(() => py.execSync("import os; os.open(file, os.O_RDWR | os.O_CREAT)", { file })).toThrow(
    /^open\/write is blocked/,
  );
  expect(py.evalSync("len(open('/proc/self/stat').read()) > 0")).toBe(true);
});

test("a denied module is an ImportError", () => {
  py.execSync("try: import _cffi_backend\nexcept ImportError as e: cffi = str(e)");
  expect(py.evalSync("cffi")).toMatch(/^import\/_cffi_backend is blocked/);
});

test("allowed processes run until the policy is tightened", () => {
  py.execSync("import subprocess\nfrom coloop import _sandbox");
  const run = "subprocess.run(['echo', 'hello'], stdout=subprocess.PIPE).stdout.decode()";
  expect(py.evalSync(run)).toBe("hello\n");
  py.execSync("_sandbox.tighten(['subprocess'])");
  expect(() => py.evalSync(run)).toThrow(/^subprocess\.Popen is blocked/);
  expect(() => py.execSync("import _posixsubprocess; _posixsubprocess.fork_exec()")).toThrow(
    /^_posixsubprocess\.fork_exec is blocked/,
  );
});
