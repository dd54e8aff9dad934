// What a new user does: the packed tarball in an empty folder.

import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { repository, runProgram } from "../helpers/child.js";
import { folderOf, interpreter } from "./helpers.js";

const quiet = ["--ignore-scripts", "--offline", "--no-audit", "--no-fund", "--loglevel=error"];

test("the packed tarball: doctor, build, the README's example, mistakes", {
  timeout: 400_000,
}, async () => {
  const cwd = folderOf({
    "package.json": JSON.stringify({ name: "empty", private: true, type: "module" }),
    "hello.mjs": readFileSync(path.join(repository, "examples", "hello.mjs"), "utf8"),
    "module.mjs": `import { Python } from "coloop";
      const py = await Python.start();
      for (const work of [() => py.import("nothing_here"), () => py.import("math").sqrt(Symbol("x"))]) {
        try { work(); } catch (error) { console.log(error.name, error.code, error.message); }
      }
      await py.close();`,
    "app.py": "import asyncio, sys\nprint(await asyncio.sleep(0, sys.argv[1]))\nsys.exit(3)\n",
  });
  const env = { COLOOP_PYTHON: interpreter.executable };
  const run = (program: string, ...args: string[]) =>
    runProgram(program, args, { cwd, env, timeout: 300_000 });
  const bin = path.join(cwd, "node_modules", ".bin", "coloop");

  const packed = await runProgram("npm", ["pack", ...quiet, "--pack-destination", cwd]);
  expect(packed).toMatchObject({ code: 0 });
  const tarball = packed.stdout.trim().split("\n").at(-1) as string;
  expect(await run("npm", "install", ...quiet, `./${tarball}`)).toMatchObject({ code: 0 });

  const unbuilt = await run(bin, "doctor");
  expect(unbuilt.code).toBe(1);
  const remedy = `npx coloop build --python ${interpreter.executable}`;
  expect(unbuilt.stdout).toContain(`what to do: ${remedy}`);
  const early = await run(bin, "run", "app.py", "x");
  expect(early).toMatchObject({ code: 1, stdout: "" });
  expect(early.stderr).toContain(remedy);

  const built = await run(bin, "build");
  expect(built, built.stdout).toMatchObject({ code: 0, stderr: "" });
  expect(await run(bin, "doctor")).toMatchObject({ code: 0 });

  expect(await run(process.execPath, "hello.mjs")).toMatchObject({
    code: 0,
    stdout: "2.5\n[ 'hello, Node', 'hello, Python' ]\n",
  });
  expect(await run(bin, "run", "app.py", "word")).toMatchObject({ code: 3, stdout: "word\n" });

  const mistakes = await run(process.execPath, "module.mjs");
  expect(mistakes.stdout.split("\n").slice(0, 2)).toEqual([
    "ModuleNotFoundError ERR_COLOOP_PYTHON No module named 'nothing_here'",
    expect.stringMatching(/^TypeError ERR_COLOOP_CONVERSION args\[0\]/),
  ]);
  const wrong = await run(bin, "build", "--python", "/nonexistent");
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain("There is no interpreter at /nonexistent");
});
