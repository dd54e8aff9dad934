// Which interpreter is chosen, in what order, and what an unusable choice says.

import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { discoverInterpreter, type Interpreter } from "../../src/discover.js";
import { ColoopError } from "../../src/errors.js";

let real: Interpreter;
let folder: string;
let home: string;
let empty: string;

beforeAll(() => {
  real = discoverInterpreter();
  home = process.cwd();
});

// Every test has an empty folder to work in, and neither variables nor a PATH that lead to a Python.
beforeEach(() => {
  folder = realpathSync(mkdtempSync(path.join(tmpdir(), "coloop discover-")));
  empty = path.join(folder, "empty");
  mkdirSync(empty);
  process.chdir(folder);
  vi.stubEnv("COLOOP_PYTHON", undefined);
  vi.stubEnv("VIRTUAL_ENV", undefined);
  vi.stubEnv("PYENV_ROOT", empty);
  vi.stubEnv("PATH", empty);
});

afterEach(() => {
  process.chdir(home);
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

afterAll(() => process.chdir(home));

function write(name: string, text: string, mode = 0o755): string {
  const file = path.resolve(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
  return file;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** An interpreter that runs `before`, then what it is asked to: the real one with other facts. */
function pretend(name: string, before: string): string {
  const program = `import sys\ncode = sys.argv[1]\n${before}\nexec(code)`;
  return write(name, `#!/bin/sh\nexec ${quote(real.executable)} -I -c ${quote(program)} "$3"\n`);
}

/** A venv whose `bin/python` is the real interpreter. */
function makeVenv(name: string): string {
  const venv = path.join(folder, name);
  execFileSync(real.executable, ["-I", "-m", "venv", "--without-pip", "--symlinks", venv]);
  return venv;
}

function failure(selection?: string, timeout?: number): ColoopError {
  try {
    discoverInterpreter(selection, timeout);
  } catch (error) {
    if (error instanceof ColoopError) return error;
    throw error;
  }
  throw new Error(`${selection} was accepted`);
}

describe("what an interpreter is", () => {
  test("its facts are its own", () => {
    const code = `import sys, sysconfig, json
print(json.dumps([sys.version.split()[0], sys.prefix, sys.base_prefix,
  sysconfig.get_paths()["include"], sysconfig.get_config_var("SOABI"), list(sys.version_info[:3])]))`;
    const facts = JSON.parse(
      execFileSync(real.executable, ["-I", "-c", code], { encoding: "utf8" }),
    );
    const found = discoverInterpreter(real.executable);
    expect([
      found.version,
      found.prefix,
      found.basePrefix,
      found.include,
      found.soabi,
      found.versionInfo,
    ]).toEqual(facts);
    expect(found.tag).toBe(`cp${facts[5][0]}${facts[5][1]}`);
  });

  test("its library is a shared libpython of its version", () => {
    const [major, minor] = real.versionInfo;
    expect(path.basename(real.library)).toMatch(
      new RegExp(`^libpython${major}\\.${minor}\\.(so|dylib)`),
    );
    expect(existsSync(real.library)).toBe(true);
  });

  test("what was tried ends with it", () => {
    const { tried } = discoverInterpreter(real.executable);
    expect(tried).toEqual([`${real.executable} (the option \`python\`): cpython ${real.version}`]);
  });

  test("a venv is told from its base", () => {
    const venv = makeVenv("some venv");
    const found = discoverInterpreter(venv);
    expect(found.prefix).toBe(venv);
    expect(found.basePrefix).toBe(real.basePrefix);
    expect(found.executable).toBe(path.join(venv, "bin", "python"));
    expect(realpathSync(found.library)).toBe(realpathSync(real.library));
  });

  test("a library that is only named by the build's settings is found", () => {
    const python = pretend("unmapped", hideMemoryMap);
    expect(realpathSync(discoverInterpreter(python).library)).toBe(realpathSync(real.library));
  });
});

const hideMemoryMap = `
import builtins
real_open = builtins.open
def no_maps(file, *rest, **named):
    if file == "/proc/self/maps":
        raise OSError(file)
    return real_open(file, *rest, **named)
builtins.open = no_maps`;

describe("order", () => {
  test("the option comes before COLOOP_PYTHON", () => {
    vi.stubEnv("COLOOP_PYTHON", "/nowhere/python");
    expect(discoverInterpreter(real.executable).version).toBe(real.version);
  });

  test("COLOOP_PYTHON comes before ./.venv", () => {
    mkdirSync(".venv");
    vi.stubEnv("COLOOP_PYTHON", real.executable);
    expect(discoverInterpreter().tried[0]).toContain("(COLOOP_PYTHON)");
  });

  test("./.venv comes before VIRTUAL_ENV", () => {
    makeVenv(".venv");
    vi.stubEnv("VIRTUAL_ENV", "/nowhere");
    const found = discoverInterpreter();
    expect(found.prefix).toBe(path.join(folder, ".venv"));
    expect(found.tried[0]).toContain("(./.venv)");
  });

  test("VIRTUAL_ENV comes before python3 on PATH", () => {
    vi.stubEnv("VIRTUAL_ENV", makeVenv("active"));
    pretend("empty/python3", "raise SystemExit(1)");
    expect(discoverInterpreter().prefix).toBe(path.join(folder, "active"));
  });

  test("python3 on PATH comes last", () => {
    pretend("empty/python3", "");
    expect(discoverInterpreter().tried[0]).toContain("(python3 on PATH)");
  });

  test("an empty COLOOP_PYTHON or VIRTUAL_ENV counts as not set", () => {
    vi.stubEnv("COLOOP_PYTHON", "");
    vi.stubEnv("VIRTUAL_ENV", "");
    pretend("empty/python3", "");
    expect(discoverInterpreter().version).toBe(real.version);
  });

  test("a python3 on PATH that only says it is not there is passed over", () => {
    write("shims/python3", "#!/bin/sh\necho 'pyenv: python3: command not found' >&2\nexit 127\n");
    pretend("empty/python3", "");
    vi.stubEnv("PATH", `${path.join(folder, "shims")}:${empty}`);
    const { tried } = discoverInterpreter();
    expect(tried).toHaveLength(4);
    expect(tried.join("\n")).toMatch(/shims.*\n.*command not found\n.*exit status 127\n.*cpython/);
  });

  test("a python3 on PATH that cannot be used is not passed over", () => {
    pretend("first/python3", 'sys.implementation.name = "pypy"');
    pretend("empty/python3", "");
    vi.stubEnv("PATH", `${path.join(folder, "first")}:${empty}`);
    expect(failure().code).toBe("ERR_COLOOP_PYTHON_UNSUPPORTED");
  });
});

describe("selections", () => {
  test("the command's name", () => {
    pretend("empty/python-of-mine", "");
    expect(discoverInterpreter("python-of-mine").tried[0]).toContain("from PATH");
  });

  test("a relative path", () => {
    pretend("mine/python", "");
    expect(discoverInterpreter("mine/python").version).toBe(real.version);
  });

  test("a version on PATH", () => {
    const minor = real.versionInfo.slice(0, 2).join(".");
    pretend(`empty/python${minor}`, "");
    expect(discoverInterpreter(minor).tried[0]).toContain(`version ${minor}`);
  });

  test("a version among pyenv's, the newest first", () => {
    const minor = real.versionInfo.slice(0, 2).join(".");
    const [newest, older] = [`${minor}.110`, `${minor}.99`];
    for (const version of [newest, older]) {
      const info = version.split(".").join(", ");
      pretend(`pyenv/versions/${version}/bin/python`, `sys.version_info = (${info}, "final", 0)`);
    }
    vi.stubEnv("PYENV_ROOT", path.join(folder, "pyenv"));
    expect(discoverInterpreter(newest).version).toBe(newest);
    expect(discoverInterpreter(older).version).toBe(older);
  });

  test("a version's broken interpreter is passed over for another of that version", () => {
    const minor = real.versionInfo.slice(0, 2).join(".");
    write(`first/python${minor}`, "#!/bin/sh\necho broken >&2\nexit 1\n");
    pretend(`empty/python${minor}`, "");
    vi.stubEnv("PATH", `${path.join(folder, "first")}:${empty}`);
    const { tried } = discoverInterpreter(minor);
    expect(tried[0]).toContain("first");
    expect(tried.at(-1)).toContain(empty);
  });

  test("an interpreter that is another version than its name says is not taken", () => {
    const other = real.versionInfo[1] === 12 ? "3.13" : "3.12";
    pretend(`empty/python${other}`, "");
    pretend(`pyenv/versions/${other}.1/bin/python`, "");
    vi.stubEnv("PYENV_ROOT", path.join(folder, "pyenv"));
    // This machine may have that version in /usr/bin.
    const tried = existsSync(`/usr/bin/python${other}`)
      ? discoverInterpreter(other).tried.join()
      : failure(other).message;
    expect(tried).toContain(`python${other} (the option`);
  });

  test("what a .pth file prints is not the answer", () => {
    const python = pretend(
      "chatty",
      'print("hello {")\nimport atexit; atexit.register(print, "bye")',
    );
    expect(discoverInterpreter(python).version).toBe(real.version);
  });
});

describe("refused, with the reason", () => {
  const unsupported: [what: string, before: string, message: RegExp][] = [
    ["PyPy", 'sys.implementation.name = "pypy"', /it is pypy, not CPython/],
    ["3.9", 'sys.version_info = (3, 9, 18, "final", 0)', /version 3\.9\.18/],
    ["a version of the future", 'sys.version_info = (3, 99, 0, "final", 0)', /version 3\.99\.0/],
    [
      "a free-threaded build",
      'import sysconfig; sysconfig.get_config_vars()["Py_GIL_DISABLED"] = 1',
      /free-threaded/,
    ],
    [
      "a debug build",
      'import sysconfig; sysconfig.get_config_vars()["Py_DEBUG"] = 1',
      /debug build/,
    ],
  ];

  test.each(unsupported)("%s", (_, before, message) => {
    const error = failure(pretend("python", before));
    expect(error.code).toBe("ERR_COLOOP_PYTHON_UNSUPPORTED");
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/what to do: use CPython 3\.10 to 3\.13/);
  });

  test("Python 2, which has no isolated mode", () => {
    const python = write("python2", "#!/bin/sh\necho 'Unknown option: -I' >&2\nexit 2\n");
    expect(failure(python).code).toBe("ERR_COLOOP_PYTHON_UNSUPPORTED");
    expect(failure(python).message).toContain("too old");
  });

  test("a build without a shared libpython: the places where it was looked for", () => {
    const settings = `${hideMemoryMap}
import sysconfig
sysconfig.get_config_vars().update(
    INSTSONAME="libpython3.x.so.1.0", LDLIBRARY="libpython3.x.a",
    LIBDIR="/some/lib", MULTIARCH="any-linux", LIBPL="/some/config")
sys.base_prefix = "/some/base"`;
    const error = failure(pretend("python", settings));
    expect(error.code).toBe("ERR_COLOOP_NO_SHARED_LIBPYTHON");
    for (const place of ["lib", "lib/any-linux", "base/lib", "base/lib64", "config"]) {
      expect(error.message).toContain(`/some/${place}/libpython3.x.so.1.0\n`);
    }
    expect(error.message).not.toContain(".a\n");
    expect(error.message).toMatch(/apt-get install libpython3\.\d+; pyenv: .*--enable-shared/);
  });

  test("a static build that names no library at all", () => {
    const settings = `${hideMemoryMap}
import sysconfig
sysconfig.get_config_vars().update(INSTSONAME="libpython3.x.a", LDLIBRARY="libpython3.x.a")`;
    const error = failure(pretend("python", settings));
    expect(error.code).toBe("ERR_COLOOP_NO_SHARED_LIBPYTHON");
    expect(error.message).toContain("Py_ENABLE_SHARED is 0");
  });

  test("nothing anywhere: all places are named", () => {
    const error = failure();
    expect(error.code).toBe("ERR_COLOOP_PYTHON_NOT_FOUND");
    for (const place of ["COLOOP_PYTHON", "./.venv", "VIRTUAL_ENV", "python3 on PATH"]) {
      expect(error.message).toContain(`\n    ${place}`);
    }
    expect(error.message).toContain("\n  what to do: install");
  });

  const absent: [what: string, selection: string][] = [
    ["a path that is not there", "/nowhere/python"],
    ["a command that is not there", "python-that-is-not-there"],
    ["a version that is not there", "3.77"],
    ["a patch version that is not there", "3.77.1"],
    ["a folder that is no venv", "."],
    ["a path through a file", "/etc/passwd/python"],
    ["a NUL", "py\0thon"],
    ["something else", "latest"],
  ];

  test.each(absent)("%s", (_, selection) => {
    const error = failure(selection);
    expect(error.code).toBe("ERR_COLOOP_PYTHON_NOT_FOUND");
    expect(error.message).toMatch(/\n {2}tried:\n {4}.+[\s\S]+\n {2}what to do: ./);
  });

  test("a loop of links", () => {
    symlinkSync("b", "a");
    symlinkSync("a", "b");
    expect(failure("a").code).toBe("ERR_COLOOP_PYTHON_BROKEN");
  });

  test("a COLOOP_PYTHON that is not there is not replaced by the next choice", () => {
    makeVenv(".venv");
    vi.stubEnv("COLOOP_PYTHON", "/nowhere/python");
    expect(failure().message).toMatch(/\/nowhere\/python \(COLOOP_PYTHON\)/);
  });

  test("a .venv that is no venv is not replaced by the next choice", () => {
    mkdirSync(".venv");
    pretend("empty/python3", "");
    expect(failure().message).toMatch(/\.venv is no venv/);
  });

  test("wrong types", () => {
    for (const value of [5, null, {}, ["3.12"], true, ""]) {
      expect(() => discoverInterpreter(value as string)).toThrow(
        expect.objectContaining({ code: "ERR_COLOOP_ARGUMENT" }),
      );
    }
  });
});

describe("broken", () => {
  function expectBroken(selection: string, message: RegExp, timeout?: number): void {
    const error = failure(selection, timeout);
    expect(error.code).toBe("ERR_COLOOP_PYTHON_BROKEN");
    expect(error.message).toMatch(message);
    expect(error.message).toContain("what to do: ");
  }

  test("a text file", () => expectBroken(write("notes.txt", "notes", 0o644), /EACCES/));

  test("an executable file that is no program", () => {
    expectBroken(write("data", "\u0001\u0002", 0o755), /exit status 127|ENOEXEC/);
  });

  test("a script that does something else", () => {
    expectBroken(write("script", "#!/bin/sh\necho hello there\n"), /it printed: hello there/);
  });

  test("a script that answers with nonsense", () => {
    expectBroken(write("script", "#!/bin/sh\necho 'coloop-probe:{'\n"), /coloop-probe/);
  });

  test("a script that prints nothing", () => {
    expectBroken(write("script", "#!/bin/sh\nexit 0\n"), /exit status 0/);
  });

  test("a script that prints without end", () => {
    expectBroken(write("script", "#!/bin/sh\nwhile :; do echo more; done\n"), /ENOBUFS/);
  });

  test("a program that ends by a signal", () => {
    expectBroken(write("script", "#!/bin/sh\nkill -SEGV $$\n"), /ended by SIGSEGV/);
  });

  test("an interpreter without its standard library", () => {
    const python = pretend("python", "raise ModuleNotFoundError(\"No module named 'encodings'\")");
    expectBroken(python, /it printed: ModuleNotFoundError: No module named 'encodings'/);
  });

  test("one that does not answer in time, not even to SIGTERM", () => {
    const start = performance.now();
    const script = write("script", "#!/bin/sh\ntrap '' TERM\nwhile :; do /bin/sleep 0.1; done\n");
    expectBroken(script, /no answer within 400 ms/, 400);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("a venv whose base is gone", () => {
    const venv = makeVenv("venv");
    for (const name of ["python", "python3"]) {
      const link = path.join(venv, "bin", name);
      rmSync(link);
      symlinkSync("/nowhere/python3", link);
    }
    expectBroken(venv, /the Python it was made from is gone[\s\S]*make the venv anew/);
    expectBroken(path.join(venv, "bin", "python"), /a link to an interpreter that is gone/);
  });
});
