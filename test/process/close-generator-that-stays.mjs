// An async generator whose end takes long holds close() for its time-out only; others are closed, also without any time.
// within: 8000
import assert from "node:assert/strict";
import { Python } from "coloop";

for (const timeout of [300, 0]) {
  const py = await Python.start();
  py.execSync(`
import asyncio

closed = []

async def stays():
    try:
        while True:
            yield 1
    finally:
        await asyncio.sleep(60)

async def goes():
    try:
        while True:
            yield 1
    finally:
        closed.append(True)
`);
  const iterators = [py.globals.stays(), py.globals.goes()].map((generator) =>
    generator[Symbol.asyncIterator](),
  );
  for (const iterator of iterators) await iterator.next();
  const start = performance.now();
  await py.close({ timeout });
  const took = performance.now() - start;
  assert.ok(took >= timeout * 0.9 && took < timeout + 3000, `${took} ms`);
  assert.deepEqual((await Python.start()).evalSync("closed"), [true]);
}
console.log("pass");
