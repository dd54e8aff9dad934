// Where RTLD_DEEPBIND cannot be used, Python runs all the same. Argument: the reason that is expected.
import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createRequire } from "node:module";
import os from "node:os";
import { discoverInterpreter, Python } from "coloop";

const py = await Python.start();
const loader = createRequire(import.meta.url)("../../build/loader/coloop_loader.node");
const loaded = loader.load({ library: discoverInterpreter().library, plain: false });
strictEqual(loaded.mode, "plain");
match(loaded.reason, new RegExp(process.argv[2]));
deepStrictEqual(loaded.preloaded, []);
const deepBind = os.constants.dlopen.RTLD_DEEPBIND ?? 0;
strictEqual(py.evalSync("__import__('sys').getdlopenflags()") & deepBind, 0);
py.execSync(`
import bz2, hashlib, os, sqlite3, ssl, zlib
data = b"plain" * 10000
assert zlib.decompress(zlib.compress(data)) == data
assert bz2.decompress(bz2.compress(data)) == data
ssl.create_default_context()
digest = hashlib.sha256(data).hexdigest()
row = sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0]
variable = os.environ["COLOOP_TEST_VARIABLE"]
`);
const { createHash } = await import("node:crypto");
strictEqual(
  py.evalSync("digest"),
  createHash("sha256").update("plain".repeat(10000)).digest("hex"),
);
strictEqual(py.evalSync("row"), 42);
strictEqual(py.evalSync("variable"), "set by the test");
console.log("pass");
