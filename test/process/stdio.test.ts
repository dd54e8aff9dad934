// Python's output into a pipe that is full, and that Node.js has made non-blocking.

import { expect, test } from "vitest";
import { runCode } from "../helpers/child.js";

const line = "x".repeat(100);
const lines = 30_000; // 3 MB; a pipe holds 64 KiB

test.each([
  ["buffered", ""],
  ["unbuffered", "1"],
])("nothing is lost, nothing is raised: %s", async (_, unbuffered) => {
  const result = await runCode(
    `
import { Python } from "coloop";
const py = await Python.start();
process.stdout.write("JavaScript\\n"); // from here on the descriptor is non-blocking
py.execSync("for _ in range(${lines}): print('${line}')");
py.execSync("import sys; print(type(sys.stdout).__name__, sys.stdout is sys.__stdout__, sys.stdout.name)");
`,
    {
      env: { PYTHONUNBUFFERED: unbuffered },
      timeout: 60_000,
      // A reader that is slower than the writer: it takes a little at each of its turns.
      onStart: ({ stdout }) => {
        stdout?.on("data", () => {
          stdout.pause();
          setImmediate(() => stdout.resume());
        });
      },
    },
  );
  expect(result).toMatchObject({ code: 0, stderr: "" });
  const found = result.stdout.split("\n");
  expect(found.filter((text) => text === line)).toHaveLength(lines);
  expect(found.slice(-2)).toEqual(["TextIOWrapper True <stdout>", ""]);
  expect(found).toHaveLength(lines + 3);
});
