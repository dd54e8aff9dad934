// How a process with Python ends: nothing is lost, nothing hangs, the exit code is kept.

import path from "node:path";
import { describe, expect, test } from "vitest";
import { repository, runCode } from "../helpers/child.js";

const head = `
import { Python } from ${JSON.stringify(path.join(repository, "dist", "index.js"))};
const py = await Python.start();
`;

interface Ending {
  title: string;
  code: string;
  stdout?: string;
  stderr?: RegExp;
  status?: number;
}

const endings: Ending[] = [
  {
    title: "by itself, with buffered output and atexit",
    code: `py.execSync("import atexit, sys\\natexit.register(print, 'atexit')\\nsys.stdout.write('buffered ')");`,
    stdout: "buffered atexit\n",
  },
  {
    title: "by process.exit, with its code",
    code: `py.execSync("print('out')"); process.exit(3);`,
    stdout: "out\n",
    status: 3,
  },
  {
    title: "by process.exit inside a call from Python",
    code: `py.evalSync("f()", { f: () => process.exit(4) });`,
    status: 4,
  },
  {
    title: "by an error that nobody catches",
    code: `py.execSync("print('before')"); setImmediate(() => { py.evalSync("1 / 0"); });`,
    stdout: "before\n",
    stderr: /ZeroDivisionError: division by zero/,
    status: 1,
  },
  {
    title: "by a rejection that nobody handles",
    code: `void py.eval("[][0]");`,
    stderr: /IndexError: list index out of range/,
    status: 1,
  },
  {
    title: "with a daemon thread that computes",
    code: `py.execSync("import threading\\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()"); process.exit(0);`,
  },
  {
    title: "with a thread that has work left",
    code: `py.execSync("import threading, time\\nthreading.Thread(target=lambda: (time.sleep(0.05), print('worked'))).start()");`,
    stdout: "worked\n",
  },
  {
    title: "not before a Task's timer",
    code: `void py.exec("import asyncio\\nawait asyncio.sleep(0.02)\\nprint('woken')");`,
    stdout: "woken\n",
  },
  {
    title: "although a Task waits for nothing",
    code: `void py.exec("import asyncio\\nawait asyncio.get_running_loop().create_future()");`,
  },
  {
    title: "after close, and start again",
    code: `await py.close(); const again = await Python.start(); console.log(again.evalSync("'again'")); await again.close();`,
    stdout: "again\n",
  },
];

describe("it ends", () => {
  test.each(endings)("$title", async ({ code, stdout = "", stderr, status = 0 }) => {
    const result = await runCode(head + code);
    if (stderr === undefined) expect(result.stderr).toBe("");
    else expect(result.stderr).toMatch(stderr);
    expect(result).toMatchObject({ code: status, signal: null, stdout });
  });
});
