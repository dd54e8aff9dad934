import { readFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { repository } from "../helpers/child.js";
import { coloop } from "./helpers.js";

test.each([
  [[], "a command is missing", "coloop --help"],
  [["runn"], 'there is no command "runn"', "coloop --help"],
  [["constructor"], 'there is no command "constructor"', "coloop --help"],
  [["--nonsense"], "--nonsense", "coloop --help"],
  [["run"], "a script or `-m module` is missing", "coloop run --help"],
  [["run", "-m"], "`-m` needs a module's name", "coloop run --help"],
  [["run", "--python"], "--python", "coloop run --help"],
  [["run", "--no-such", "a.py"], "--no-such", "coloop run --help"],
  [["doctor", "--jsn"], "--jsn", "coloop doctor --help"],
  [["doctor", "more"], "more", "coloop doctor --help"],
  [["build", "--python=3.11", "more"], "more", "coloop build --help"],
])("%j: a message and status 2", async (args, message, help) => {
  const { code, stdout, stderr } = await coloop(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  const [first, second, ...rest] = stderr.split("\n");
  expect(first).toMatch(/^coloop: /);
  expect(first).toContain(message);
  expect([second, ...rest]).toEqual([`See \`${help}\`.`, ""]);
});

test.each([[["--help"]], [["run", "-h"]], [["doctor", "--help"]], [["build", "--help"]]])(
  "%j: the usage",
  async (args) => {
    const { code, stdout, stderr } = await coloop(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^usage: coloop /);
  },
);

test("--version is the package's", async () => {
  const { version } = JSON.parse(readFileSync(path.join(repository, "package.json"), "utf8"));
  expect(await coloop(["--version"])).toMatchObject({ code: 0, stdout: `${version}\n` });
});

test("help after the script's name is the script's", async () => {
  const { code, stdout } = await coloop(["run", "-m", "json.tool", "--help"]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^usage: .*json/);
});
