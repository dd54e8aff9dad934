// cffi calls C without an audit event, but what it looks up is refused as ctypes' is.

import type { SandboxEvent } from "coloop";
import { expect, test } from "vitest";
import { startPrograms } from "./start.js";

const events: SandboxEvent[] = [];
const py = await startPrograms({ onEvent: (event) => void events.push(event) });
py.execSync(`
from cffi import FFI

ffi = FFI()
ffi.cdef("""
    int fork(void); int vfork(void); int system(const char *); int execve(const char *, void *, void *);
    int posix_spawn(void *, const char *, void *, void *, void *, void *); void *popen(const char *, const char *);
    int getpid(void); double sqrt(double); int no_such_function(void); int sigaction(int, void *, void *);
""")

def outcome(library, name):
    try:
        return str(getattr(library, name) is not None)
    except AttributeError as error:
        return str(error)
`);

const libraries = ["ffi.dlopen(None)", "ffi.dlopen('libc.so.6')"];

test.each(
  ["fork", "vfork", "system", "execve", "posix_spawn", "popen"].flatMap((name) =>
    libraries.map((library) => [name, library] as const),
  ),
)("%s of %s", async (name, library) => {
  events.length = 0;
  expect(py.evalSync(`outcome(${library}, "${name}")`)).toContain(
    "is blocked in Node.js host context. fork()/exec() would corrupt the Node.js runtime. " +
      "Start Python with sandbox: { subprocess } (coloop run: --allow subprocess), or use " +
      "node:child_process through a registered function for subprocess management.",
  );
  await expect
    .poll(() => events.map(({ event, args }) => [event, args]))
    .toEqual([["ctypes.dlsym/process", [`'${name}'`]]]);
});

test("signal handlers are Node's", () => {
  const found = py.evalSync('outcome(ffi.dlopen(None), "sigaction")');
  expect(found).toContain("Signals and their handlers belong to Node.js.");
});

test("everything else is found, or not, as ever", () => {
  expect(py.evalSync("ffi.dlopen(None).getpid()")).toBe(process.pid);
  expect(py.evalSync("ffi.dlopen('libm.so.6').sqrt(2.25)")).toBe(1.5);
  expect(py.evalSync('outcome(ffi.dlopen(None), "no_such_function")')).toContain(
    "undefined symbol",
  );
});
