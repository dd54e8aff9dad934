// An interpreter that a Worker left is the next one's, which finds nothing of its modules and names;
// one whose threads still run is left alone.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { Python } from "coloop";
import { inOwn, startOwn, told } from "./own-helpers.mjs";

await Python.start();
const folder = mkdtempSync(path.join(os.tmpdir(), "coloop-own-"));
writeFileSync(path.join(folder, "counted.py"), "count = 0\n");
const task = async ({ py, assert }, { folder }) => {
  assert.equal(py.evalSync("folder in __import__('sys').path", { folder }), false);
  assert.equal(py.evalSync("'counted' in __import__('sys').modules"), false);
  assert.equal(py.evalSync("'left' in globals()"), false);
  py.evalSync("__import__('sys').path.insert(0, folder)", { folder });
  py.execSync("import counted\ncounted.count += 1\nleft = 1");
  assert.equal(py.evalSync("counted.count"), 1);
  const { threading } = py.evalSync("{'threading': __import__('threading')}");
  assert.equal(threading.current_thread().ident, threading.get_ident());
  assert.ok(threading.enumerate().length <= 2); // the process's main thread with 3.13, and this one
  return py.evalSync("id(__import__('sys').modules)").toString();
};
const first = await inOwn(task, { folder });
const second = await inOwn(task, { folder });
assert.equal(second, first);

// Workers at the same time have different ones.
const identify = ({ py, tell }) => {
  setInterval(() => {}, 1000);
  tell(py.evalSync("id(__import__('sys').modules)").toString());
};
async function together(count) {
  const workers = Array.from({ length: count }, () => startOwn(identify));
  const ids = await Promise.all(workers.map(told));
  await Promise.all(workers.map((worker) => worker.terminate()));
  return ids;
}
const pair = await together(2);
assert.equal(new Set(pair).size, 2);
assert.ok(pair.includes(first));

// A thread that outlives its Worker keeps its interpreter from the next.
const kept = await inOwn(({ py }) => {
  py.execSync(`
import threading
end = threading.Event()
threading.Thread(target=end.wait, args=(60,), daemon=True).start()
`);
  return py.evalSync("id(__import__('sys').modules)").toString();
});
assert.ok(pair.includes(kept));
assert.equal((await together(2)).includes(kept), false);
rmSync(folder, { recursive: true });
console.log("pass");
