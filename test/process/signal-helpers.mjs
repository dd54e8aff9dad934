// What becomes of the process's signals.
import { readFileSync } from "node:fs";

/** Which signals are ignored, caught and blocked: the kernel's masks, signal n is bit n - 1. */
export function masks() {
  const status = readFileSync("/proc/self/status", "utf8");
  const mask = (name) => BigInt(`0x${status.match(new RegExp(`${name}:\\s+([0-9a-f]+)`))[1]}`);
  return { ignored: mask("SigIgn"), caught: mask("SigCgt"), blocked: mask("SigBlk") };
}

/** Ways to run a coroutine with a loop of asyncio's; each hands main to JavaScript's `inside` first. */
const ways = `
import asyncio, coloop, threading

async def main():
    coloop.call("inside")
    return await asyncio.sleep(0.01, 7)

def run():
    return asyncio.run(main())

def runner():
    if not hasattr(asyncio, "Runner"):
        return run()
    with asyncio.Runner() as runner:
        return runner.run(main())
`;

/**
 * Sends the process a SIGINT inside each way, on this thread and on one of Python's. For each its name, its
 * result or its error's name, and how often Node.js heard the signal; "changed" where a mask was another.
 */
export async function interruptRuns(py) {
  let heard = 0;
  const listener = () => {
    heard += 1;
  };
  process.on("SIGINT", listener);
  const before = masks();
  const same = () => Object.entries(masks()).every(([name, mask]) => mask === before[name]);
  let seen;
  py.register("inside", () => {
    seen.push(same() ? "as before" : "changed");
    process.kill(process.pid, "SIGINT");
  });
  py.execSync(ways);
  const results = [];
  for (const way of ["run", "runner"]) {
    for (const thread of [false, true]) {
      heard = 0;
      seen = [];
      const code = thread ? `await asyncio.to_thread(${way})` : `${way}()`;
      const call = async () => (thread ? py.eval(code) : py.evalSync(code));
      const result = await call().catch((error) => error.name);
      while (heard === 0) await new Promise((resolve) => setImmediate(resolve));
      seen.push(same() ? "as before" : "changed");
      results.push([`${way}${thread ? " in a thread" : ""}`, result, heard, ...seen]);
    }
  }
  process.off("SIGINT", listener);
  return results;
}
