// Calls of JavaScript from Python's threads.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat(async (py) => {
  py.execSync(`
import asyncio

def work(function):
    return sum(function(number) for number in range(500))

async def main(function):
    return await asyncio.gather(*[asyncio.to_thread(work, function) for _ in range(4)])
`);
  const sums = await py.globals.main((value) => value);
  if (sums.some((sum) => sum !== 124_750)) throw new Error(String(sums));
});
