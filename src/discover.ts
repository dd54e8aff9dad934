// Finding the interpreter: which one is meant, where its libpython is, whether it can be embedded.

import { spawnSync } from "node:child_process";
import { lstatSync, readdirSync, type Stats, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, delimiter, join, resolve } from "node:path";
import { getEnvironmentData, type Serializable, setEnvironmentData } from "node:worker_threads";
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
  /** Found by its name: it may be a shim of pyenv's or asdf's, with no interpreter behind it. */
  readonly named: boolean;
  /** The version that it was found for. */
  readonly version?: string;
}

const oldestMinor = 10;
const newestMinor = 14;
const newestTestedMinor = 13;
const defaultTimeout = 20_000;
const commandNotFound = 127; // a shell's exit status, and that of pyenv's shims
const versionPattern = /^(\d+\.\d+)(\.\d+)?$/;
const supported = `CPython 3.${oldestMinor} to 3.${newestTestedMinor}, the ordinary build`;
const selections = "give an interpreter's path, a venv's folder, or a version such as 3.12";

/** Why a candidate is not taken. */
interface Refusal {
  readonly code: ErrorCode;
  readonly summary: string;
  readonly remedy: string;
}

// Of several refusals the one told first is the one that knows most.
const telling: readonly ErrorCode[] = [
  "ERR_COLOOP_NO_SHARED_LIBPYTHON",
  "ERR_COLOOP_PYTHON_UNSUPPORTED",
  "ERR_COLOOP_PYTHON_BROKEN",
  "ERR_COLOOP_PYTHON_NOT_FOUND",
];

function fail({ code, summary, remedy }: Refusal, tried: readonly string[]): never {
  const list = tried.map((line) => `\n    ${line}`).join("");
  throw new ColoopError(code, `${summary}\n  tried:${list}\n  what to do: ${remedy}`);
}

// A path that cannot be looked at (a loop of links, no permission, a NUL in it) is one that is not there.
function look(
  path: string,
  stat: typeof statSync | typeof lstatSync = statSync,
): Stats | undefined {
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
    const summary = `No Python ${version} was found (${origin}).`;
    const remedy = "install it, or give the path of an interpreter";
    const usual = "/usr/bin, /usr/local/bin, /opt/homebrew/bin";
    fail({ code: "ERR_COLOOP_PYTHON_NOT_FOUND", summary, remedy }, [
      `python${minor} on PATH`,
      "pyenv's versions",
      usual,
    ]);
  }
  return found.map((path) => ({
    path,
    named: true,
    version,
    origin: `${origin}, version ${version}`,
  }));
}

function fromFolder(folder: string, origin: string): Candidate[] {
  const pythons = venvPythons(folder);
  const python = pythons.find(isFile);
  if (python !== undefined) return [{ path: python, named: false, origin }];
  if (isFile(join(folder, "pyvenv.cfg")) || pythons.some(isDeadLink)) {
    const summary = `The venv ${folder} has no interpreter any more: the Python it was made from is gone (${origin}).`;
    fail({ code: "ERR_COLOOP_PYTHON_BROKEN", summary, remedy: "make the venv anew" }, pythons);
  }
  const summary = `The folder ${folder} is no venv (${origin}).`;
  fail({ code: "ERR_COLOOP_PYTHON_NOT_FOUND", summary, remedy: selections }, pythons);
}

function fromSelection(selection: string, origin: string): Candidate[] {
  const path = resolve(selection);
  if (isFile(path)) return [{ path, named: false, origin }];
  if (isFolder(path)) return fromFolder(path, origin);
  const version = versionPattern.exec(selection);
  if (version !== null) return fromVersion(selection, version[1] as string, origin);
  if (isDeadLink(path)) {
    const summary = `${path} is a link to an interpreter that is gone (${origin}).`;
    const remedy = "make the venv anew, or give another interpreter";
    fail({ code: "ERR_COLOOP_PYTHON_BROKEN", summary, remedy }, [path]);
  }
  const isName = basename(selection) === selection;
  const commands = isName ? onPath(selection) : [];
  if (commands.length > 0)
    return commands.map((path) => ({ path, named: true, origin: `${origin}, from PATH` }));
  const summary = `There is no interpreter at ${path} (${origin}).`;
  const tried = isName ? [path, `${selection} on PATH`] : [path];
  fail({ code: "ERR_COLOOP_PYTHON_NOT_FOUND", summary, remedy: selections }, tried);
}

function candidates(selection: string | undefined): Candidate[] {
  if (selection !== undefined) return fromSelection(selection, "the option `python`");
  const variable = process.env["COLOOP_PYTHON"];
  if (variable) return fromSelection(variable, "COLOOP_PYTHON");
  if (isFolder(".venv")) return fromFolder(resolve(".venv"), "./.venv");
  const active = process.env["VIRTUAL_ENV"];
  if (active) return fromFolder(resolve(active), "VIRTUAL_ENV");
  const pythons = onPath("python3");
  if (pythons.length > 0)
    return pythons.map((path) => ({ path, named: true, origin: "python3 on PATH" }));
  const summary = "No Python was found.";
  const remedy = `install ${supported} with its shared libpython, or set COLOOP_PYTHON`;
  fail({ code: "ERR_COLOOP_PYTHON_NOT_FOUND", summary, remedy }, [
    "COLOOP_PYTHON (not set)",
    "./.venv (not there)",
    "VIRTUAL_ENV (not set)",
    "python3 on PATH",
  ]);
}

// What interpreters have answered, so that one is asked once: also for the Workers that come after.
const answersKey = "coloop:interpreters";

function answers(): Readonly<Record<string, Probe>> {
  return (getEnvironmentData(answersKey) ?? {}) as unknown as Record<string, Probe>;
}

function ask(
  { path, named, origin }: Candidate,
  timeout: number,
  tried: string[],
): Probe | Refusal {
  // A shim of pyenv is another interpreter in another folder.
  const key = JSON.stringify([path, process.cwd(), process.env["PYENV_VERSION"]]);
  const known = answers()[key];
  if (known !== undefined) return known;
  const result = spawnSync(path, ["-I", "-c", probeScript], {
    encoding: "utf8",
    timeout,
    killSignal: "SIGKILL", // a program that ignores SIGTERM would hold us for ever
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 1 << 20,
  });
  const { error, status, signal } = result;
  const [stdout, stderr] = [result.stdout ?? "", result.stderr ?? ""]; // null when it did not start
  const found = status === 0 ? readProbe(stdout) : undefined;
  if (found !== undefined) {
    setEnvironmentData(answersKey, { ...answers(), [key]: found } as unknown as Serializable);
    return found;
  }
  const lines = (stderr.trim() || stdout.trim()).split("\n");
  // A traceback ends with the error, everything else begins with it.
  const said = lines.at(lines.some((line) => line.startsWith("Traceback")) ? -1 : 0) ?? "";
  if (said !== "") tried.push(`  it printed: ${said.slice(0, 200)}`);
  const timedOut = (error as NodeJS.ErrnoException | undefined)?.code === "ETIMEDOUT";
  const ending = signal === null ? `exit status ${status}` : `ended by ${signal}`;
  tried.push(`  ${timedOut ? `no answer within ${timeout} ms` : (error?.message ?? ending)}`);
  // Isolated mode came with Python 3.4.
  if (/^unknown option:? -I/im.test(stderr)) {
    const summary = `${path} is a Python too old for coloop (${origin}).`;
    return { code: "ERR_COLOOP_PYTHON_UNSUPPORTED", summary, remedy: `use ${supported}` };
  }
  if (named && status === commandNotFound) {
    const summary = `${path} stands for an interpreter that is not there (${origin}).`;
    return { code: "ERR_COLOOP_PYTHON_NOT_FOUND", summary, remedy: selections };
  }
  const summary = `${path} does not run as a Python interpreter (${origin}).`;
  const remedy = `run it by hand to see why; a venv whose base is gone must be made anew; otherwise ${selections}`;
  return { code: "ERR_COLOOP_PYTHON_BROKEN", summary, remedy };
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

function refusal(
  found: Probe,
  { path, version: wanted }: Candidate,
  tried: string[],
): Refusal | undefined {
  const [major, minor] = found.version;
  const version = found.version.join(".");
  const why = whyUnsupported(found);
  if (why !== undefined) {
    const summary = `${path} cannot be used: ${why}.`;
    return { code: "ERR_COLOOP_PYTHON_UNSUPPORTED", summary, remedy: `use ${supported}` };
  }
  if (wanted !== undefined && wanted !== version && !version.startsWith(`${wanted}.`)) {
    const summary = `No Python ${wanted} was found.`;
    const remedy = "install it, or give another version";
    return { code: "ERR_COLOOP_PYTHON_NOT_FOUND", summary, remedy };
  }
  if (found.library !== null) return undefined;
  tried.push(...found.lookedFor.map((place) => `  ${place}`));
  return {
    code: "ERR_COLOOP_NO_SHARED_LIBPYTHON",
    summary: `${path} (${version}) has no shared libpython, so it cannot be embedded.`,
    remedy:
      `Debian and Ubuntu: apt-get install libpython${major}.${minor}; ` +
      `pyenv: PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install ${version}`,
  };
}

function tryCandidate(
  candidate: Candidate,
  timeout: number,
  tried: string[],
): Interpreter | Refusal {
  const at = tried.push(`${candidate.path} (${candidate.origin})`) - 1;
  const found = ask(candidate, timeout, tried);
  if ("code" in found) return found;
  const version = found.version.join(".");
  tried[at] += `: ${found.implementation} ${version}`;
  const refused = refusal(found, candidate, tried);
  if (refused !== undefined) return refused;
  return {
    executable: found.executable || candidate.path,
    version,
    versionInfo: found.version,
    tag: `cp${found.version[0]}${found.version[1]}`,
    library: found.library as string,
    include: found.include,
    prefix: found.prefix,
    basePrefix: found.basePrefix,
    soabi: found.soabi,
    tried,
  };
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
  const tried: string[] = [];
  const refusals: Refusal[] = [];
  for (const candidate of candidates(selection)) {
    const result = tryCandidate(candidate, timeout, tried);
    if (!("code" in result)) return result;
    refusals.push(result);
    // One that is there but cannot be used is not passed over, unless any of its version will do.
    if (result.code !== "ERR_COLOOP_PYTHON_NOT_FOUND" && candidate.version === undefined) break;
  }
  refusals.sort((a, b) => telling.indexOf(a.code) - telling.indexOf(b.code));
  fail(refusals[0] as Refusal, tried); // there is at least one candidate
}
