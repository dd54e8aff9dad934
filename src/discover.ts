// Finding the interpreter: which one is meant, where its libpython is, whether it can be embedded.

import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { ColoopError, type ErrorCode } from "./errors.js";
import { checkString } from "./options.js";
import { probeScript } from "./probe.js";

/** An interpreter that can be embedded. */
export interface Interpreter {
  /** Its `sys.executable`. */
  readonly executable: string;
  /** For example `3.12.1`. */
  readonly version: string;
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
  /** How it was chosen: an option, a variable, a folder. */
  readonly origin: string;
}

interface Candidate {
  readonly path: string;
  readonly origin: string;
}

interface Probe {
  implementation: string;
  version: [number, number, number];
  executable: string;
  prefix: string;
  base_prefix: string;
  include: string;
  library: string | null;
  looked_for: string[];
  free_threaded: boolean;
  debug: boolean;
}

const probeTimeout = 20_000;
const supportedMinors = [10, 11, 12, 13, 14] as const;
const versionPattern = /^3\.\d{1,2}$/;

function fail(code: ErrorCode, summary: string, tried: readonly string[], remedy: string): never {
  const list = tried.map((line) => `\n    ${line}`).join("");
  throw new ColoopError(code, `${summary}\n  tried:${list}\n  what to do: ${remedy}`);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function venvPython(folder: string): string {
  return process.platform === "win32"
    ? join(folder, "Scripts", "python.exe")
    : join(folder, "bin", "python");
}

function onPath(name: string): string[] {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return [...new Set(folders.map((folder) => join(folder, name)))].filter(isFile);
}

function pyenvPythons(version: string): string[] {
  const root = process.env["PYENV_ROOT"] ?? join(homedir(), ".pyenv");
  const versions = join(root, "versions");
  if (!isFolder(versions)) return [];
  return readdirSync(versions)
    .filter((name) => name === version || name.startsWith(`${version}.`))
    .sort((a, b) => b.localeCompare(a, "en", { numeric: true }))
    .map((name) => join(versions, name, "bin", `python${version}`))
    .filter(isFile);
}

// pyenv's shims answer only for the versions that are switched on; the versions themselves always do.
function pythonsOfVersion(version: string): string[] {
  const name = `python${version}`;
  const found = [
    ...onPath(name),
    ...pyenvPythons(version),
    ...["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"].map((folder) => join(folder, name)),
  ].filter(isFile);
  return [...new Set(found)];
}

function fromSelection(selection: string, origin: string): Candidate[] {
  if (versionPattern.test(selection)) {
    const found = pythonsOfVersion(selection);
    if (found.length > 0)
      return found.map((path) => ({ path, origin: `${origin} (${selection})` }));
    fail(
      "ERR_COLOOP_PYTHON_NOT_FOUND",
      `No Python ${selection} was found (${origin}).`,
      [`python${selection} on PATH`, "pyenv's versions", "/usr/bin, /usr/local/bin"],
      "install it, or give the path of an interpreter",
    );
  }
  const path = resolve(selection);
  if (isFile(path)) return [{ path, origin }];
  if (isFolder(path)) {
    const python = venvPython(path);
    if (isFile(python)) return [{ path: python, origin }];
    const broken = existsSync(join(path, "pyvenv.cfg"));
    fail(
      broken ? "ERR_COLOOP_PYTHON_BROKEN" : "ERR_COLOOP_PYTHON_NOT_FOUND",
      broken
        ? `The venv ${path} has no working interpreter: the Python it was made from is gone (${origin}).`
        : `The folder ${path} is no venv (${origin}).`,
      [python],
      broken
        ? "make the venv anew"
        : "give an interpreter, a venv's folder, or a version such as 3.12",
    );
  }
  fail(
    "ERR_COLOOP_PYTHON_NOT_FOUND",
    `There is no interpreter at ${path} (${origin}).`,
    [path],
    "give an interpreter, a venv's folder, or a version such as 3.12",
  );
}

function candidates(selection: string | undefined): Candidate[] {
  if (selection !== undefined) return fromSelection(selection, "the option `python`");
  const variable = process.env["COLOOP_PYTHON"];
  if (variable !== undefined && variable !== "") return fromSelection(variable, "COLOOP_PYTHON");
  if (isFolder(".venv")) return fromSelection(".venv", "./.venv");
  const active = process.env["VIRTUAL_ENV"];
  if (active !== undefined && active !== "") return fromSelection(active, "VIRTUAL_ENV");
  const found = onPath("python3");
  if (found.length > 0) return [{ path: found[0] as string, origin: "python3 on PATH" }];
  fail(
    "ERR_COLOOP_PYTHON_NOT_FOUND",
    "No Python was found.",
    ["COLOOP_PYTHON (not set)", "./.venv", "VIRTUAL_ENV (not set)", "python3 on PATH"],
    "install Python 3.10 or later with a shared libpython, or set COLOOP_PYTHON",
  );
}

function probe({ path, origin }: Candidate): Probe {
  const tried = [`${path} (${origin})`];
  const result = spawnSync(path, ["-I", "-c", probeScript], {
    encoding: "utf8",
    timeout: probeTimeout,
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 20,
  });
  if (result.status === 0) {
    try {
      return JSON.parse(result.stdout) as Probe;
    } catch {
      tried.push(`it printed: ${result.stdout.slice(0, 200).trim() || "nothing"}`);
    }
  }
  const oldPython = /SyntaxError|unknown option -I/i.test(result.stderr ?? "");
  if (oldPython) {
    fail(
      "ERR_COLOOP_PYTHON_UNSUPPORTED",
      `${path} is a Python too old for coloop.`,
      tried,
      "use CPython 3.10 or later",
    );
  }
  const reason = result.error?.message ?? (result.stderr ?? "").trim().split("\n").at(-1);
  tried.push(reason === undefined || reason === "" ? `exit status ${result.status}` : reason);
  fail(
    "ERR_COLOOP_PYTHON_BROKEN",
    `${path} does not run as a Python interpreter (${origin}).`,
    tried,
    "run it by hand; a venv whose base is gone must be made anew",
  );
}

function check(found: Probe, { path, origin }: Candidate): Interpreter {
  const [major, minor] = found.version;
  const version = found.version.join(".");
  const tried = [`${path} (${origin}): ${found.implementation} ${version}`];
  const unsupported = (why: string): never =>
    fail(
      "ERR_COLOOP_PYTHON_UNSUPPORTED",
      `${path} cannot be used: ${why}.`,
      tried,
      "use CPython 3.10 to 3.14, the ordinary build",
    );
  if (found.implementation !== "cpython") unsupported(`it is ${found.implementation}, not CPython`);
  if (major !== 3 || !(supportedMinors as readonly number[]).includes(minor)) {
    unsupported(`version ${version} is not supported`);
  }
  if (found.free_threaded) unsupported("it is a free-threaded build");
  if (found.debug) unsupported("it is a debug build, which has an ABI of its own");
  if (found.library === null) {
    fail(
      "ERR_COLOOP_NO_SHARED_LIBPYTHON",
      `${path} (${version}) has no shared libpython, so it cannot be embedded.`,
      [...tried, ...found.looked_for],
      "Debian and Ubuntu: apt-get install libpython3-dev; pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install",
    );
  }
  return {
    executable: found.executable,
    version,
    tag: `cp${major}${minor}`,
    library: found.library,
    include: found.include,
    prefix: found.prefix,
    basePrefix: found.base_prefix,
    origin,
  };
}

/**
 * Finds the interpreter that a selection means, without starting Python in this process.
 *
 * @param selection - an interpreter's path, a venv's folder, or a version such as `"3.12"`; without it
 * `COLOOP_PYTHON`, `./.venv`, `VIRTUAL_ENV`, `python3` on PATH
 * @throws ColoopError `ERR_COLOOP_PYTHON_NOT_FOUND`, `ERR_COLOOP_PYTHON_BROKEN`,
 * `ERR_COLOOP_PYTHON_UNSUPPORTED`, `ERR_COLOOP_NO_SHARED_LIBPYTHON`: what was tried, what to do
 */
export function discoverInterpreter(selection?: string): Interpreter {
  if (selection !== undefined) checkString(selection, "the option `python`");
  const found = candidates(selection);
  let first: unknown;
  for (const candidate of found) {
    try {
      return check(probe(candidate), candidate);
    } catch (error) {
      first ??= error;
    }
  }
  throw first;
}
