// An orderly end: the Tasks are cancelled, then the hooks run, then the process has its status.
// signal: SIGTERM
// exit: 143
import { Python } from "coloop";

const py = await Python.start();
const steps = [];
py.register("step", (text) => steps.push(text));
py.execSync(`
import asyncio
from coloop import step

async def work():
    try:
        await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.01)
        step("finally")

async def hook():
    await asyncio.sleep(0.01)
    step("Python's hook")
`);
py.globals.work().catch((error) => steps.push(error.name));
py.onShutdown(py.globals.hook);
py.onShutdown(async () => steps.push("JavaScript's hook"));
py.onShutdown(() => steps.push("no hook"))();
py.shutdownOnSignals({ grace: 10_000 });
process.on("exit", () => {
  const wanted = "finally,AbortError,JavaScript's hook,Python's hook";
  console.log(steps.join() === wanted ? "pass" : steps.join());
});
console.log("ready");
