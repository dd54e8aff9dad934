// One Python for a test file, with the modules of test/fixtures/py on its path.

import path from "node:path";
import { Python, type StartOptions } from "coloop";
import { afterAll, afterEach, beforeEach } from "vitest";
import { type Counters, counters, expectNoneLeft, grown } from "./counters.js";
import { collect } from "./gc.js";

const folder = path.resolve(import.meta.dirname, "..", "fixtures", "py");

/** Starts Python; it is closed when the file's tests have run. */
export async function startPython(options: StartOptions = {}): Promise<Python> {
  const py = await Python.start(options);
  py.execSync("import sys\nif folder not in sys.path: sys.path.insert(0, folder)", { folder });
  afterAll(() => py.close());
  return py;
}

/** Whether Python is at least this version, for what only newer ones have. */
export function atLeast(py: Python, major: number, minor: number): boolean {
  const [own = 0, ownMinor = 0] = py.version.split(".").map(Number);
  return own > major || (own === major && ownMinor >= minor);
}

/**
 * Makes every test of the file fail that leaves live objects behind: proxies, references, promises,
 * buffers. Cycles within either language are collected first; one collector's garbage may be what
 * kept the other's, so they take turns.
 */
export function checkLeaks(py: Python): void {
  const gc = py.import("gc");
  let before: Counters = {};
  beforeEach(() => {
    before = counters();
  });
  afterEach(async () => {
    for (let round = 0; round < 8; round++) {
      collect();
      await new Promise((resolve) => setTimeout(resolve, round));
      gc.collect();
      if (Object.keys(grown(before)).length === 0) return;
    }
    await expectNoneLeft(before);
  });
}

/** What `fn` throws; fails if it returns. */
export function thrown<E = Error>(fn: () => unknown): E {
  let value: unknown;
  try {
    value = fn();
  } catch (error) {
    return error as E;
  }
  throw new Error(`nothing was thrown; the result is ${typeof value}`);
}

/** What a promise is rejected with; fails if it is fulfilled. */
export async function rejected<E = Error>(promise: Promise<unknown>): Promise<E> {
  const outcome = await promise.then(
    () => ({ ok: true as const }),
    (error: unknown) => ({ ok: false as const, error }),
  );
  if (outcome.ok) throw new Error("the promise was fulfilled");
  return outcome.error as E;
}
