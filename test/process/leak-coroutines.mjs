// 200,000 coroutines: finished at once, after a turn, after a sleep.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat(async (py) => {
  py.execSync(`
import asyncio

async def at_once(value):
    return value

async def turn(value):
    await asyncio.sleep(0)
    return value
`);
  const { at_once, turn } = py.globals;
  for (let i = 0; i < 100; i++) {
    const calls = [];
    for (let j = 0; j < 100; j++) calls.push(at_once(j), turn([j]));
    await Promise.all(calls);
  }
});
