import { describe, expect, test } from "vitest";
import type { ChildResult } from "../helpers/child.js";
import { coloop, folderOf } from "./helpers.js";

/** Sends the signals, one for each "ready" of the script. */
function interrupted(
  text: string,
  signals: readonly NodeJS.Signals[] = ["SIGINT"],
): Promise<ChildResult> {
  const cwd = folderOf({ "script.py": text });
  const left = [...signals];
  return coloop(["run", "script.py"], {
    cwd,
    onStart: (child) => {
      child.stdout?.on("data", (output: string) => {
        for (const _ of String(output).matchAll(/ready/g)) {
          const signal = left.shift();
          if (signal !== undefined) child.kill(signal);
        }
      });
    },
  });
}

// One write: the signal comes after the whole line.
const ready = "__import__('os').write(1, b'ready\\n')";
// While the main thread waits: a KeyboardInterrupt at an odd place, such as a finalizer, is swallowed there.
const readyFromThread =
  "__import__('threading').Timer(0.05, __import__('os').write, (1, b'ready\\n')).start()";

describe("SIGINT is KeyboardInterrupt", () => {
  test.each([
    ["a busy loop", `${ready}\nwhile True: pass`],
    ["time.sleep", `import time\n${ready}\ntime.sleep(30)`],
    ["a lock", `import threading\n${ready}\nthreading.Event().wait()`],
    [
      "asyncio.run",
      `import asyncio\nasync def main():\n  ${ready}\n  await asyncio.sleep(30)\nasyncio.run(main())`,
    ],
    [
      "top-level await",
      `import asyncio\nawait asyncio.sleep(0)\n${ready}\nawait asyncio.sleep(30)`,
    ],
    [
      "a busy Task of the hosted loop",
      `import asyncio\nasync def busy():\n  ${ready}\n  while True: pass\nasyncio.create_task(busy())\nawait asyncio.sleep(30)`,
    ],
    ["a future that nothing brings", `import asyncio\nf = asyncio.Future()\n${ready}\nawait f`],
  ])("in %s: traceback and 130", async (_name, text) => {
    const { code, signal, stdout, stderr } = await interrupted(text);
    expect({ code, signal, stdout }).toEqual({ code: 130, signal: null, stdout: "ready\n" });
    expect(stderr).toMatch(/^Traceback[\s\S]*\nKeyboardInterrupt\n$/);
  });

  test("finally and atexit run", async () => {
    const text = `
import asyncio, atexit
atexit.register(print, "at exit")
try:
    ${ready}
    await asyncio.sleep(30)
finally:
    await asyncio.sleep(0.01)
    print("cleaned", flush=True)
`;
    const result = await interrupted(text);
    expect(result).toMatchObject({ code: 130, stdout: "ready\ncleaned\nat exit\n" });
  });

  test("can be caught", async () => {
    const text = `
import time
try:
    ${ready}
    time.sleep(30)
except KeyboardInterrupt:
    print("caught")
`;
    expect(await interrupted(text)).toEqual({
      code: 0,
      signal: null,
      stdout: "ready\ncaught\n",
      stderr: "",
    });
  });

  test("the second one ends a script that does not let itself be cancelled", async () => {
    const text = `
import asyncio
try:
    ${readyFromThread}
    await asyncio.sleep(30)
except asyncio.CancelledError:
    ${readyFromThread}
    await asyncio.sleep(30)
`;
    const { code, stdout } = await interrupted(text, ["SIGINT", "SIGINT"]);
    expect({ code, stdout }).toEqual({ code: 130, stdout: "ready\nready\n" });
  });

  test("a server left open is ended", async () => {
    const text = `
import asyncio
server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
${readyFromThread}
`;
    expect(await interrupted(text)).toMatchObject({ code: 130, stdout: "ready\n" });
  });

  test("a thread that Python waits for at its end can be left", async () => {
    const text = `
import sys, threading
main = threading.main_thread().ident
def stay():
    while getattr(getattr(sys._current_frames().get(main), "f_code", None), "co_name", "") != "_shutdown":
        threading.Event().wait(0.001)
    ${ready}
    threading.Event().wait()
threading.Thread(target=stay).start()
`;
    const { signal, stdout } = await interrupted(text);
    expect({ signal, stdout }).toEqual({ signal: null, stdout: "ready\n" });
  });
});

test("SIGTERM ends it as it ends python", async () => {
  const text = `import time\n${ready}\ntime.sleep(30)`;
  const result = await interrupted(text, ["SIGTERM"]);
  expect(result).toEqual({ code: null, signal: "SIGTERM", stdout: "ready\n", stderr: "" });
});

describe("a handler that the script has set", () => {
  const handler = (name: string): string =>
    `import asyncio, signal, sys, time\ndef stop(number, frame):\n  print("stop", number)\n  sys.exit(7)\nsignal.signal(signal.${name}, stop)\n`;

  test.each([
    ["SIGTERM", "time.sleep", `${ready}\ntime.sleep(30)`],
    ["SIGTERM", "a busy loop", `${ready}\nwhile True: pass`],
    ["SIGTERM", "top-level await", `await asyncio.sleep(0)\n${ready}\nawait asyncio.sleep(30)`],
    ["SIGINT", "time.sleep", `${ready}\ntime.sleep(30)`],
    ["SIGINT", "top-level await", `await asyncio.sleep(0)\n${ready}\nawait asyncio.sleep(30)`],
    [
      "SIGHUP",
      "asyncio.run",
      `async def main():\n  ${ready}\n  await asyncio.sleep(30)\nasyncio.run(main())`,
    ],
  ] as const)("for %s, in %s", async (name, _where, text) => {
    const { code, signal, stdout, stderr } = await interrupted(handler(name) + text, [name]);
    const number = { SIGTERM: 15, SIGINT: 2, SIGHUP: 1 }[name];
    expect({ code, signal, stderr }).toEqual({ code: 7, signal: null, stderr: "" });
    expect(stdout).toBe(`ready\nstop ${number}\n`);
  });
});
