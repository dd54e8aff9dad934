// Objects are released in both languages by threads and by garbage collection, at the same time.
// within: 60000
// node: --expose-gc
import { Python } from "coloop";

class Thing {}

const py = await Python.start();
py.register("make", () => new Thing());
py.execSync(`
import asyncio
from coloop import make

def work():
    for _ in range(2000):
        make()

async def main():
    await asyncio.gather(*[asyncio.to_thread(work) for _ in range(3)])
`);
let done = false;
const threads = py.globals.main().finally(() => {
  done = true;
});
const object = py.evalSync("object");
while (!done) {
  for (let i = 0; i < 200; i++) object();
  globalThis.gc();
  await new Promise((resolve) => setImmediate(resolve));
}
await threads;
console.log("pass");
