// What `coloop doctor` finds out, without starting Python in its own process.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { addonFiles, builtTags, packageRoot } from "../binding.js";
import { discoverInterpreter, type Interpreter } from "../discover.js";
import type { Inside } from "./inside.js";
import { type Libraries, librariesScript } from "./libraries.js";

/** One line of the report. */
export interface Fact {
  readonly name: string;
  readonly value: string;
}

/** Something wrong, and how to mend it. */
export interface Fault {
  /** A stable code of coloop's errors, where it is one. */
  readonly code: string;
  readonly summary: string;
  readonly remedy: string;
}

/** All that was found. */
export interface Diagnosis {
  readonly facts: readonly Fact[];
  readonly faults: readonly Fault[];
}

const timeout = 60_000;
const oldestNode = 20;
const remedyMark = "\n  what to do: ";

class Findings implements Diagnosis {
  readonly facts: Fact[] = [];
  readonly faults: Fault[] = [];

  tell(name: string, value: string): void {
    this.facts.push({ name, value });
  }

  blame(code: string, summary: string, remedy: string): void {
    this.faults.push({ code, summary, remedy });
  }
}

/** Finds out everything; nothing found is an exception. */
export function diagnose(selection: string | undefined): Diagnosis {
  const findings = new Findings();
  examineNode(findings);
  const interpreter = examineInterpreter(findings, selection);
  if (interpreter !== undefined && examineAddons(findings, interpreter)) {
    examineInside(findings, interpreter);
  }
  return findings;
}

function examineNode(findings: Findings): void {
  const { version, execPath, platform, arch, versions, env } = process;
  const own = `OpenSSL ${versions.openssl}, zlib ${versions.zlib}, libuv ${versions.uv}`;
  findings.tell("Node.js", `${version}, ${platform} ${arch}, ${execPath}\n${own}`);
  findings.tell("coloop", packageRoot);
  const set = Object.keys(env).filter((name) => name.startsWith("COLOOP_"));
  if (set.length > 0) {
    findings.tell("environment", set.map((name) => `${name}=${env[name]}`).join("\n"));
  }
  if (Number.parseInt(versions.node, 10) < oldestNode) {
    findings.blame(
      "NODE_VERSION",
      `Node.js ${version} is too old.`,
      `use Node.js ${oldestNode} or newer`,
    );
  }
  if (platform !== "linux") {
    findings.blame("PLATFORM", `coloop is not tested on ${platform}.`, "use Linux");
  }
}

function examineInterpreter(
  findings: Findings,
  selection: string | undefined,
): Interpreter | undefined {
  try {
    const interpreter = discoverInterpreter(selection);
    const { executable, version, library, prefix, basePrefix, tried } = interpreter;
    findings.tell("Python", `${version}, ${executable}`);
    findings.tell("chosen by", tried.join("\n"));
    findings.tell("libpython", library);
    if (prefix !== basePrefix) findings.tell("venv", `${prefix}, made from ${basePrefix}`);
    return interpreter;
  } catch (error) {
    if (!(error instanceof Error) || !("code" in error)) throw error;
    findings.tell("Python", "none that can be used");
    const [summary = "", remedy = "see above"] = error.message.split(remedyMark);
    findings.blame(String(error.code), summary, remedy);
    return undefined;
  }
}

/** False if an addon is missing. */
function examineAddons(findings: Findings, interpreter: Interpreter): boolean {
  const files = addonFiles(interpreter);
  const missing = Object.values(files).filter((file) => !existsSync(file));
  for (const [name, file] of Object.entries(files)) {
    findings.tell(name, existsSync(file) ? file : `not built (${file})`);
  }
  findings.tell("bridges built", builtTags().join(", ") || "none");
  const headers = join(interpreter.include, "Python.h");
  const hasHeaders = existsSync(headers);
  findings.tell("headers", hasHeaders ? interpreter.include : `missing: ${headers}`);
  if (missing.length === 0) return true;
  const [major, minor] = interpreter.versionInfo;
  const build = `npx coloop build --python ${interpreter.executable}`;
  findings.blame(
    "ERR_COLOOP_ADDON",
    `The native addon is not built for Python ${interpreter.version}.`,
    hasHeaders
      ? build
      : `install the headers (Debian: apt-get install python${major}.${minor}-dev), then ${build}`,
  );
  return false;
}

/** What the interpreter has when it runs by itself. */
function ownLibraries(interpreter: Interpreter): Libraries | undefined {
  const code = `${librariesScript}\nprint("\\n" + libraries())`;
  const { stdout, status } = spawnSync(interpreter.executable, ["-c", code], {
    encoding: "utf8",
    timeout,
    killSignal: "SIGKILL",
  });
  return status === 0 ? lastLine<Libraries>(stdout) : undefined;
}

function lastLine<T>(output: string): T | undefined {
  try {
    return JSON.parse(output.trimEnd().split("\n").at(-1) ?? "") as T;
  } catch {
    return undefined;
  }
}

function examineInside(findings: Findings, interpreter: Interpreter): void {
  const script = fileURLToPath(new URL("inside.js", import.meta.url));
  const { stdout, stderr, status, signal } = spawnSync(
    process.execPath,
    [script, interpreter.executable],
    { encoding: "utf8", timeout, killSignal: "SIGKILL" },
  );
  const inside = status === 0 ? lastLine<Inside>(stdout) : undefined;
  if (inside === undefined) {
    const how = signal === null ? `exit status ${status}` : `ended by ${signal}`;
    findings.tell("start", `failed (${how})`);
    findings.blame(
      "ERR_COLOOP_START",
      `Python does not start in Node.js (${how}):\n${stderr.trim().slice(-2000)}`,
      `build the addon anew: npx coloop build --python ${interpreter.executable}`,
    );
    return;
  }
  findings.tell("start", "Python started, and a coroutine ran on Node's loop");
  findings.tell("loaded", inside.reason === "" ? inside.mode : `${inside.mode}: ${inside.reason}`);
  compareLibraries(findings, inside, ownLibraries(interpreter), interpreter);
}

function compareLibraries(
  findings: Findings,
  { libraries, mode }: Inside,
  own: Libraries | undefined,
  { executable }: Interpreter,
): void {
  for (const name of ["openssl", "zlib", "sqlite"] as const) {
    const here = libraries[name] ?? "cannot be imported";
    const there = own === undefined ? "unknown" : (own[name] ?? "cannot be imported");
    const same = here === there;
    findings.tell(name, same ? `${here}, as in the interpreter alone` : `${here}, not ${there}`);
    if (same) continue;
    findings.blame(
      "LIBRARY",
      `Python has another ${name} in Node.js (${here}) than by itself (${there}).`,
      mode === "plain"
        ? "unset COLOOP_DLOPEN, so that Python keeps its own libraries"
        : `run \`${executable} -c "import ssl, zlib, sqlite3"\` by hand, and report the difference`,
    );
  }
}
