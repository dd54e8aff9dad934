// close() ends the children of the loop; a thread that waits for a decision learns of it, one that waits for
// its own child gets the status later. No descriptor is left.
// within: 20000
import { strictEqual } from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { Python } from "coloop";

const folder = mkdtempSync(path.join(tmpdir(), "coloop-children-"));
const file = path.join(folder, "go");
let asked = 0;
const subprocess = ({ argv }) => {
  asked += 1;
  return argv[0] === "never" ? new Promise(() => {}) : true;
};
const descriptors = () => readdirSync("/proc/self/fd").length;
const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

let py = await Python.start({ sandbox: { subprocess } });
await py.exec("import asyncio; await asyncio.create_subprocess_exec('true')"); // opens what stays open
asked = 0;
const before = descriptors();
py.globals.file = file;
await py.exec(`
import asyncio, os, subprocess, threading

answers = {}

def ask():
    try:
        subprocess.run(["never"])
    except RuntimeError as error:
        answers["asked"] = str(error)

def wait():
    answers["waited"] = subprocess.call(["sh", "-c", f"until test -e {file}; do sleep 0.01; done; exit 3"])

threads = [threading.Thread(target=target) for target in (ask, wait)]
for thread in threads:
    thread.start()
PIPE = asyncio.subprocess.PIPE
children = [await asyncio.create_subprocess_exec("sleep", "100", stdin=PIPE, stdout=PIPE) for i in range(5)]
pids = [child.pid for child in children]
pending = asyncio.ensure_future(asyncio.create_subprocess_exec("never", stdin=PIPE))
reading = asyncio.ensure_future(children[0].communicate())`);
const { pids } = py.globals;
while (asked < 8) await turn();
await py.close();
for (const pid of pids) {
  let alive = true;
  try {
    process.kill(pid, 0);
  } catch {
    alive = false;
  }
  strictEqual(alive, false, `the child ${pid} lives`);
}
writeFileSync(file, "");
py = await Python.start({ sandbox: { subprocess } });
await py.exec("for thread in threads: await asyncio.to_thread(thread.join, 10)");
const { answers } = py.globals;
strictEqual(answers.asked, "the child was not started: Python was closed");
strictEqual(answers.waited, 3);
py.execSync("import gc; asyncio.get_event_loop()._default_executor.shutdown(); gc.collect()");
strictEqual(descriptors() <= before, true, `${before} descriptors before, ${descriptors()} after`);
await py.close();
rmSync(folder, { recursive: true });
console.log("pass");
