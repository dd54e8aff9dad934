// Who takes part in `npm run bench:loop`, and what they need: the C programs are compiled and uvloop is
// installed into .cache/bench-loop, once.

import { existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { ask, root, run, ToolError } from "../../tools/run.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
export const cache = path.join(root, ".cache", "bench-loop");
const source = (name) => path.join(here, name);

function isNewer(file, than) {
  return existsSync(file) && statSync(file).mtimeMs > statSync(than).mtimeMs;
}

/** Compiles a C file; the program's path, or undefined when the compiler says no. */
async function compile(name, program, ...options) {
  const target = path.join(cache, program);
  if (isNewer(target, source(name))) return target;
  mkdirSync(cache, { recursive: true });
  // Another run may compile or execute it at this moment: rename replaces it whole.
  const fresh = `${target}.${process.pid}`;
  const compiler = process.env.CC ?? "cc";
  const script = 'cc=$1 out=$2 fresh=$3; shift 3; "$cc" -o "$fresh" "$@" && mv "$fresh" "$out"';
  const flags = ["-O2", "-Wall", "-Wextra", source(name), ...options];
  const { code } = await run("sh", ["-c", script, "sh", compiler, target, fresh, ...flags], {
    capture: true,
  });
  return code === 0 ? target : undefined;
}

/** The load client: what runs it for a mode, and by what it speaks TLS. */
export async function loadClient(python) {
  const withTls = await compile("client.c", "client-tls", "-DWITH_TLS", "-lssl", "-lcrypto");
  const program = withTls ?? (await compile("client.c", "client"));
  if (program === undefined) throw new ToolError("bench/loop/client.c needs a C compiler (cc)");
  const tls = withTls === undefined ? [python, "-I", source("tls_client.py")] : [program];
  return {
    command: (mode) => (mode === "tls" ? tls : [program]),
    tls: withTls === undefined ? "an asyncio client in Python" : "the C client through OpenSSL",
  };
}

/** uvloop's interpreter and version: from the package index, else the system's own. */
async function findUvloop(python) {
  const venv = path.join(cache, `uvloop-${python.version}`);
  const own = path.join(venv, "bin", "python");
  const versions = (interpreter) =>
    ask(interpreter, [
      "-I",
      "-c",
      "import platform, uvloop; print(uvloop.__version__, platform.python_version())",
    ])?.split(" ");
  if (versions(own) === undefined) {
    const made = await run(python.executable, ["-m", "venv", venv], { capture: true });
    if (made.code === 0) {
      const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "uvloop"];
      await run(own, install, { capture: true, timeout: 120_000 });
    }
  }
  for (const [interpreter, from] of [
    [own, "the package index"],
    ["/usr/bin/python3", "the system's package"],
  ]) {
    const found = versions(interpreter);
    if (found === undefined) continue;
    return { interpreter, about: `${found[0]} from ${from}, Python ${found[1]}` };
  }
  return undefined;
}

/** A self-signed certificate; its folder. */
export async function certificate() {
  const cert = path.join(cache, "cert.pem");
  const key = path.join(cache, "key.pem");
  const day = 24 * 60 * 60 * 1000;
  if (existsSync(cert) && Date.now() - statSync(cert).mtimeMs < 300 * day) return cache;
  mkdirSync(cache, { recursive: true });
  const request =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj /CN=localhost";
  const made = await run("openssl", [...request.split(" "), "-keyout", key, "-out", cert], {
    capture: true,
  });
  if (made.code !== 0) throw new ToolError(`openssl made no certificate: ${made.stderr}`);
  return cache;
}

/**
 * By name: `about`, and the commands that serve a kind and measure the operations; and the reasons why
 * some are missing.
 */
export async function findContenders(python) {
  const plain = (interpreter, loop) => ({
    serve: (kind, argument) => [interpreter, source("server.py"), loop, kind, argument],
    measure: (scale, cells) => [interpreter, source("operations.py"), loop, scale, cells],
  });
  const inNode = (place) => {
    const start = [process.execPath, source("host.mjs"), place, python.executable];
    return {
      about: `${place} loop, Python ${python.version} in Node ${process.version}`,
      serve: (kind, argument) => [...start, "serve", kind, argument],
      measure: (scale, cells) => [...start, "measure", scale, cells],
    };
  };
  const contenders = {
    asyncio: { about: `Python ${python.version}`, ...plain(python.executable, "asyncio") },
    node: {
      about: `Node ${process.version}, libuv ${process.versions.uv}`,
      serve: (kind, argument) => [process.execPath, source("node-server.mjs"), kind, argument],
    },
    owned: inNode("owned"),
    hosted: inNode("hosted"),
  };
  const missing = [];
  const uvloop = await findUvloop(python);
  if (uvloop === undefined) missing.push("uvloop: neither pip nor the system has it");
  else {
    contenders.uvloop = { about: uvloop.about, ...plain(uvloop.interpreter, "uvloop") };
  }
  const floor = await compile("floor.c", "floor", "-luv");
  if (floor === undefined)
    missing.push("C on libuv: bench/loop/floor.c needs cc and libuv's headers");
  else {
    const kinds = { protocol: "tcp", unix: "unix", udp: "udp" };
    contenders.c = {
      about: `libuv ${ask(floor, ["version"])}`,
      serve: (kind, argument) => [floor, kinds[kind], argument],
    };
  }
  return { contenders, missing };
}

/** The processor's name, as the kernel has it. */
export function processorName() {
  const line = readFileSync("/proc/cpuinfo", "utf8").match(/^model name\s*:\s*(.*)$/m);
  return line?.[1] ?? "unknown";
}
