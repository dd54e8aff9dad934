// A failed Task that the program has kept and never asked is told of when Python is closed, once.
// within: 8000
// noise: Task exception was never retrieved
import { Python } from "coloop";

const py = await Python.start();
const told = [];
py.on("loopError", ({ message, exception }) => told.push(`${message}: ${exception.name}`));
await py.exec(`
import asyncio
async def fail():
    1 / 0
kept = asyncio.create_task(fail())
await asyncio.wait([kept])`);
await py.close();
console.log(
  told.length === 1 && told[0] === "Task exception was never retrieved: ZeroDivisionError"
    ? "pass"
    : told,
);
