// What the audit hook refuses on every version, and what goes on.

import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { startPython } from "../helpers/python.js";

const py = await startPython();

describe("refused", () => {
  const cases: [code: string, event: string][] = [
    ["import os; os.fork()", "os.fork"],
    ["import os; os.forkpty()", "os.forkpty"],
    ["import os; os.system('true')", "os.system"],
    ["import os; os.popen('true')", "subprocess.Popen"],
    ["import os; os.execv('/bin/true', ['true'])", "os.exec"],
    ["import os; os.posix_spawn('/bin/true', ['true'], {})", "os.posix_spawn"],
    ["import subprocess; subprocess.check_output(['true'])", "subprocess.Popen"],
    ["import pty; pty.spawn(['true'])", "pty.spawn"],
    ["import _posixsubprocess; _posixsubprocess.fork_exec()", "_posixsubprocess.fork_exec"],
    ["import multiprocessing as m; m.get_context('fork').Process(target=print).start()", "os.fork"],
    [
      "import multiprocessing as m; m.get_context('spawn').Process(target=print).start()",
      "_posixsubprocess.fork_exec",
    ],
    ["import ctypes; ctypes.CDLL(None).fork()", "ctypes.dlsym/process"],
    ["import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.signal"],
    ["import signal; signal.set_wakeup_fd(0)", "signal.set_wakeup_fd"],
    ["import signal; signal.setitimer(signal.ITIMER_REAL, 1)", "signal.setitimer"],
    ["import faulthandler; faulthandler.register(10)", "faulthandler.register"],
  ];
  test.each(cases)("%s", (code, event) => {
    expect(() => py.execSync(code)).toThrow(
      expect.objectContaining({
        name: "RuntimeError",
        message: expect.stringContaining(`${event} is blocked in Node.js host context.`),
      }),
    );
  });
});

test("subprocesses and signal handlers of asyncio's", async () => {
  await expect(
    py.exec("import asyncio\nawait asyncio.create_subprocess_exec('true')"),
  ).rejects.toThrow();
  expect(() => py.loop.add_signal_handler(15, () => {})).toThrow(
    expect.objectContaining({ name: "NotImplementedError" }),
  );
});

test("Node's signal handler hears the signal", async () => {
  const heard = once(process, "SIGUSR2");
  py.execSync("import os, signal\nos.kill(os.getpid(), signal.SIGUSR2)");
  await heard;
});

test("files, sockets, ctypes and threads are not refused", () => {
  py.execSync(`
import ctypes, os, socket, tempfile, threading
with tempfile.TemporaryFile() as file:
    file.write(b"x")
socket.socket().close()
assert ctypes.CDLL(None).getpid() == os.getpid()
thread = threading.Thread(target=print, args=("",), kwargs={"end": ""})
thread.start()
thread.join()
`);
});
