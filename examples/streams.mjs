// Async generators in both directions, and a call that is cancelled.

import { Readable } from "node:stream";
import { Python } from "coloop";

const py = await Python.start();

py.execSync(`
import asyncio

async def count(limit):
    try:
        for number in range(limit):
            await asyncio.sleep(0)
            yield number
    finally:
        print("the generator is closed", flush=True)

async def longest(lines):
    found = ""
    async for line in lines:
        found = max(found, line, key=len)
    return found

async def forever():
    await asyncio.Event().wait()
`);
const { count, longest, forever } = py.globals;

// A Python async generator is an async iterable; break closes it.
const seen = [];
for await (const number of count(1_000_000)) {
  seen.push(number);
  if (number === 3) break;
}
console.log(seen);

// Any async iterable of JavaScript, such as a stream, is one in Python.
console.log(await longest(Readable.from(["a", "the longest", "line"])));

// An AbortSignal cancels the Task.
const controller = new AbortController();
const waiting = forever.$with({ signal: controller.signal })();
controller.abort(new Error("not needed any more"));
await waiting.catch((error) => console.log(error.name, "because", error.cause.message));

await py.close();
