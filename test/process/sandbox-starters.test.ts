// Every way of the standard library to start a process, refused; the processes are counted from outside. On
// each Python of this machine that an addon is built for.

import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { beforeAll, describe, expect, test } from "vitest";
import { repository } from "../helpers/child.js";
import { builtPythons } from "../helpers/pythons.js";

type Attempt = [name: string, event: string | null, kind: string, text: string];

const processText = (event: string) =>
  `${event} is blocked in Node.js host context. fork()/exec() would corrupt the Node.js runtime. ` +
  "Start Python with sandbox: { subprocess } (coloop run: --allow subprocess), or use " +
  "node:child_process through a registered function for subprocess management.";
const multiprocessingText =
  " multiprocessing and ProcessPoolExecutor work by child processes: use threads " +
  "(ThreadPoolExecutor, asyncio.to_thread), or a child process or Worker that Node.js runs.";

const loopText =
  "subprocesses are not started in the Node.js process: start Python with sandbox: { subprocess } to have " +
  "Node.js start them, or use node:child_process through a registered function";

/** The fields of /proc/PID/stat from the state on. */
function stat(pid: number | string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** Children there are now, and the page faults of those that were waited for: no child has none. */
function traces(pid: number): { children: string[]; faults: number } {
  const children = readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && stat(name)[1] === String(pid);
    } catch {
      return false; // it has ended
    }
  });
  return { children, faults: Number(stat(pid)[8]) };
}

test("a process that is started would be seen", async () => {
  const program =
    "require('node:child_process').spawnSync('true'); console.log(1); process.stdin.resume()";
  const child = spawn(process.execPath, ["-e", program], { stdio: ["pipe", "pipe", "inherit"] });
  await new Promise((resolve) => child.stdout.once("data", resolve));
  expect(traces(child.pid as number).faults).toBeGreaterThan(0);
  expect(traces(process.pid).children).toContain(String(child.pid));
  child.stdin.end();
});

describe.each(builtPythons)("$executable", ({ version, executable }) => {
  const results: Attempt[] = [];
  let unknown: string[] | undefined;
  const started: string[] = [];
  let greeting: string | undefined;
  let code: number | null;

  beforeAll(async () => {
    const script = path.join(repository, "test/process/sandbox-starters.mjs");
    const child = spawn(process.execPath, [script], {
      env: { ...process.env, COLOOP_PYTHON: executable },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
    let before: ReturnType<typeof traces> | undefined;
    for await (const line of createInterface(child.stdout)) {
      const now = traces(child.pid as number);
      if (greeting === undefined) {
        greeting = line;
      } else {
        const attempt = JSON.parse(line) as Attempt | { unknown: string[] };
        if ("unknown" in attempt) {
          ({ unknown } = attempt);
          break;
        }
        results.push(attempt);
        if (JSON.stringify(now) !== JSON.stringify(before)) started.push(attempt[0]);
      }
      before = now;
      child.stdin.write("next\n");
    }
    child.stdin.end();
    code = await ended;
  }, 120_000);

  test("all ways were tried, and the process went on", () => {
    expect(greeting).toBe(`ready with ${version}`);
    expect(results.length).toBeGreaterThan(70);
    expect(code).toBe(0);
  });

  test("nothing was started", () => {
    expect(started).toEqual([]);
  });

  test("each was refused with the documented text, or went on without", () => {
    const wrong = results.filter(([name, event, kind, text]) => {
      if (event === null)
        return text !== "" && !text.includes("is blocked in Node.js host context");
      if (event === "NotImplementedError") return kind !== event || text !== loopText;
      if (name === "distutils.spawn") return !text.endsWith(` failed: ${processText(event)}`);
      const multi = name.startsWith("multiprocessing");
      return (
        kind !== "RuntimeError" || text !== processText(event) + (multi ? multiprocessingText : "")
      );
    });
    expect(wrong).toEqual([]);
  });

  test("every module of the library that starts processes has its way in the table", () => {
    expect(unknown).toEqual([]);
  });
});
