// Work that 'beforeExit' starts in Python runs.
import { Python } from "coloop";

const py = await Python.start();
process.once("beforeExit", async () => {
  await py.exec("import asyncio\nawait asyncio.sleep(0.01)");
  console.log("pass");
});
