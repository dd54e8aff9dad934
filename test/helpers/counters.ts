// Live objects of the addon, by kind. A test that leaves some behind fails.

import { afterEach, beforeEach } from "vitest";
import { binding } from "../../src/binding.js";
import { collectUntil } from "./gc.js";

export type Counters = Readonly<Record<string, number>>;

/** How many proxies, references, promises, buffers, watches, timers and handles are alive now. */
export function counters(): Counters {
  return { ...binding().counters() };
}

/** The kinds of which more are alive than before, with their difference. */
export function grown(before: Counters, now: Counters = counters()): Record<string, number> {
  const differences = Object.entries(now).map(
    ([kind, count]) => [kind, count - (before[kind] ?? 0)] as const,
  );
  return Object.fromEntries(differences.filter(([, difference]) => difference > 0));
}

/** Collects until nothing more is alive than before; the error says what is left. */
export async function expectNoneLeft(before: Counters): Promise<void> {
  try {
    await collectUntil(() => Object.keys(grown(before)).length === 0, "back at the former counts");
  } catch (cause) {
    throw new Error(`left alive: ${JSON.stringify(grown(before))}`, { cause });
  }
}

/** Makes every test of this file fail that leaves live objects behind. Python must have been started. */
export function checkLeaks(): void {
  let before: Counters = {};
  beforeEach(() => {
    before = counters();
  });
  afterEach(() => expectNoneLeft(before));
}
