// Garbage collection until something has been collected.

/** One full collection; needs --expose-gc, which vitest.config.ts gives to every test process. */
export function collect(): void {
  if (globalThis.gc === undefined) throw new Error("run this with --expose-gc");
  globalThis.gc();
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/**
 * Collects, and lets finalizers run between collections, until `condition` holds. Fails after
 * `attempts` collections: what has not gone by then is kept alive by something.
 */
export async function collectUntil(
  condition: () => boolean,
  what: string,
  attempts = 50,
): Promise<void> {
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    // A WeakRef that the condition looked at pins its target to the end of that job: collect in a new one.
    await turn();
    collect();
    // FinalizationRegistry callbacks are tasks of their own: two turns let them and their effects run.
    await turn();
    await turn();
    if (condition()) return;
  }
  throw new Error(`not after ${attempts} garbage collections: ${what}`);
}
