// Measures whether memory stays flat while something is repeated.

import { Python } from "coloop";

const megabyte = 1024 * 1024;

/**
 * Runs `work` in rounds after a warm-up, in which V8's heap reaches its size; prints "pass" if memory
 * (in megabytes), live objects and, with a limit of growth, the blocks that Python has allocated stay
 * flat from then on.
 */
export async function expectFlat(work, options = {}) {
  const { rounds = 20, warmUp = 10, limit = 10, blocks = Infinity } = options;
  const py = await Python.start();
  const collectPython = py.import("gc").collect;
  const countBlocks = py.import("sys").getallocatedblocks;
  const measure = () => ({ ...py.counters(), rss: process.memoryUsage.rss() });
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
  const before = measure();
  const blocksBefore = countBlocks();
  for (let i = 0; i < rounds; i++) {
    await work(py);
    await settle();
  }
  const more = countBlocks() - blocksBefore;
  const after = measure();
  const grown = (after.rss - before.rss) / megabyte;
  const kinds = Object.keys(before).filter((kind) => kind !== "rss" && after[kind] > before[kind]);
  const flat = grown < limit && more < blocks && kinds.length === 0;
  const how = `grown by ${grown.toFixed(1)} MB, ${more} blocks, ${JSON.stringify([before, after])}`;
  console.log(flat ? "pass" : how);
}
