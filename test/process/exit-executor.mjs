// An executor's thread that sleeps for 30 seconds holds the process for the grace (2 s) only.
// within: 8000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio, time
asyncio.get_event_loop().run_in_executor(None, time.sleep, 30)
`);
console.log("pass");
setTimeout(() => process.exit(0), 50);
