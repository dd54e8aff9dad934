// The loader addon by itself: what it refuses leaves nothing behind, what it loads it loads once.
// Argument: an empty folder.
import { deepStrictEqual, match, ok, strictEqual, throws } from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { discoverInterpreter } from "coloop";

const folder = process.argv[2];
const addon = path.resolve(import.meta.dirname, "../../build/loader/coloop_loader.node");
const { load } = createRequire(import.meta.url)(addon);
const { library } = discoverInterpreter();
const whole = readFileSync(library);

function refused(name, contents) {
  const file = path.join(folder, name);
  if (contents !== undefined) writeFileSync(file, contents, { mode: 0o755 });
  throws(
    () => load({ library: file, plain: false }),
    (error) => {
      strictEqual(error.code, "ERR_COLOOP_DLOPEN", name);
      ok(error.message.includes(file), `${name}: ${error.message}`);
      return true;
    },
  );
}

refused("absent.so");
refused("empty.so", "");
refused("text.so", "no library");
for (const size of [4, 17, 63, 64, 100, 500, 5000, 1 << 20]) {
  refused(`cut-at-${size}.so`, whole.subarray(0, size));
}
const other = Buffer.from(whole.subarray(0, 64));
other[4] = other[4] === 1 ? 2 : 1; // the word size
refused("other-class.so", other);
const machine = Buffer.from(whole);
machine.writeUInt16LE(0xbeef, 18);
refused("other-machine.so", machine);
refused("with a space.so", "no library");
refused("a-folder.so/", undefined);

for (const options of [{}, { library }, { library, plain: 1 }, { library: "", plain: false }]) {
  throws(() => load(options), { code: "ERR_COLOOP_ARGUMENT" });
}

const loaded = load({ library, plain: false });
match(loaded.mode, /^(isolated|plain)$/);
ok(loaded.reason.length > 0);
ok(loaded.preloaded.every((name) => !/^(libc|libm|libdl|libpthread)\./.test(name)));
deepStrictEqual(load({ library, plain: false }), loaded);
deepStrictEqual(load({ library, plain: true }), loaded);
symlinkSync(library, path.join(folder, "link.so"));
deepStrictEqual(load({ library: path.join(folder, "link.so"), plain: false }), loaded);
writeFileSync(path.join(folder, "copy.so"), whole, { mode: 0o755 });
throws(() => load({ library: path.join(folder, "copy.so"), plain: false }), {
  code: "ERR_COLOOP_OTHER_INTERPRETER",
});

const source = `const { parentPort, workerData } = require("node:worker_threads");
const { load } = require(workerData.addon);
parentPort.postMessage(load(workerData));`;
const workers = Array.from(
  { length: 4 },
  () => new Worker(source, { eval: true, workerData: { addon, library, plain: false } }),
);
const answers = await Promise.all(workers.map((worker) => once(worker, "message")));
for (const [answer] of answers) deepStrictEqual(answer, loaded);
console.log("pass");
