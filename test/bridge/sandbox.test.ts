// The sandbox in Node.js, without options. The whole list of what is refused is in test/python.

import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Python } from "../../src/index.js";

let py: Python;
let folder: string;

beforeAll(async () => {
  py = await Python.start();
  folder = mkdtempSync(path.join(tmpdir(), "coloop-sandbox-"));
});

afterAll(async () => {
  await py.close();
  rmSync(folder, { recursive: true });
});

const text = (event: string) =>
  `${event} is blocked in Node.js host context. fork()/exec() would corrupt the Node.js runtime. ` +
  "Start Python with sandbox: { subprocess } (coloop run: --allow subprocess), or use " +
  "node:child_process through a registered function for subprocess management.";

const multiprocessingText =
  " multiprocessing and ProcessPoolExecutor work by child processes: use threads " +
  "(ThreadPoolExecutor, asyncio.to_thread), or a child process or Worker that Node.js runs.";

/** The processes whose parent is this one. */
function children(): string[] {
  return readdirSync("/proc").filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] === String(process.pid);
    } catch {
      return false; // it has ended
    }
  });
}

describe("refused, and nothing is started", () => {
  const cases: [code: string, event: string][] = [
    ["import os; os.fork()", "os.fork"],
    ["import os; os.forkpty()", "os.forkpty"],
    ["import os; os.system('touch ' + marker)", "os.system"],
    ["import os; os.popen('touch ' + marker)", "subprocess.Popen"],
    ["import os; os.execvp('touch', ['touch', marker])", "os.exec"],
    ["import os; os.spawnlp(os.P_WAIT, 'touch', 'touch', marker)", "os.fork"],
    ["import os; os.posix_spawnp('touch', ['touch', marker], {})", "os.posix_spawn"],
    ["import subprocess; subprocess.run(['touch', marker])", "subprocess.Popen"],
    ["import pty; pty.spawn(['touch', marker])", "pty.spawn"],
    ["import multiprocessing as m; m.get_context('fork').Process(target=print).start()", "os.fork"],
    [
      "import multiprocessing as m; m.get_context('spawn').Process(target=print).start()",
      "_posixsubprocess.fork_exec",
    ],
    [
      "import multiprocessing as m; m.get_context('forkserver').Process(target=print).start()",
      "_posixsubprocess.fork_exec",
    ],
    ["import _posixsubprocess; _posixsubprocess.fork_exec()", "_posixsubprocess.fork_exec"],
    ["import ctypes; ctypes.CDLL(None).fork()", "ctypes.dlsym/process"],
    ["import ctypes; ctypes.CDLL('libc.so.6').__libc_fork()", "ctypes.dlsym/process"],
    [
      "import ctypes; ctypes.CDLL(None).system(('touch ' + marker).encode())",
      "ctypes.dlsym/process",
    ],
  ];

  test.each(cases)("%s", (code, event) => {
    const remedy = code.includes("multiprocessing") ? multiprocessingText : "";
    const before = children();
    const marker = path.join(folder, "marker");
    expect(() => py.execSync(code, { marker })).toThrow(
      expect.objectContaining({ name: "RuntimeError", message: text(event) + remedy }),
    );
    expect(existsSync(marker)).toBe(false);
    expect(children()).toEqual(before);
  });
});

test("Python is told so as a PermissionError, too", () => {
  py.execSync(
    "import os\ntry: os.fork()\nexcept PermissionError as e: refusal = (e.errno, e.event)",
  );
  expect(py.evalSync("refusal")).toEqual([1, "os.fork"]);
});

test("both import paths give the same module", () => {
  py.execSync(
    "from erlang._sandbox import is_sandboxed as a\nfrom _erlang_impl._sandbox import is_sandboxed as b",
  );
  expect(py.evalSync("a is b and a()")).toBe(true);
});

test("a signal that Python wanted stays Node's", async () => {
  const heard = once(process, "SIGUSR2");
  expect(() => py.execSync("import signal; signal.signal(signal.SIGUSR2, signal.SIG_DFL)")).toThrow(
    /^signal\.signal is blocked in Node\.js host context\./,
  );
  process.kill(process.pid, "SIGUSR2");
  await heard;
});

test("the remedy that the message names works", async () => {
  py.register("execute", async (file: string, args: string[]) => {
    const { stdout } = await promisify(execFile)(file, args);
    return stdout;
  });
  await py.exec("import coloop\noutput = await coloop.async_call('execute', 'echo', ['hello'])");
  expect(py.evalSync("output")).toBe("hello\n");
  py.unregister("execute");
});

test("what falls back softly goes on", () => {
  py.execSync("import ctypes.util, platform, uuid");
  expect(py.evalSync("platform.platform()")).toMatch(/linux|darwin/i);
  expect(py.evalSync("uuid.getnode() > 0 and uuid.uuid1().version")).toBe(1);
  expect(() => py.evalSync("ctypes.util.find_library('c')")).not.toThrow();
});
