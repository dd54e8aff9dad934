// Measures whether memory stays flat while something is repeated.

import { Python } from "coloop";

const megabyte = 1024 * 1024;

/**
 * Runs `work` in rounds after a warm-up, in which V8's heap reaches its size; prints "pass" if memory
 * (in megabytes) and live objects stay flat from then on.
 */
export async function expectFlat(work, { rounds = 20, warmUp = 10, limit = 10 } = {}) {
  const py = await Python.start();
  const collectPython = py.import("gc").collect;
  const settle = async () => {
    for (let i = 0; i < 4; i++) {
      globalThis.gc();
      collectPython();
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  for (let i = 0; i < warmUp; i++) {
    await work(py);
    await settle();
  }
  const before = { ...py.counters(), rss: process.memoryUsage.rss() };
  for (let i = 0; i < rounds; i++) {
    await work(py);
    await settle();
  }
  const after = { ...py.counters(), rss: process.memoryUsage.rss() };
  const grown = (after.rss - before.rss) / megabyte;
  const kinds = Object.keys(before).filter((kind) => kind !== "rss" && after[kind] > before[kind]);
  const flat = grown < limit && kinds.length === 0;
  console.log(
    flat ? "pass" : `grown by ${grown.toFixed(1)} MB, ${JSON.stringify([before, after])}`,
  );
}
