import { spawnSync } from "node:child_process";
import { mkdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { coloop, folderOf, interpreter, python } from "./helpers.js";

/** Runs the same arguments by both; what the user sees must be equal. */
async function expectAsPython(cwd: string, args: readonly string[]): Promise<void> {
  const expected = await python(args, { cwd });
  const { stderr, ...rest } = await coloop(["run", ...args], { cwd });
  const prefix = /^(coloop|\S*python\S*): /;
  expect({ ...rest, stderr: stderr.replace(prefix, "") }).toEqual({
    ...expected,
    stderr: expected.stderr.replace(prefix, ""),
  });
}

const names = `
import sys
main = sys.modules["__main__"]
print(sys.argv, sys.path[0], __name__, __file__, __spec__ and __spec__.name, repr(__package__))
print(type(__loader__).__name__, main.__dict__ is globals(), main.__file__ == __file__)
`;

describe("a script is run as by python", () => {
  const scripts: Readonly<Record<string, string>> = {
    names,
    uncaught: "def f():\n  return 1 / 0\n\nprint('before')\nf()\n",
    chained: "try:\n  {}['a']\nexcept KeyError as e:\n  raise ValueError('wrong') from e\n",
    "syntax error": "x = 1\nif x\n",
    "another encoding": "# coding: latin-1\nprint(ascii('\u00e9'))\n",
    "exit 3": "import sys; print('out', end=''); sys.exit(3)",
    "exit with text": "import sys; print('out'); sys.exit('the text')",
    "exit without status": "import sys; sys.exit()",
    "exit -1": "import sys; sys.exit(-1)",
    "exit beyond a byte": "import sys; sys.exit(2**40 + 5)",
    "exit with an object": "raise SystemExit([1, 2])",
    "an error whose text raises":
      "class E(Exception):\n  def __str__(self):\n    raise ValueError\nraise E",
    "lone surrogates": "import sys; sys.exit('a\\udc80b')",
    "an excepthook of its own":
      "import sys\nsys.excepthook = lambda *a: print('hook', a[0].__name__)\n1/0",
    atexit: "import atexit, sys\natexit.register(print, 'at exit')\nsys.exit(4)",
    "a thread that outlives the text":
      "import threading, time\nthreading.Thread(target=lambda: (time.sleep(2.5), print('late'))).start()\nprint('end')",
    "an asyncio program":
      "import asyncio\nasync def main():\n  await asyncio.sleep(0.01)\n  print('ran')\n  return 5\n" +
      "if __name__ == '__main__':\n  raise SystemExit(asyncio.run(main()))",
    "the module __main__ by import": "import __main__\nx = 5\nprint(__main__.x)",
    pickle:
      "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))) is A, A.__module__)",
    "future flags":
      "from __future__ import annotations\ndef f(x: nothing): pass\nprint(f.__annotations__)",
  };

  test.each(Object.entries(scripts))("%s", async (_name, text) => {
    const cwd = folderOf({ "script.py": text });
    await expectAsPython(cwd, ["script.py", "a", "--b", "-m", "c"]);
  });

  test("without top-level await nothing of ours is in it: the flags are not inherited", async () => {
    const cwd = folderOf({ "script.py": "print(compile('1 + 1', 'x', 'eval').co_flags)" });
    await expectAsPython(cwd, ["script.py"]);
  });

  test("a status beyond a long is that of python, which may also complain", async () => {
    const cwd = folderOf({ "script.py": "import sys; sys.exit(2**70)" });
    const expected = await python(["script.py"], { cwd });
    expect((await coloop(["run", "script.py"], { cwd })).code).toBe(expected.code);
  });

  test("from another folder, by a link", async () => {
    const cwd = folderOf({ "real/script.py": `import beside\n${names}`, "real/beside.py": "" });
    mkdirSync(path.join(cwd, "bin"));
    symlinkSync(path.join(cwd, "real", "script.py"), path.join(cwd, "bin", "tool"));
    await expectAsPython(cwd, ["bin/tool", "x"]);
  });

  test("a folder and an archive with a __main__.py", async () => {
    const cwd = folderOf({ "app/__main__.py": `import beside\n${names}`, "app/beside.py": "" });
    const zip = ["-m", "zipapp", "app", "-o", "app.pyz"];
    expect(spawnSync(interpreter.executable, zip, { cwd }).status).toBe(0);
    await expectAsPython(cwd, ["app", "x"]);
    await expectAsPython(cwd, ["app.pyz", "x"]);
  });

  test("compiled code", async () => {
    const cwd = folderOf({ "script.py": names });
    const compile = "import py_compile; py_compile.compile('script.py', 'script.pyc')";
    expect(spawnSync(interpreter.executable, ["-c", compile], { cwd }).status).toBe(0);
    const { stdout, code } = await coloop(["run", "script.pyc"], { cwd });
    expect({ code, first: stdout.slice(0, 14) }).toEqual({ code: 0, first: "['script.pyc']" });
  });

  test("children that are allowed inherit the standard streams", async () => {
    const text = `
import multiprocessing, subprocess
def work(queue):
    print("spawned", flush=True)
    queue.put(5)
if __name__ == "__main__":
    subprocess.run(["sh", "-c", "set -e; cat; echo out; echo err >&2"], check=True)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=work, args=(queue,))
    process.start()
    print(queue.get(timeout=30), flush=True)
    process.join()
`;
    const cwd = folderOf({ "script.py": text });
    const expected = await python(["script.py"], { cwd });
    expect(expected).toMatchObject({ stdout: "out\nspawned\n5\n", stderr: "err\n" });
    const allowed = ["run", "--allow", "subprocess", "script.py"];
    expect(await coloop(allowed, { cwd })).toEqual(expected);
  });

  test("what is not there, or not readable as code", async () => {
    const cwd = folderOf({ "empty/beside.py": "" });
    await expectAsPython(cwd, ["nothing.py"]);
    await expectAsPython(cwd, ["empty"]);
  });
});

describe("a module is run as by python -m", () => {
  const files = {
    "pack/__init__.py": "print('package', __name__)",
    "pack/__main__.py": names,
    "pack/part.py": `from . import *\n${names}\nimport sys; sys.exit(9)`,
    "bare/__init__.py": "",
    "broken/__init__.py": "import nothing_of_that_name",
  };

  test.each([
    [["-m", "pack", "a", "-m", "b"]],
    [["-m", "pack.part", "--python", "x"]],
    [["-mpack.part"]],
    [["-m", "bare"]],
    [["-m", "nothing_of_that_name"]],
    [["-m", "pack.nothing"]],
  ])("%j", async (args) => {
    await expectAsPython(folderOf(files), args);
  });
});

describe("top-level await", () => {
  async function run(text: string, env: Record<string, string> = {}) {
    return coloop(["run", "script.py"], { cwd: folderOf({ "script.py": text }), env });
  }

  test("is awaited on the hosted loop", async () => {
    const text = `
import asyncio, coloop
loop = asyncio.get_running_loop()
print(type(loop) is coloop.ErlangEventLoop, await asyncio.sleep(0.01, "done"))
async with asyncio.Lock():
    print([x async for x in (y for y in ())] if False else "locked")
`;
    expect(await run(text)).toMatchObject({ code: 0, stdout: "True done\nlocked\n", stderr: "" });
  });

  test.each([
    ["sys.exit(7)", 7, ""],
    ["sys.exit('text')", 1, "text\n"],
    ["loop.call_soon(sys.exit, 8); await asyncio.sleep(30)", 8, ""],
    ["asyncio.create_task(leave()); await asyncio.sleep(30)", 9, ""],
    [
      "loop.set_exception_handler(lambda *_: sys.exit(6)); loop.call_soon(int, 'no'); await asyncio.sleep(30)",
      6,
      "",
    ],
  ])("%s", async (text, code, stderr) => {
    const start = "import asyncio, sys\nasync def leave():\n  sys.exit(9)\n";
    const all = `${start}loop = asyncio.get_running_loop()\nprint('out', end='')\nawait asyncio.sleep(0)\n${text}`;
    expect(await run(all)).toEqual({ code, signal: null, stdout: "out", stderr });
  });

  test.each([
    ["a script that closes its output ends quietly", "sys.stdout.close()", 0, ""],
    ["and what it exits with is said", "sys.stdout.close(); sys.exit('text')", 1, "text\n"],
  ])("%s", async (_, text, code, stderr) => {
    const result = await run(`import sys\nprint('out', end='')\n${text}`);
    expect(result).toEqual({ code, signal: null, stdout: "out", stderr });
  });

  test("an uncaught exception has the traceback of the script alone", async () => {
    const result = await run("import asyncio\nawait asyncio.sleep(0)\nraise KeyError('x')\n");
    expect(result.code).toBe(1);
    expect(result.stderr).toMatch(
      /^Traceback \(most recent call last\):\n {2}File "\S+script\.py", line 3, in <module>\n {4}raise KeyError\('x'\)\n(?:[ ^]+\n)?KeyError: 'x'\n$/,
    );
  });

  test("other Tasks are cancelled when it fails", async () => {
    const text = `
import asyncio
async def other():
    try:
        await asyncio.sleep(30)
    finally:
        print("cleaned")
task = asyncio.create_task(other())
await asyncio.sleep(0.01)
raise ValueError
`;
    expect(await run(text)).toMatchObject({ code: 1, stdout: "cleaned\n" });
  });

  test("what a thread brings later is waited for", async () => {
    const text = `
import asyncio, threading, time
loop = asyncio.get_running_loop()
future = loop.create_future()
def bring():
    time.sleep(0.3)
    loop.call_soon_threadsafe(future.set_result, "brought")
threading.Thread(target=bring, daemon=True).start()
print(await future)
`;
    expect(await run(text)).toMatchObject({ code: 0, stdout: "brought\n", stderr: "" });
  });

  test("Tasks that still have work run to their end after it", async () => {
    const text = `
import asyncio
async def later():
    await asyncio.sleep(0.2)
    print("later")
task = asyncio.create_task(later())
await asyncio.sleep(0)
print("end")
`;
    expect(await run(text)).toMatchObject({ code: 0, stdout: "end\nlater\n", stderr: "" });
  });

  test("asyncio.run in such a script says why not", async () => {
    const text = "import asyncio\nawait asyncio.sleep(0)\nasyncio.run(asyncio.sleep(0))\n";
    const { code, stderr } = await run(text, { PYTHONWARNINGS: "ignore" });
    expect(code).toBe(1);
    expect(stderr.trimEnd().split("\n").at(-1)).toBe(
      "RuntimeError: asyncio.run() cannot be called from a running event loop",
    );
  });
});

describe("options", () => {
  test("--deny reaches the sandbox hook", async () => {
    const cwd = folderOf({
      "script.py": "import socket\nsocket.socket().connect(('127.0.0.1', 1))",
    });
    const { code, stderr } = await coloop(["run", "--deny", "network", "script.py"], { cwd });
    expect(code).toBe(1);
    expect(stderr).toMatch(/socket\.\S+ is (blocked|denied)/);
  });

  test("--python chooses, and a wrong one is refused with its code", async () => {
    const cwd = folderOf({ "script.py": "import sys; print(sys.executable)" });
    const env = { COLOOP_PYTHON: "/nonexistent" };
    const args = ["run", "--python", interpreter.executable, "script.py"];
    expect((await coloop(args, { cwd, env })).stdout).toBe(`${interpreter.executable}\n`);
    const refused = await coloop(["run", "script.py"], { cwd, env });
    expect(refused).toMatchObject({ code: 1, stdout: "" });
    expect(refused.stderr).toContain("[ERR_COLOOP_PYTHON_NOT_FOUND]");
  });
});
