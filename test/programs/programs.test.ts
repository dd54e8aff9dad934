// Real programs: what each returns on the hosted loop and on an owned one is what it returns on asyncio's
// own, in plain Python.

import { execFileSync } from "node:child_process";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startPrograms, venv } from "./start.js";

const py = await startPrograms();
const folder = import.meta.dirname;

const programs = [
  ["aiohttp", true],
  ["anyio", true],
  ["websockets", true],
  ["fastapi", true],
  ["redis", process.env["COLOOP_TEST_REDIS"] !== undefined],
  ["asyncpg", process.env["COLOOP_TEST_POSTGRES"] !== undefined],
] as const;

describe.each(programs)("%s", (name, available) => {
  const program = `program_${name}`;
  let expected: unknown;

  beforeAll(() => {
    if (!available) return; // tools/programs.mjs has said why
    const python = path.join(venv, "bin", "python");
    expected = JSON.parse(
      execFileSync(python, [path.join(folder, "plain.py"), program], { encoding: "utf8" }),
    );
  });

  const locals = () => ({
    json: py.import("json"),
    coloop: py.import("coloop"),
    program: py.import(program),
  });

  test.runIf(available)("on the hosted loop", async () => {
    const result = await py.eval<string>("json.dumps(await program.main())", locals());
    expect(JSON.parse(result)).toEqual(expected);
  });

  test.runIf(available)("on an owned loop", () => {
    const result = py.evalSync("json.dumps(coloop.run(program.main()))", locals()) as string;
    expect(JSON.parse(result)).toEqual(expected);
  });
});
