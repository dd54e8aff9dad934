// `npm run bench:loop [-- options]`: coloop's loops beside asyncio, uvloop, C on libuv and Node's own
// servers, in one run. Every cell of every contender gets a fresh process; they take turns, and of the rounds
// the median counts. When a bar is missed, or something fails, the status is 1.
//   --quick      every cell once and shortly; judges nothing
//   --cells a,b  only these
//   --rounds N   in place of 5
//   --python X   an interpreter, a venv or a version
//   --json       the numbers, to be read by programs
//   --write      also into docs/benchmark.md and docs/benchmark.svg

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { loadDiscovery } from "../../tools/pythons.mjs";
import { main, root, run, ToolError } from "../../tools/run.mjs";
import { cells, operationCells, serverCells } from "./cells.mjs";
import { certificate, findContenders, loadClient, processorName } from "./contenders.mjs";
import { asMarkdown, asPicture, asText, evaluate } from "./report.mjs";

const connections = 10;
const startLimit = 30_000;

function readOptions() {
  const { values } = parseArgs({
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "boolean", default: false },
      write: { type: "boolean", default: false },
      cells: { type: "string" },
      rounds: { type: "string" },
      python: { type: "string" },
    },
  });
  const chosen = values.cells?.split(",") ?? cells.map(({ name }) => name);
  const unknown = chosen.filter((name) => !cells.some((cell) => cell.name === name));
  if (unknown.length > 0) {
    const names = cells.map(({ name }) => name).join(", ");
    throw new ToolError(`--cells takes ${names}, not ${unknown.join(", ")}`);
  }
  const rounds = values.rounds === undefined ? (values.quick ? 1 : 5) : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new ToolError(`--rounds takes a whole number from 1, not ${values.rounds}`);
  }
  if (values.write && (values.quick || values.cells !== undefined)) {
    throw new ToolError("--write is for a whole run, without --quick and --cells");
  }
  return { ...values, chosen, rounds };
}

function parseLine(text, what) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`${what} printed ${JSON.stringify(text.slice(0, 200))}`);
  }
}

/** What a program that failed said: the line that names the error, else the last one. */
function reasonIn(stderr) {
  const lines = stderr.trim().split("\n");
  return lines.findLast((line) => /^\w*(Error|Exception)\b/.test(line)) ?? lines.at(-1);
}

/** Starts a server, calls `work` with its process and address, and kills it. */
async function withServer([command, ...args], work) {
  const child = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 2 * startLimit,
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const closed = once(child, "close");
  try {
    const first = createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
    const line = await Promise.race([first, closed.then(() => ({ value: undefined }))]);
    if (line.value === undefined) {
      await closed;
      throw new Error(`the server ended: ${reasonIn(stderr)}`);
    }
    return await work(child.pid, parseLine(line.value, "the server").address);
  } finally {
    child.kill("SIGKILL");
    await closed;
  }
}

/** Runs a program that prints one line of JSON. */
async function answerOf([command, ...args], timeout) {
  const { code, signal, stdout, stderr } = await run(command, args, { capture: true, timeout });
  if (code !== 0 || signal) {
    throw new Error(reasonIn(stderr) || `${path.basename(command)} ended with ${signal ?? code}`);
  }
  return parseLine(stdout, path.basename(command));
}

function serveArgument({ kind }, folder, certificates) {
  if (kind === "unix") return path.join(folder, "socket");
  return kind === "tls" ? certificates : "-";
}

/** Microseconds of the server's processor time per request, and requests a second. */
async function measureServer(cell, contender, { client, certificates, warm, measured }) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "bench-loop-"));
  try {
    const command = contender.serve(cell.kind, serveArgument(cell, folder, certificates));
    return await withServer(command, async (pid, address) => {
      const load = [cell.mode, address, cell.size, connections, warm, measured, pid].map(String);
      const timeout = warm + measured + startLimit;
      const answer = await answerOf([...client.command(cell.mode), ...load], timeout);
      if (answer.requests === 0) throw new Error("no request was answered");
      return {
        cost: (answer.cpu / answer.requests) * 1e6,
        rate: answer.requests / answer.seconds,
      };
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** All operations of a contender in a fresh process. */
async function measureOperations(names, contender, scale) {
  const answer = await answerOf(contender.measure(String(scale), names.join(",")), 4 * startLimit);
  return new Map(Object.entries(answer).map(([name, time]) => [name, { cost: time * 1e6 }]));
}

/** Samples and failures, each by cell and contender. */
class Results {
  samples = new Map();
  failures = [];

  add(cell, contender, sample) {
    const key = `${cell} ${contender}`;
    if (!this.samples.has(key)) this.samples.set(key, []);
    this.samples.get(key).push(sample);
  }

  of(cell, contender) {
    return this.samples.get(`${cell} ${contender}`) ?? [];
  }

  /** Runs `work`; a failure is kept, and the run goes on. */
  async attempt(cell, contender, work) {
    try {
      await work();
    } catch (error) {
      this.failures.push({ cell, contender, reason: error.message });
    }
  }
}

/** Who begins changes from round to round. */
function rotated(list, by) {
  const shift = by % list.length;
  return [...list.slice(shift), ...list.slice(0, shift)];
}

async function measureAll(options, contenders, setup, say) {
  const results = new Results();
  const isChosen = ({ name }) => options.chosen.includes(name);
  const present = (cell) => cell.contenders.filter((name) => name in contenders);
  for (let round = 0; round < options.rounds; round++) {
    for (const cell of serverCells.filter(isChosen)) {
      say(`round ${round + 1} of ${options.rounds}: ${cell.name}`);
      for (const name of rotated(present(cell), round)) {
        await results.attempt(cell.name, name, async () =>
          results.add(cell.name, name, await measureServer(cell, contenders[name], setup)),
        );
      }
    }
    const operations = operationCells.filter(isChosen);
    const measuring = [...new Set(operations.flatMap(present))];
    for (const name of rotated(measuring, round)) {
      say(`round ${round + 1} of ${options.rounds}: operations, ${name}`);
      const own = operations.filter((cell) => cell.contenders.includes(name));
      const names = own.map((cell) => cell.name);
      await results.attempt("operations", name, async () => {
        const answers = await measureOperations(names, contenders[name], setup.scale);
        for (const cell of names) results.add(cell, name, answers.get(cell));
      });
    }
  }
  return results;
}

function aboutMachine(options, contenders, client) {
  return {
    date: new Date().toISOString().slice(0, 10),
    system: `${os.type()} ${os.release()}, ${os.arch()}, ${os.cpus().length} x ${processorName()}`,
    rounds: options.rounds,
    connections,
    tlsClient: client.tls,
    contenders: Object.fromEntries(
      Object.entries(contenders).map(([name, { about }]) => [name, about]),
    ),
  };
}

function show(report, options) {
  if (options.json) console.log(JSON.stringify(report, undefined, 1));
  else console.log(asText(report));
  for (const { cell, contender, reason } of report.failures) {
    console.error(`[bench:loop] ${cell}, ${contender} FAILED: ${reason}`);
  }
  if (!options.write) return;
  writeFileSync(path.join(root, "docs", "benchmark.md"), asMarkdown(report));
  writeFileSync(path.join(root, "docs", "benchmark.svg"), asPicture(report));
}

await main(async () => {
  const options = readOptions();
  const discover = await loadDiscovery();
  const python = discover(options.python);
  const client = await loadClient(python.executable);
  const { contenders, missing } = await findContenders(python);
  for (const reason of missing) console.error(`[bench:loop] left out: ${reason}`);
  const setup = {
    client,
    certificates: await certificate(),
    ...(options.quick
      ? { warm: 20, measured: 50, scale: 0.01 }
      : { warm: 200, measured: 400, scale: 1 }),
  };
  const say = (text) => {
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}`);
  };
  const results = await measureAll(options, contenders, setup, say);
  say("");
  const chosen = cells.filter(({ name }) => options.chosen.includes(name));
  const report = {
    machine: aboutMachine(options, contenders, client),
    rows: evaluate(chosen, results, { judge: !options.quick }),
    failures: results.failures,
  };
  show(report, options);
  const missed = report.rows.some(({ verdicts }) =>
    verdicts.some(({ reached }) => reached === false),
  );
  return missed || results.failures.length > 0 ? 1 : 0;
});
