import { once } from "node:events";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { runProgram, runScript } from "../helpers/child.js";

interface Cell {
  name: string;
  contenders: string[];
  bars: Record<string, number>;
}

interface Report {
  machine: { rounds: number; contenders: Record<string, string> };
  rows: {
    name: string;
    costs: Record<string, { cost: number; rate?: number }>;
    verdicts: { contender: string; bar: number; reached?: boolean }[];
  }[];
  failures: unknown[];
}

const script = "bench/loop/run.mjs";
const modules = fileURLToPath(new URL("../../bench/loop/", import.meta.url));
const { cells } = (await import(`${modules}cells.mjs`)) as { cells: Cell[] };
const { loadClient } = (await import(`${modules}contenders.mjs`)) as {
  loadClient(python: string): Promise<{ command(mode: string): string[] }>;
};
const { evaluate } = (await import(`${modules}report.mjs`)) as {
  evaluate(
    cells: unknown[],
    results: { of(cell: string, contender: string): { cost: number }[] },
    options: { judge: boolean },
  ): (Report["rows"][number] & { ratios: Record<string, number | undefined> })[];
};

test("every cell of every contender that the machine has is measured, and none is judged", async () => {
  const result = await runScript(script, { args: ["--quick", "--json"], timeout: 110_000 });
  const { machine, rows, failures } = JSON.parse(result.stdout) as Report;
  expect(failures).toEqual([]);
  expect(Object.keys(machine.contenders)).toEqual(
    expect.arrayContaining(["asyncio", "node", "owned", "hosted"]),
  );
  const measured = rows.map(({ name, costs }) => ({
    name,
    contenders: Object.keys(costs).filter((contender) => (costs[contender]?.cost ?? 0) > 0),
  }));
  expect(measured).toEqual(
    cells.map(({ name, contenders }) => ({
      name,
      contenders: contenders.filter((contender) => contender in machine.contenders),
    })),
  );
  const verdicts = rows.flatMap((row) => row.verdicts);
  expect(verdicts.length).toBe(cells.flatMap(({ bars }) => Object.keys(bars)).length);
  expect(verdicts.filter(({ reached }) => reached !== undefined)).toEqual([]);
  expect(result.code).toBe(0);
}, 120_000);

test("a bar is judged by the median's ratio to uvloop, and by asyncio where it says so", () => {
  const cell = {
    name: "x",
    title: "x",
    contenders: ["asyncio", "uvloop", "owned", "hosted"],
    bars: { owned: 4, hosted: 4 },
    aheadOfAsyncio: true,
  };
  const costs: Record<string, number[]> = {
    asyncio: [9, 9, 9],
    uvloop: [40, 44, 48],
    owned: [1, 10, 90],
    hosted: [8, 11, 12],
  };
  const results = {
    of: (_: string, contender: string) => (costs[contender] ?? []).map((cost) => ({ cost })),
  };
  const reachedBy = (): unknown =>
    evaluate([cell], results, { judge: true })[0]?.verdicts.map(({ reached }) => reached);

  expect(evaluate([cell], results, { judge: true })[0]?.ratios).toMatchObject({
    owned: 4.4,
    hosted: 4,
  });
  expect(reachedBy()).toEqual([false, false]); // 4x of uvloop, but behind asyncio
  costs["asyncio"] = [20, 20, 20];
  expect(reachedBy()).toEqual([true, true]);
  costs["hosted"] = [12];
  expect(reachedBy()).toEqual([true, false]);
  costs["uvloop"] = [];
  expect(reachedBy()).toEqual([undefined, undefined]);
});

test("an option that makes no sense ends the benchmark with a message", async () => {
  for (const [args, message] of [
    [["--cells", "tcp-1k,tcp"], /--cells takes tcp-1k, .*, not tcp\n/],
    [["--rounds", "0"], /--rounds takes a whole number from 1, not 0/],
    [["--write", "--quick"], /--write is for a whole run/],
  ] as const) {
    const result = await runScript(script, { args: [...args] });
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(1);
  }
});

test("the load client ends with an error when an answer is wrong or the server goes", async () => {
  const client = await loadClient("python3");
  const [program = ""] = client.command("tcp");
  const behaviours: [(socket: net.Socket) => void, string][] = [
    [(socket) => socket.on("data", (data) => socket.write(data.fill("?"))), "a wrong answer"],
    [(socket) => socket.once("data", () => socket.end()), "the server closed the connection"],
  ];
  for (const [behaviour, reason] of behaviours) {
    const server = net.createServer((socket) => behaviour(socket.on("error", () => {})));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as net.AddressInfo;
    const load = ["tcp", port, 1024, 1, 0, 1000, process.pid].map(String);
    const result = await runProgram(program, load);
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain(reason);
    server.close();
  }
});
