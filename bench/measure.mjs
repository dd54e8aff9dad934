// How cases are measured: rounds of every case in turn, so that a slow moment of the machine hits all of
// them alike; of each case's rounds the median counts.

/** Microseconds that one of `count` operations took. */
export function perOperation(count, work) {
  const start = performance.now();
  work(count);
  return ((performance.now() - start) * 1000) / count;
}

/** The same for work that returns a promise. */
export async function perOperationAsync(count, work) {
  const start = performance.now();
  await work(count);
  return ((performance.now() - start) * 1000) / count;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Runs all cases `rounds` times, interleaved; the samples of each by its name. */
export async function measure(cases, { rounds, scale, onRound }) {
  const samples = new Map(cases.map(({ name }) => [name, []]));
  for (const { count, run } of cases) await run(Math.max(1, Math.ceil((count * scale) / 4))); // warm-up
  for (let round = 1; round <= rounds; round++) {
    onRound(round);
    for (const { name, count, run } of cases) {
      samples.get(name).push(await run(Math.max(1, Math.ceil(count * scale))));
    }
  }
  return samples;
}
