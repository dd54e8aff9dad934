// SystemExit and KeyboardInterrupt in a Task are its outcome, told once; in a callback they go to the exception handler.
import { Python } from "coloop";

const py = await Python.start();
const told = [];
py.on("loopError", ({ exception }) => told.push(exception.name));
const outcome = (code) =>
  py.exec(code).then(
    () => "nothing",
    (error) => `${error.name} ${error.message}`,
  );
const results = [
  await outcome("import sys; sys.exit(4)"),
  await outcome("import asyncio, sys\nawait asyncio.sleep(0)\nsys.exit(5)"),
  await outcome("import asyncio\nawait asyncio.sleep(0)\nraise KeyboardInterrupt"),
  await outcome(`
import asyncio, sys
async def inner():
    await asyncio.sleep(0)
    sys.exit(6)
await asyncio.create_task(inner())`),
];
if (told.length > 0) console.log("told of a Task", told);
await py.exec(`
import asyncio, logging, sys
logging.disable()
asyncio.get_running_loop().call_soon(sys.exit, 7)
await asyncio.sleep(0.01)`);
const wanted = "SystemExit 4|SystemExit 5|PythonInterruptedError |SystemExit 6|SystemExit";
const found = [...results, ...told].join("|");
console.log(found === wanted ? "pass" : found);
