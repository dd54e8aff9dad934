// A policy of one's own: allowed, denied, tightened. In a process of its own, since nothing loosens it.

import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
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
  [{ sandbox: { alow: ["os.fork"] } }, /has no option "alow"; it has: allow, deny/],
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

test("another policy is an error", async () => {
  await expect(Python.start({ sandbox: { deny: ["network"] } })).rejects.toMatchObject({
    code: "ERR_COLOOP_OTHER_INTERPRETER",
  });
});

test("what is denied is refused", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
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
