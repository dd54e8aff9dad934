// Work for JavaScript's thread and an interrupt that come while an owned loop runs callbacks on it, whichever
// of its looks at the descriptors finds the wake-up: the loop does not wait before it has met them.
import { Python } from "coloop";

const py = await Python.start();
py.register("add", (a, b) => a + b);
py.execSync(`
import asyncio, threading, time
from coloop import add

async def main(generations, at):
    asked = threading.Event()

    def job():
        asked.wait()
        return add(generations, at)

    future = asyncio.get_running_loop().run_in_executor(None, job)
    await asyncio.sleep(0.005)
    for i in range(generations):
        if i == at:
            asked.set()
            time.sleep(0.002)  # the wake-up comes while this callback runs
        await asyncio.sleep(0)
    assert await future == generations + at

async def endless(generations):
    for _ in range(generations):
        time.sleep(0.001)
        await asyncio.sleep(0)
    await asyncio.get_running_loop().create_future()
`);
for (let generations = 1; generations < 8; generations++) {
  for (let at = 0; at < generations; at++) {
    py.evalSync("asyncio.run(main(generations, at))", { generations, at });
  }
}
let interrupted = 0;
for (let timeout = 1; timeout < 12; timeout++) {
  try {
    py.evalSync("asyncio.run(endless(8))", {}, { timeout });
  } catch (error) {
    if (error.name === "PythonTimeoutError") interrupted++;
    else throw error;
  }
}
console.log(interrupted === 11 ? "pass" : interrupted);
await py.close();
