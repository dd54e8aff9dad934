// Node.js' own tools with Python loaded and at work.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, expect, test } from "vitest";
import { runCode } from "../helpers/child.js";

const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-diagnostics-"));
afterEach(() => {
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name));
});

const work = `
import { Python } from "coloop";
const py = await Python.start();
py.execSync(\`
import asyncio
def compute(function):
    return sum(function(i) for i in range(2000))
async def wait():
    for _ in range(20):
        await asyncio.sleep(0.001)
    return 7
\`);
function square(n) { return n * n; }
async function workInBoth() {
  if (py.globals.compute(square) !== 2664667000) throw new Error("a wrong sum");
  if ((await py.globals.wait()) !== 7) throw new Error("a wrong answer");
}
`;

function onlyFile(suffix: string): string {
  const names = readdirSync(folder).filter((name) => name.endsWith(suffix));
  expect(names).toHaveLength(1);
  return readFileSync(path.join(folder, names[0] as string), "utf8");
}

test("--cpu-prof has the JavaScript that Python called", async () => {
  const options = ["--cpu-prof", `--cpu-prof-dir=${folder}`, "--cpu-prof-interval=100"];
  const code = `${work}for (let i = 0; i < 20; i++) await workInBoth();\nconsole.log("pass");`;
  const result = await runCode(code, { execArgv: options, timeout: 60_000 });
  expect(result).toMatchObject({ code: 0, stderr: "", stdout: "pass\n" });
  const { nodes } = JSON.parse(onlyFile(".cpuprofile")) as {
    nodes: { callFrame: { functionName: string } }[];
  };
  const names = nodes.map(({ callFrame }) => callFrame.functionName);
  expect(names).toEqual(expect.arrayContaining(["workInBoth"]));
});

test("--heapsnapshot-signal is answered between Python's calls", async () => {
  const options = ["--heapsnapshot-signal=SIGUSR2", `--diagnostic-dir=${folder}`];
  const code = `${work}
import { readdirSync } from "node:fs";
await workInBoth();
process.kill(process.pid, "SIGUSR2");
const written = () => readdirSync(${JSON.stringify(folder)}).length > 0;
while (!written()) await workInBoth();
await workInBoth();
console.log("pass");`;
  const result = await runCode(code, { execArgv: options, timeout: 60_000 });
  expect(result).toMatchObject({ code: 0, stdout: "pass\n" });
  expect(onlyFile(".heapsnapshot")).toContain('"snapshot"');
});

test("--inspect: a debugger evaluates, profiles and pauses beside Python", async () => {
  const code = `
import inspector from "node:inspector/promises";
${work}
const session = new inspector.Session();
session.connect();
globalThis.py = py;
await session.post("Debugger.enable");
await session.post("Profiler.enable");
await session.post("Profiler.start");
let pauses = 0;
session.on("Debugger.paused", ({ params }) => {
  pauses += params.callFrames[0].functionName === "stopHere" ? 1 : 0;
});
function stopHere(n) { debugger; return n; }
await workInBoth();
py.evalSync("call(1)", { call: stopHere });
const { result } = await session.post("Runtime.evaluate", { expression: "py.evalSync('6 * 7')" });
const { profile } = await session.post("Profiler.stop");
console.log(result.value, pauses, profile.nodes.length > 1);
`;
  const result = await runCode(code, { execArgv: ["--inspect=127.0.0.1:0"], timeout: 60_000 });
  expect(result.stdout).toBe("42 1 true\n");
  expect(result.code).toBe(0);
  expect(result.stderr).toContain("Debugger listening on ws://127.0.0.1:");
});
