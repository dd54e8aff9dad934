// What is said when native code crashes the process, and what must not be taken for a crash.

import { expect, test } from "vitest";
import { runCode, runProgram } from "../helpers/child.js";

const crash = `
import { Python } from "coloop";
const py = await Python.start();
py.execSync(\`
import ctypes, functools, sys, threading

def read_nothing():
    return ctypes.string_at(0)

def endless(*_):
    return functools.reduce(endless, [1, 2])

def in_thread():
    thread = threading.Thread(target=read_nothing)
    thread.start()
    thread.join()

def out_of_stack():
    sys.setrecursionlimit(10**9)
    endless()
\`);
const callFromHere = (name) => py.globals[name]();
`;

// None of them waits for a core file.
const timeout = 60_000;

test("a fault in a call prints the stacks of both languages", async () => {
  const result = await runCode(`${crash}\ncallFromHere("read_nothing");`, { timeout });
  expect(result.signal).toBe("SIGSEGV");
  expect(result.stderr).toContain("Fatal Python error: Segmentation fault");
  expect(result.stderr).toMatch(/in read_nothing/);
  expect(result.stderr).toMatch(/JavaScript stack of this thread:[\s\S]*callFromHere/);
});

test("a fault in a thread of Python's prints where all threads are", async () => {
  const result = await runCode(`${crash}\ncallFromHere("in_thread");`, { timeout });
  expect(result.signal).toBe("SIGSEGV");
  expect(result.stderr).toMatch(/Current thread[\s\S]*in read_nothing[\s\S]*in in_thread/);
});

test("a C stack that overflows does so, too", async () => {
  // A stack so small that it ends before CPython's own limit of C calls.
  const code = `${crash}\ncallFromHere("out_of_stack");`;
  const node = [process.execPath, "--input-type=module", "--eval", code];
  const small = ["-c", 'ulimit -s 2048; exec "$@"', "sh", ...node];
  const result = await runProgram("/bin/sh", small, { timeout });
  expect(result.signal).toBe("SIGSEGV");
  expect(result.stderr).toContain("Fatal Python error: Segmentation fault");
  expect(result.stderr).toMatch(/in endless/);
});

test("a fault in a Worker", async () => {
  const worker = `
import("coloop").then(async ({ Python }) => {
  const py = await Python.start();
  const callFromTheWorker = () => py.globals.read_nothing();
  py.execSync("import ctypes\\ndef read_nothing(): ctypes.string_at(0)");
  callFromTheWorker();
});`;
  const code = `${crash}
import { Worker } from "node:worker_threads";
new Worker(${JSON.stringify(worker)}, { eval: true });`;
  const result = await runCode(code, { timeout });
  expect(result.signal).toBe("SIGSEGV");
  expect(result.stderr).toMatch(
    /in read_nothing[\s\S]*JavaScript stack of this thread:[\s\S]*callFromTheWorker/,
  );
});

test("WebAssembly's accesses out of bounds stay errors of JavaScript", async () => {
  const module = [
    [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00], // "\0asm", version 1
    [0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f], // type (i32) -> i32
    [0x03, 0x02, 0x01, 0x00], // function 0 has it
    [0x05, 0x03, 0x01, 0x00, 0x01], // memory of one page
    [0x07, 0x05, 0x01, 0x01, 0x66, 0x00, 0x00], // exported as "f"
    [0x0a, 0x09, 0x01, 0x07, 0x00, 0x20, 0x00, 0x28, 0x02, 0x00, 0x0b], // i32.load of its argument
  ].flat();
  const result = await runCode(
    `${crash}
const { f } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(${JSON.stringify(module)}))).exports;
const outcomes = [f(0)];
for (let i = 0; i < 3; i++) {
  try { f(0x7fff0000); } catch (error) { outcomes.push(error.name); }
  py.evalSync("1 + 1");
}
console.log(outcomes.join());
`,
    { timeout },
  );
  expect(result).toMatchObject({ code: 0, stderr: "", stdout: `0${",RuntimeError".repeat(3)}\n` });
});

test("abort() is who calls it to explain, and the handlers cannot be taken away", async () => {
  const aborted = await runCode(`${crash}\npy.import("os").abort();`, { timeout });
  expect(aborted).toMatchObject({ signal: "SIGABRT", stderr: "" });
  const disabled = await runCode(
    `${crash}
py.execSync(\`
import faulthandler
try:
    faulthandler.disable()
except RuntimeError as error:
    print(error.event, faulthandler.is_enabled())
\`);`,
    { timeout },
  );
  expect(disabled.stdout).toBe("faulthandler.disable True\n");
});
