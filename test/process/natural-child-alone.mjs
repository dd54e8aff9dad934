// A child that nobody waits for does not keep Node alive.
// within: 15000
import { Python } from "coloop";

const py = await Python.start({ sandbox: { subprocess: () => true } });
await py.exec(`
import asyncio, subprocess
child = await asyncio.to_thread(subprocess.Popen, ["sleep", "30"])`);
const { pid } = py.globals.child;
process.on("exit", () => {
  process.kill(pid);
  console.log("pass");
});
