// The interpreter in this process is the one that was chosen, venv or not, with its own libraries.

import { execFileSync } from "node:child_process";
import { describe, expect, test } from "vitest";
import { discoverInterpreter } from "../../src/index.js";
import { startPython } from "../helpers/python.js";

const py = await startPython();
const interpreter = discoverInterpreter();

/** What the same expression gives in the interpreter itself, started as a program. */
function standAlone(expression: string): unknown {
  const code = `import importlib.util, json, ssl, sys, sysconfig, zlib\nprint(json.dumps(${expression}))`;
  return JSON.parse(
    execFileSync(interpreter.executable, ["-c", code], { encoding: "utf8", cwd: "/" }),
  );
}

py.execSync("import importlib.util, ssl, sys, sysconfig, zlib");

test("it is the combination that the matrix asked for", () => {
  const found = `${process.versions.node} ${interpreter.version}`;
  expect(found).toBe(process.env["COLOOP_TEST_COMBINATION"] ?? found);
});

describe("as in the interpreter itself", () => {
  test.each([
    ["sys.version"],
    ["sys.executable"],
    ["sys.prefix"],
    ["sys.base_prefix"],
    ["sys.exec_prefix"],
    ["sys.abiflags"],
    ["sys.platform"],
    ["sys.getfilesystemencoding()"],
    ["sorted(sysconfig.get_paths().items())"],
    ["ssl.OPENSSL_VERSION"],
    ["zlib.ZLIB_RUNTIME_VERSION"],
  ])("%s", (expression) => {
    expect(py.evalSync(expression)).toEqual(standAlone(expression));
  });

  test("sys.path, but for the script's folder and ours", () => {
    const own = py.evalSync<string[]>("sys.path");
    const theirs = (standAlone("sys.path") as string[]).filter((entry) => entry !== "");
    expect(own.slice(-theirs.length)).toEqual(theirs);
  });

  test("which of the standard library's extensions there are", () => {
    const names =
      "_asyncio _bz2 _ctypes _datetime _decimal _hashlib _json _lzma _pickle _socket _sqlite3 _ssl _uuid _zoneinfo array math mmap pyexpat select unicodedata zlib".split(
        " ",
      );
    const expression = `[name for name in ${JSON.stringify(names)} if importlib.util.find_spec(name)]`;
    const found = standAlone(expression) as string[];
    expect(found).toContain("_ssl");
    for (const name of found) py.import(name);
    expect(py.evalSync(expression)).toEqual(found);
  });
});

test("a venv is a venv", () => {
  const isVenv = interpreter.prefix !== interpreter.basePrefix;
  expect(py.evalSync("sys.prefix != sys.base_prefix")).toBe(isVenv);
  const [version, library] = [py.version, interpreter.library];
  expect(interpreter.version).toBe(version);
  expect(library).toContain(`libpython${version.split(".").slice(0, 2).join(".")}`);
});

test("the standard library at work: json, sqlite3, decimal, re, hashlib, zoneinfo", () => {
  py.execSync(`
import datetime, decimal, hashlib, json, pickle, re, zlib
assert json.loads(json.dumps({"a": [1, None]})) == {"a": [1, None]}
assert str(decimal.Decimal("0.1") + decimal.Decimal("0.2")) == "0.3"
assert re.sub(r"(\\w)", r"<\\1>", "ab") == "<a><b>"
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
assert zlib.decompress(zlib.compress(b"x" * 1000)) == b"x" * 1000
assert pickle.loads(pickle.dumps(datetime.date(2024, 2, 29))) == datetime.date(2024, 2, 29)
`);
});

test("Node's TLS and compression are still Node's own", async () => {
  const { constants, deflateSync, inflateSync } = await import("node:zlib");
  const { createHash } = await import("node:crypto");
  expect(inflateSync(deflateSync("text")).toString()).toBe("text");
  expect(constants.Z_BEST_COMPRESSION).toBe(9);
  expect(createHash("sha256").update("").digest("hex")).toBe(
    py.import("hashlib").sha256(new Uint8Array()).hexdigest(),
  );
  expect(process.versions.openssl).not.toBe("");
});
