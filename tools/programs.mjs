// `npm run test:programs [-- --python X] [vitest's filters]`: real Python programs on the loop (aiohttp, FastAPI on
// uvicorn, httpx and anyio, websockets, redis-py, asyncpg) from a venv of pinned packages, with Redis and
// PostgreSQL where there are some. What is not to be had is skipped, with the reason.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { line, none, ofVitest } from "./counts.mjs";
import { loadDiscovery } from "./pythons.mjs";
import { ask, main, must, root, run, ToolError, timed, which } from "./run.mjs";

const folder = path.join(root, "build", "programs");
const programs = path.join(root, "test", "programs");
const servers = 2; // and a venv, without which nothing runs

/** A venv with the pinned packages; made anew when the list has changed. Throws a ToolError with pip's reason. */
export async function makeVenv(python, list = "requirements.txt") {
  const requirements = path.join(programs, list);
  const venv = path.join(folder, `venv-${python.version}-${path.parse(list).name}`);
  const hash = createHash("sha256").update(readFileSync(requirements)).digest("hex");
  const stamp = path.join(venv, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return venv;
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await must(python.executable, ["-I", "-m", "venv", venv], { quiet: true });
  const pip = ["-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  const options = ["--only-binary", ":all:", "--retries", "1", "--timeout", "20"];
  const { code, stderr } = await timed("packages installed", () =>
    run(path.join(venv, "bin", "python"), [...pip, ...options, "-r", requirements], {
      capture: true,
      timeout: 5 * 60_000,
    }),
  );
  if (code !== 0) {
    const reason = stderr.split("\n").find((text) => text.startsWith("ERROR")) ?? stderr.trim();
    throw new ToolError(`pip installs nothing: ${reason}`);
  }
  writeFileSync(stamp, hash);
  return venv;
}

/** Downloads a Debian package with what it needs and unpacks them, without root. Returns their folder. */
async function unpack(name) {
  const target = path.join(folder, name);
  const stamp = path.join(target, "unpacked");
  if (existsSync(stamp)) return target;
  if (!which("apt-get")) throw new ToolError(`this system has no apt-get to download ${name}`);
  mkdirSync(target, { recursive: true });
  const plan = ask("apt-get", ["--simulate", "install", "--no-install-recommends", name]) ?? "";
  const packages = Array.from(plan.matchAll(/^Inst (\S+)/gm), ([, found]) => found);
  if (packages.length === 0) throw new ToolError(`apt-get knows no package ${name}`);
  const options = { cwd: target, capture: true, timeout: 120_000 };
  const { code, stderr } = await run("apt-get", ["-q", "download", ...packages], options);
  if (code !== 0) {
    throw new ToolError(`apt-get download ${name}: ${stderr.trim().split("\n").at(-1)}`);
  }
  for (const file of readdirSync(target).filter((each) => each.endsWith(".deb"))) {
    await must("dpkg-deb", ["--extract", path.join(target, file), target], { quiet: true });
  }
  writeFileSync(stamp, packages.join(" "));
  return target;
}

/** A program of this machine, or of an unpacked package; with the environment that it needs. */
async function find(program, name, installed) {
  const own = which(program) ?? installed.find((file) => existsSync(file));
  if (own) return { file: own, env: {} };
  const target = await unpack(name);
  const library = path.join(target, "usr", "lib");
  const paths = [library, path.join(library, `${os.machine()}-linux-gnu`)];
  const versions = path.join(library, "postgresql");
  const folders = [path.join(target, "usr", "bin")];
  for (const version of existsSync(versions) ? readdirSync(versions) : []) {
    folders.push(path.join(versions, version, "bin"));
  }
  const file = folders.map((each) => path.join(each, program)).find((each) => existsSync(each));
  if (!file) throw new ToolError(`${program} is not in ${name}`);
  return { file, env: { LD_LIBRARY_PATH: paths.join(path.delimiter) } };
}

async function freePort() {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts a server in a folder of its own and waits until it accepts; returns how to end it. */
async function start({ file, env }, args, port, options) {
  const child = spawn(file, args, {
    ...options,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (text) => {
      output = (output + text).slice(-2000);
    });
  }
  child.on("error", (error) => {
    output += error.message;
  });
  const ended = once(child, "close").catch(() => {});
  const stop = async () => {
    child.kill("SIGKILL");
    await ended;
  };
  for (const end = performance.now() + 20_000; ; await wait(50)) {
    const socket = net.connect(port, "127.0.0.1").unref();
    const accepted = await once(socket, "connect").then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (accepted) return stop;
    if (child.exitCode === null && child.pid !== undefined && performance.now() < end) continue;
    await stop();
    throw new ToolError(`${path.basename(file)} does not start: ${output.trim()}`);
  }
}

async function startRedis(data) {
  const program = await find("redis-server", "redis-server", []);
  const port = await freePort();
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", data];
  return { url: `redis://127.0.0.1:${port}/0`, stop: await start(program, args, port, {}) };
}

async function startPostgres(data) {
  const base = "/usr/lib/postgresql";
  const installed = (existsSync(base) ? readdirSync(base) : []).map((version) =>
    path.join(base, version, "bin", "initdb"),
  );
  const initdb = await find("initdb", "postgresql-15", installed);
  const options = { cwd: data };
  if (process.getuid?.() === 0) {
    // It refuses to run as root.
    const [uid, gid] = ["-u", "-g"].map((option) => Number(ask("id", [option, "nobody"])));
    chownSync(data, uid, gid);
    Object.assign(options, { uid, gid });
  }
  const cluster = path.join(data, "cluster");
  const args = ["-D", cluster, "-U", "coloop", "--auth=trust", "--no-sync", "--encoding=UTF8"];
  const made = spawn(initdb.file, args, {
    ...options,
    env: { ...process.env, ...initdb.env, LC_ALL: "C" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let errors = "";
  made.stderr.setEncoding("utf8").on("data", (text) => {
    errors += text;
  });
  const [code] = await once(made, "close");
  if (code !== 0) throw new ToolError(`initdb fails: ${errors.trim()}`);
  const port = await freePort();
  const server = { ...initdb, file: path.join(path.dirname(initdb.file), "postgres") };
  const more = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1", "-k", data];
  const stop = await start(server, ["-D", cluster, "-p", String(port), ...more], port, options);
  return { url: `postgresql://coloop@127.0.0.1:${port}/postgres`, stop };
}

/** Runs `work` with the servers that could be started; those that could not are named, with the reason. */
async function withServers(work) {
  const env = {};
  const stops = [];
  const data = [];
  const kinds = { COLOOP_TEST_REDIS: startRedis, COLOOP_TEST_POSTGRES: startPostgres };
  try {
    for (const [variable, begin] of Object.entries(kinds)) {
      data.push(mkdtempSync(path.join(os.tmpdir(), "coloop-programs-")));
      try {
        const { url, stop } = await timed(variable, () => begin(data.at(-1)));
        env[variable] = url;
        stops.push(stop);
      } catch (error) {
        console.log(`[coloop] ${variable} skipped: ${error.message}`);
      }
    }
    return await work(env);
  } finally {
    for (const stop of stops) await stop();
    for (const each of data) rmSync(each, { recursive: true, force: true });
  }
}

/** Runs them for one interpreter; returns the counts. */
export async function testPrograms(selection, filters = []) {
  const python = (await loadDiscovery())(selection);
  let venv;
  try {
    venv = await makeVenv(python);
  } catch (error) {
    console.log(`[coloop] real programs skipped: ${error.message}`);
    return { ...none, skipped: 1 + servers };
  }
  const vitest = createRequire(import.meta.url).resolve("vitest/package.json");
  const report = path.join(folder, `vitest-${python.version}.json`);
  rmSync(report, { force: true });
  const { code } = await withServers((env) =>
    run(
      process.execPath,
      [
        path.join(path.dirname(vitest), "vitest.mjs"),
        ...["run", "--config", path.join(programs, "vitest.config.ts")],
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
        ...filters,
      ],
      {
        timeout: 5 * 60_000,
        env: { ...env, COLOOP_PROGRAMS_VENV: venv, NO_COLOR: "1", CI: "1" },
      },
    ),
  );
  return ofVitest(report, code);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(async () => {
    const { values, positionals } = parseArgs({
      options: { python: { type: "string" } },
      allowPositionals: true,
    });
    const counts = await testPrograms(values.python, positionals);
    console.log(line(counts));
    return counts.failed === 0 ? 0 : 1;
  });
}
