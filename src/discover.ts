// Finding the interpreter: which one is meant, where its libpython is, whether it can be embedded.

import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, join, resolve } from "node:path";
import { ColoopError, type ErrorCode } from "./errors.js";
import { checkString } from "./options.js";
import { type Probe, probeScript, readProbe } from "./probe.js";

/** An interpreter that can be embedded. */
export interface Interpreter {
  /** Its `sys.executable`. */
  readonly executable: string;
  /** For example `3.12.1`. */
  readonly version: string;
  /** The same as numbers. */
  readonly versionInfo: readonly [major: number, minor: number, micro: number];
  /** The tag of its ABI: `cp312`. */
  readonly tag: string;
  /** Its shared libpython. */
  readonly library: string;
  /** The folder of `Python.h`, whether or not it exists. */
  readonly include: string;
  /** `sys.prefix`: of a venv, the venv. */
  readonly prefix: string;
  /** `sys.base_prefix`: of a venv, the installation it was made from. */
  readonly basePrefix: string;
  /** What its extensions' file names carry, for example `cpython-312-x86_64-linux-gnu`. */
  readonly soabi: string;
  /** What was tried, in order; the last one is this interpreter. */
  readonly tried: readonly string[];
}

interface Candidate {
  readonly path: string;
  readonly origin: string;
  /** The version asked for, if it was asked for to the last number. */
  readonly exact?: string;
}

const oldestMinor = 10;
const newestMinor = 14;
const defaultTimeout = 20_000;
const versionPattern = /^(\d+\.\d+)(\.\d+)?$/;
const supported = `CPython 3.${oldestMinor} to 3.${newestMinor}, the ordinary build`;
const selections = "give an interpreter's path, a venv's folder, or a version such as 3.12";

function fail(code: ErrorCode, summary: string, tried: readonly string[], remedy: string): never {
  throw new Failure(code, summary, tried, remedy);
}

// What went wrong with one candidate. The list of everything tried is complete only at the end.
class Failure extends Error {
  readonly code: ErrorCode;
  readonly summary: string;
  readonly tried: readonly string[];
  readonly remedy: string;

  constructor(code: ErrorCode, summary: string, tried: readonly string[], remedy: string) {
    super(summary);
    this.code = code;
    this.summary = summary;
    this.tried = tried;
    this.remedy = remedy;
  }

  toError(before: readonly string[]): ColoopError {
    const list = [...before, ...this.tried].map((line) => `\n    ${line}`).join("");
    const text = `${this.summary}\n  tried:${list}\n  what to do: ${this.remedy}`;
    return new ColoopError(this.code, text);
  }
}

// A path that cannot be looked at (a loop of links, no permission, a NUL in it) is one that is not there.
function look(path: string, stat: typeof statSync | typeof lstatSync = statSync): Stats | undefined {
  try {
    return stat(path, { throwIfNoEntry: false }) as Stats | undefined;
  } catch {
    return undefined;
  }
}

function isFile(path: string): boolean {
  return look(path)?.isFile() === true;
}

function isFolder(path: string): boolean {
  return look(path)?.isDirectory() === true;
}

function isDeadLink(path: string): boolean {
  return look(path) === undefined && look(path, lstatSync)?.isSymbolicLink() === true;
}

function venvPythons(folder: string): string[] {
  return process.platform === "win32"
    ? [join(folder, "Scripts", "python.exe")]
    : [join(folder, "bin", "python"), join(folder, "bin", "python3")];
}

function onPath(name: string): string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  const names = process.platform === "win32" && !name.endsWith(".exe") ? [`${name}.exe`] : [name];
  return folders.flatMap((folder) => names.map((file) => join(folder, file))).filter(isFile);
}

function pyenvPythons(version: string): string[] {
  const root = process.env["PYENV_ROOT"] || join(homedir(), ".pyenv");
  const versions = join(root, "versions");
  if (!isFolder(versions)) return [];
  return readdirSync(versions)
    .filter((name) => name === version || name.startsWith(`${version}.`))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((name) => join(versions, name, "bin", "python"))
    .filter(isFile);
}

// pyenv's shims answer only for the versions that are switched on; the versions themselves always do.
function pythonsOfVersion(version: string, minor: string): string[] {
  const name = `python${minor}`;
  const usual = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map((folder) =>
    join(folder, name),
  );
  const pyenv = pyenvPythons(version);
  const others = [...onPath(name), ...usual.filter(isFile)];
  // To the last number, a folder's name says it and a command's does not.
  return [...new Set(version === minor ? [...others, ...pyenv] : [...pyenv, ...others])];
}

function fromVersion(version: string, minor: string, origin: string): Candidate[] {
  const found = pythonsOfVersion(version, minor);
  if (found.length === 0) {
    fail(
      "ERR_COLOOP_PYTHON_NOT_FOUND",
      `No Python ${version} was found (${origin}).`,
      [`python${minor} on PATH`, "pyenv's versions", "/usr/bin, /usr/local/bin, /opt/homebrew/bin"],
      "install it, or give the path of an interpreter",
    );
  }
  const exact = version === minor ? {} : { exact: version };
  return found.map((path) => ({ path, origin: `${origin}, version ${version}`, ...exact }));
}

function fromFolder(folder: string, origin: string): Candidate[] {
  const pythons = venvPythons(folder);
  const python = pythons.find(isFile);
  if (python !== undefined) return [{ path: python, origin }];
  if (isFile(join(folder, "pyvenv.cfg")) || pythons.some(isDeadLink)) {
    fail(
      "ERR_COLOOP_PYTHON_BROKEN",
      `The venv ${folder} has no interpreter any more: the Python it was made from is gone (${origin}).`,
      pythons,
      "make the venv anew",
    );
  }
  fail("ERR_COLOOP_PYTHON_NOT_FOUND", `The folder ${folder} is no venv (${origin}).`, pythons, selections);
}

function fromSelection(selection: string, origin: string): Candidate[] {
  const path = resolve(selection);
  if (isFile(path)) return [{ path, origin }];
  if (isFolder(path)) return fromFolder(path, origin);
  const version = versionPattern.exec(selection);
  if (version !== null) return fromVersion(selection, version[1] as string, origin);
  if (isDeadLink(path)) {
    fail(
      "ERR_COLOOP_PYTHON_BROKEN",
      `${path} is a link to an interpreter that is gone (${origin}).`,
      [path],
      "make the venv anew, or give another interpreter",
    );
  }
  const isName = basename(selection) === selection;
  const command = isName ? onPath(selection)[0] : undefined;
  if (command !== undefined) return [{ path: command, origin: `${origin}, from PATH` }];
  fail(
    "ERR_COLOOP_PYTHON_NOT_FOUND",
    `There is no interpreter at ${path} (${origin}).`,
    isName ? [path, `${selection} on PATH`] : [path],
    selections,
  );
}

function candidates(selection: string | undefined): Candidate[] {
  if (selection !== undefined) return fromSelection(selection, "the option `python`");
  const variable = process.env["COLOOP_PYTHON"];
  if (variable) return fromSelection(variable, "COLOOP_PYTHON");
  if (isFolder(".venv")) return fromFolder(resolve(".venv"), "./.venv");
  const active = process.env["VIRTUAL_ENV"];
  if (active) return fromFolder(resolve(active), "VIRTUAL_ENV");
  const python = onPath("python3")[0];
  if (python !== undefined) return [{ path: python, origin: "python3 on PATH" }];
  fail(
    "ERR_COLOOP_PYTHON_NOT_FOUND",
    "No Python was found.",
    ["COLOOP_PYTHON (not set)", "./.venv", "VIRTUAL_ENV (not set)", "python3 on PATH"],
    `install ${supported} with its shared libpython, or set COLOOP_PYTHON`,
  );
}

function describe({ path, origin }: Candidate): string {
  return `${path} (${origin})`;
}

function probe(candidate: Candidate, timeout: number): Probe {
  const { path, origin } = candidate;
  const tried = [describe(candidate)];
  const { error, status, signal, stdout, stderr } = spawnSync(path, ["-I", "-c", probeScript], {
    encoding: "utf8",
    timeout,
    killSignal: "SIGKILL", // a program that ignores SIGTERM would hold us for ever
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 20,
  });
  const found = status === 0 ? readProbe(stdout) : undefined;
  if (found !== undefined) return found;
  // Python 2 has no isolated mode; Python 3.0 to 3.3 neither.
  if (/^unknown option:? -I/im.test(stderr ?? "")) {
    const why = `${path} is a Python too old for coloop (${origin}).`;
    fail("ERR_COLOOP_PYTHON_UNSUPPORTED", why, tried, `use ${supported}`);
  }
  const said = (stderr ?? "").trim().split("\n").at(-1) || (stdout ?? "").trim().slice(0, 200);
  if (said !== "") tried.push(`it printed: ${said}`);
  const timedOut = (error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT";
  const ending = signal === null ? `exit status ${status}` : `ended by ${signal}`;
  tried.push(timedOut ? `no answer within ${timeout} ms` : (error?.message ?? ending));
  fail(
    "ERR_COLOOP_PYTHON_BROKEN",
    `${path} does not run as a Python interpreter (${origin}).`,
    tried,
    `run it by hand to see why; a venv whose base is gone must be made anew; otherwise ${selections}`,
  );
}

function whyUnsupported(found: Probe): string | undefined {
  const [major, minor] = found.version;
  if (found.implementation !== "cpython") return `it is ${found.implementation}, not CPython`;
  if (major !== 3 || minor < oldestMinor || minor > newestMinor) {
    return `it is version ${found.version.join(".")}`;
  }
  if (found.gilDisabled) return "it is a free-threaded build";
  if (found.debug) return "it is a debug build, which has an ABI of its own";
  return undefined;
}

function accept(found: Probe, candidate: Candidate): Interpreter {
  const { path, exact } = candidate;
  const [major, minor] = found.version;
  const version = found.version.join(".");
  const tried = [`${describe(candidate)}: ${found.implementation} ${version}`];
  const why = whyUnsupported(found);
  if (why !== undefined) {
    const summary = `${path} cannot be used: ${why}.`;
    fail("ERR_COLOOP_PYTHON_UNSUPPORTED", summary, tried, `use ${supported}`);
  }
  if (exact !== undefined && exact !== version) {
    const summary = `No Python ${exact} was found.`;
    fail("ERR_COLOOP_PYTHON_NOT_FOUND", summary, tried, "install it, or give another version");
  }
  if (found.library === null) {
    fail(
      "ERR_COLOOP_NO_SHARED_LIBPYTHON",
      `${path} (${version}) has no shared libpython, so it cannot be embedded.`,
      [...tried, ...found.lookedFor],
      `Debian and Ubuntu: apt-get install libpython${major}.${minor}; ` +
        `pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install ${version}`,
    );
  }
  return {
    executable: found.executable || path,
    version,
    versionInfo: found.version,
    tag: `cp${major}${minor}`,
    library: found.library,
    include: found.include,
    prefix: found.prefix,
    basePrefix: found.basePrefix,
    soabi: found.soabi,
    tried,
  };
}

function choose(selection: string | undefined, timeout: number): Interpreter {
  const tried: string[] = [];
  let first: Failure | undefined;
  for (const candidate of candidates(selection)) {
    try {
      const interpreter = accept(probe(candidate, timeout), candidate);
      return { ...interpreter, tried: [...tried, ...interpreter.tried] };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      first ??= error;
      tried.push(...error.tried);
    }
  }
  const failure = first as Failure;
  throw failure.toError(tried.slice(0, -failure.tried.length));
}

/**
 * Finds the interpreter that a selection means, without starting Python in this process.
 *
 * @param selection - an interpreter's path or command, a venv's folder, or a version such as `"3.12"` or
 * `"3.12.1"`; without it `COLOOP_PYTHON`, `./.venv`, `VIRTUAL_ENV`, `python3` on PATH
 * @param timeout - milliseconds that an interpreter gets to answer; default 20000
 * @throws ColoopError `ERR_COLOOP_PYTHON_NOT_FOUND`, `ERR_COLOOP_PYTHON_BROKEN`,
 * `ERR_COLOOP_PYTHON_UNSUPPORTED`, `ERR_COLOOP_NO_SHARED_LIBPYTHON`: what was tried, what to do
 */
export function discoverInterpreter(
  selection?: string,
  timeout: number = defaultTimeout,
): Interpreter {
  if (selection !== undefined) checkString(selection, "the option `python`");
  try {
    return choose(selection, timeout);
  } catch (error) {
    throw error instanceof Failure ? error.toError([]) : error;
  }
}
