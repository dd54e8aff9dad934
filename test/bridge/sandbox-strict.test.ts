// The preset that denies everything but computing.

import { beforeAll, expect, test } from "vitest";
import { Python } from "../../src/index.js";

let py: Python;

beforeAll(async () => {
  await expect(Python.start({ sandbox: { preset: "strikt" as never } })).rejects.toThrow(
    /"preset" of Python\.start's sandbox must be "default" or "strict", not "strikt"/,
  );
  py = await Python.start({ sandbox: { preset: "strict", allow: ["time.sleep"] } });
});

test.each([
  "sum(range(10))",
  "__import__('json').loads('[1]')",
  "__import__('decimal').Decimal(2) ** 10",
  "__import__('statistics').mean([1, 2])",
  "__import__('re').sub('a', 'b', 'a')",
  "__import__('dataclasses').make_dataclass('A', ['b'])(1).b",
  "__import__('pickle').loads(__import__('pickle').dumps([1]))",
  "__import__('hashlib').sha256(b'').hexdigest()",
  "eval('1 + 1')",
  "__import__('time').sleep(0)",
])("%s is computing", (code) => {
  expect(() => py.evalSync(`str(${code})`)).not.toThrow();
});

test("coroutines run", async () => {
  expect(await py.eval("await __import__('asyncio').sleep(0, 7)")).toBe(7);
});

test.each([
  "asyncio.start_server(print, '127.0.0.1', 0)",
  "asyncio.get_running_loop().create_server(asyncio.Protocol, '::1', 0, start_serving=False)",
])("a server without sockets is no success: %s", async (code) => {
  await expect(py.eval(`(asyncio := __import__('asyncio')) and await ${code}`)).rejects.toThrow(
    /^socket\.__new__ is blocked/,
  );
});

test("threads are refused where Python has the event, from 3.12 on", () => {
  const start = () => py.evalSync("__import__('_thread').start_new_thread(int, ())");
  const [, minor] = py.version.split(".");
  if (Number(minor) >= 12) expect(start).toThrow(/^_thread\.start_new_thread is blocked/);
  else expect(start).not.toThrow();
});

test.each([
  ["open('/etc/hostname')", "open"],
  ["open('/tmp/coloop-strict', 'w')", "open/write"],
  ["os.listdir('/')", "os.listdir"],
  ["os.remove('/nowhere')", "os.remove"],
  ["os.kill(os.getpid(), 0)", "os.kill"],
  ["os.putenv('A', 'B')", "os.putenv"],
  ["os.fork()", "os.fork"],
  ["__import__('socket').socket()", "socket.__new__"],
  ["__import__('socket').getaddrinfo('localhost', 1)", "socket.getaddrinfo"],
  ["__import__('ctypes')", "ctypes.dlopen"],
  ["__import__('gc').get_objects()", "gc.get_objects"],
  ["__import__('sys').settrace(None)", "sys.settrace"],
])("%s is refused: %s", (code, event) => {
  expect(() => py.evalSync(`(os := __import__('os')) and ${code}`)).toThrow(
    expect.objectContaining({ message: expect.stringMatching(new RegExp(`^${event} is blocked`)) }),
  );
});
