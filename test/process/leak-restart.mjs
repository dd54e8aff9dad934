// start, use and close, again and again: memory stays flat.
// node: --expose-gc
import { Python } from "coloop";

async function round() {
  const py = await Python.start();
  await py.exec("import asyncio\nawait asyncio.sleep(0)");
  py.evalSync("[object() for _ in range(100)]");
  py.import("gc").collect();
  await py.close();
  globalThis.gc();
}

for (let i = 0; i < 20; i++) await round();
const before = process.memoryUsage.rss();
for (let i = 0; i < 40; i++) await round();
const grown = (process.memoryUsage.rss() - before) / 1024 ** 2;
console.log(grown < 10 ? "pass" : `grown by ${grown.toFixed(1)} MB`);
