// Children that Node.js runs for Python: CPython's own `subprocess` in threads, and on the thread where it
// cannot work.

import { beforeEach, expect, test } from "vitest";
import type { SubprocessDecision, SubprocessRequest } from "../../src/index.js";
import { atLeast, checkLeaks, rejected, startPython } from "../helpers/python.js";

let decide: (request: SubprocessRequest) => SubprocessDecision = () => true;
let requests: SubprocessRequest[] = [];

const subprocess = (request: SubprocessRequest): SubprocessDecision => {
  requests.push(request);
  return decide(request);
};
const py = await startPython({ sandbox: { subprocess } });
const guide = py.import("children_guide");
const inThread = (name: string, ...args: unknown[]) =>
  guide.in_thread(guide.$attr(name, { ref: true }), ...args);
checkLeaks(py);

beforeEach(() => {
  decide = () => true;
  requests = [];
});

test("subprocess.run: streams and exit code", async () => {
  expect(await inThread("completed")).toEqual(["in", "err\n", 4]);
});

test("its relatives, and os.popen", async () => {
  expect(await inThread("convenience")).toEqual({
    ...{ call: 6, check_call: 5, check_output: "out\n", getoutput: "shell" },
    ...{ getstatusoutput: [2, "x"], popen: "popen\n" },
  });
});

test("os.waitpid and os.waitid see these children and no others", async () => {
  expect(await inThread("waits")).toEqual([[0, 0], 7, true, 7, 10]);
});

test("a time-out kills", async () => {
  expect(await inThread("timeout")).toContain("timed out after 0.0");
});

test("kill", async () => {
  expect(await inThread("killed")).toEqual([null, -9, -9]);
});

test("50 MB both ways", async () => {
  expect(await inThread("much", 50 * 2 ** 20)).toBe(true);
}, 60_000);

test("20 threads at once", async () => {
  const results = await Promise.all(Array.from({ length: 20 }, () => inThread("completed")));
  expect(results).toEqual(Array(20).fill(["in", "err\n", 4]));
});

test("only the descriptors that are to be inherited are", async () => {
  expect(await inThread("inherited")).toEqual([[false, true, true], [true, false], "xx"]);
  expect(requests.map(({ passFds }) => passFds.length)).toEqual([0, 1, 0]);
});

test("a session of its own", async () => {
  expect(await inThread("session")).toEqual(["True", "False"]);
});

test("what Node.js cannot do is refused by name", async () => {
  const no = (name: string) => `${name} is not supported for a child that Node.js runs`;
  expect(await inThread("refusals")).toEqual({
    preexec_fn: no("preexec_fn"),
    umask: no("umask"),
    extra_groups: no("extra_groups"),
    restore_signals: no("restore_signals=False"),
    ...(atLeast(py, 3, 11) && { process_group: no("process_group") }),
  });
  expect(requests).toEqual([]);
});

const onThread =
  "subprocess.Popen is blocked in Node.js host context. Node.js starts and awaits the children, on the " +
  "thread that Python blocks here. In an async function await asyncio.create_subprocess_exec(...), or " +
  "asyncio.to_thread(subprocess.run, ...).";

test.each([
  "subprocess.run(['true'])",
  "subprocess.Popen('true', shell=True)",
  "subprocess.check_output(['true'], close_fds=False)",
  "os.popen('true')",
])("%s on the JavaScript thread says where to go", (expression) => {
  const before = guide.open_descriptors();
  expect(() => py.execSync(`import os, subprocess; ${expression}`)).toThrow(onThread);
  expect(requests).toEqual([]);
  expect(guide.open_descriptors()).toBe(before);
});

test("so does waiting there; asking does not, and sees the end", async () => {
  py.execSync("import asyncio, subprocess, time");
  await py.exec(
    "child = await asyncio.to_thread(subprocess.Popen, ['cat'], stdin=subprocess.PIPE)",
  );
  expect(() => py.evalSync("child.wait()")).toThrow("Node.js starts and awaits the children");
  expect(py.evalSync("child.poll()")).toBe(null);
  // libuv cannot wait for it while Python blocks its thread.
  py.execSync("child.stdin.close()\nwhile child.poll() is None: time.sleep(0.001)");
  expect(py.evalSync("child.returncode")).toBe(0);
});

test.each([
  ["os.system('true')", "os.system"],
  ["os.fork()", "os.fork"],
  ["os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn"],
  ["__import__('pty').spawn(['true'])", "pty.spawn"],
])("%s is refused as ever", async (expression, event) => {
  const code = `import asyncio, os; await asyncio.to_thread(lambda: ${expression})`;
  await expect(py.exec(code)).rejects.toThrow(`${event} is blocked in Node.js host context`);
});

test("multiprocessing is refused, and told what to use", async () => {
  const code = `
import asyncio, multiprocessing
process = multiprocessing.get_context("spawn").Process(target=print)
await asyncio.to_thread(process.start)`;
  await expect(py.exec(code)).rejects.toThrow(
    "multiprocessing and ProcessPoolExecutor work by child processes",
  );
});

test.each([
  ["no UTF-8", "b'\\xff'", "argv[1] of a child that Node.js runs must be UTF-8"],
  ["text with a null byte", "'a\\0b'", "embedded null byte"],
])("%s does not reach Node.js", async (_, argument, message) => {
  const code = `import asyncio, subprocess; await asyncio.to_thread(subprocess.run, ["true", ${argument}])`;
  expect((await rejected(py.exec(code))).message).toContain(message);
  expect(requests).toEqual([]);
});
