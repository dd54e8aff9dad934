// process.on('SIGTERM') works with Python loaded and a Task running.
// signal: SIGTERM
import { Python } from "coloop";

const py = await Python.start();
process.on("SIGTERM", async () => {
  await py.close();
  console.log("pass");
});
py.eval("await __import__('asyncio').sleep(60)").catch((error) => {
  if (error.name !== "AbortError") throw error;
});
console.log("ready");
