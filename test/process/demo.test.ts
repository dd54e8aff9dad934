import type { ChildProcess } from "node:child_process";
import { expect, test } from "vitest";
import { type ChildResult, repository, runCode, runScript } from "../helpers/child.js";

const crawler = "examples/crawler/main.mjs";

function row(result: ChildResult, name: string): string {
  const line = result.stdout.split("\n").find((text) => text.slice(6).startsWith(name));
  if (line === undefined) throw new Error(`no row "${name}" in\n${result.stdout}`);
  return line;
}

function check(result: ChildResult): void {
  expect(result.stderr).toBe("");
  expect(result.stdout).not.toMatch(/^ {2}NO /m);
  expect(row(result, "one thread")).toMatch(/(\d+) in Python, \1 in JavaScript, \1 in the calls/);
  expect(row(result, "one loop")).toContain("<ErlangEventLoop hosted running=True");
  expect(row(result, "os.fork()")).toContain("os.fork is blocked in Node.js host context.");
  expect(row(result, "loop delay")).toMatch(/p99 \d+\.\d ms, .* over [1-9]\S* ticks/);
}

test("the crawler finds exactly the broken links that are known", async () => {
  const result = await runScript(crawler, { args: ["--pages", "400", "--seed", "5"] });
  check(result);
  expect(row(result, "broken links")).toMatch(
    /ok {2}broken links {2}([1-9]\d*) found of \1, 0 missed, 0 wrong/,
  );
  expect(result.code).toBe(0);
});

test("a broken link that is not expected fails the crawl", async () => {
  // The site answers 404 where its plan has a page.
  const code = `
    import http from "node:http";
    const listen = http.createServer;
    http.createServer = (listener) => listen((request, response) => {
      if (request.url === "/page/7") request.url = "/gone/7";
      listener(request, response);
    });
    (await import("node:module")).syncBuiltinESMExports();
    process.argv.push("--pages", "20");
    await import(${JSON.stringify(`${repository}/${crawler}`)});`;
  const result = await runCode(code);
  expect(result.stdout).toMatch(/NO {2}broken links .* [1-9]\d* wrong/);
  expect(result.code).toBe(1);
});

function afterOutput(child: ChildProcess, text: string, signal: NodeJS.Signals): void {
  let seen = "";
  child.stdout?.on("data", (chunk: string) => {
    if (seen.includes(text)) return;
    seen += chunk;
    if (seen.includes(text)) child.kill(signal);
  });
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const)("%s stops the crawl in the middle with a partial table", async (signal, code) => {
  const result = await runScript(crawler, {
    onStart: (child) => afterOutput(child, "waiting", signal),
  });
  check(result);
  expect(result.stdout).toContain(`Stopped by ${signal}; so far:`);
  const [, found, known] = /(\S+) found of (\S+) before the end/.exec(result.stdout) ?? [];
  expect(Number(found?.replace(",", ""))).toBeLessThan(Number(known?.replace(",", "")));
  expect(result.code).toBe(code);
});

test("the crawl stops although wait_for() loses cancellations, as before Python 3.12", async () => {
  const code = `
    const { Python } = await import("coloop");
    (await Python.start()).execSync(\`
import asyncio

async def wait_for(awaitable, timeout):
    task = asyncio.ensure_future(awaitable)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        return await task

asyncio.wait_for = wait_for
\`);
    await import(${JSON.stringify(`${repository}/${crawler}`)});`;
  const result = await runCode(code, {
    onStart: (child) => afterOutput(child, "waiting", "SIGTERM"),
  });
  check(result);
  expect(result.stdout).toContain("Stopped by SIGTERM; so far:");
  expect(result.code).toBe(143);
});

test("a bad option is told", async () => {
  const result = await runScript(crawler, { args: ["--pages", "0"] });
  expect(result.stderr).toBe("--pages takes a whole number from 1, not 0\n");
  expect(result.code).toBe(2);
});

test.each([
  ["hello", ["2.5", "[ 'hello, Node', 'hello, Python' ]"]],
  [
    "callbacks",
    [
      "[ 2, 5, -6 ]",
      "[ 'user 7', 'user 8' ]",
      "Python caught RangeError: no user -1",
      "true no user -2",
      "KeyError 'key' broken",
    ],
  ],
  [
    "streams",
    [
      "the generator is closed",
      "[ 0, 1, 2, 3 ]",
      "the longest",
      "AbortError because not needed any more",
    ],
  ],
])("examples/%s.mjs prints what it says", async (name, lines) => {
  const result = await runScript(`examples/${name}.mjs`);
  expect(result.stderr).toBe("");
  expect(result.stdout.trimEnd().split("\n")).toEqual(lines);
  expect(result.code).toBe(0);
});
