// Async generators both ways, to the end and left early.
// node: --expose-gc
import { expectFlat } from "./leak-helpers.mjs";

await expectFlat(async (py) => {
  py.execSync(`
async def count(end):
    for number in range(end):
        yield number

async def add(items):
    return sum([item async for item in items])
`);
  const { count, add } = py.globals;
  const generate = async function* (end) {
    for (let i = 0; i < end; i++) yield i;
  };
  for (let i = 0; i < 100; i++) {
    for await (const item of count(50)) if (item === 20) break;
    for await (const _ of count(20));
    await add(generate(20));
  }
});
