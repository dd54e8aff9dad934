// 8 threads call JavaScript 1,000 times each, sync and by promise: each gets its own answers.
// within: 60000
import { Python } from "coloop";

const py = await Python.start();
py.register("square", (value) => value * value);
py.register("square_later", async (value) => {
  if (value % 3 === 0) await null;
  if (value % 3 === 1) await new Promise((resolve) => setImmediate(resolve));
  return value * value;
});
py.execSync(`
import asyncio
import coloop

def work(start):
    wrong = 0
    for number in range(start, start + 500):
        wrong += coloop.square(number) != number * number
        wrong += coloop.call("square_later", number) != number * number
    return wrong

async def main():
    loop = asyncio.get_running_loop()
    return sum(await asyncio.gather(*[asyncio.to_thread(work, n * 1000) for n in range(8)]))
`);
const wrong = await py.globals.main();
console.log(wrong === 0 ? "pass" : `${wrong} wrong`);
