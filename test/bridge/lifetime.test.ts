// Lifetime and memory safety: release inside synchronous loops, of proxies, of JavaScript's values;
// buffers both ways.

import { type PyProxy, ref } from "coloop";
import { describe, expect, test } from "vitest";
import { checkLeaks, startPython } from "../fixtures/py2/start.js";
import { collect, collectUntil } from "../helpers/gc.js";

const py = await startPython();
const mod = py.import("seam_lifetime");
const { make, alive, alive_now, keep, drop, take } = mod as Record<string, PyProxy>;

checkLeaks(py);

const proxies = () => py.counters()["pyProxies"] as number;
const references = () => py.counters()["jsRefs"] as number;

test("a missing property is missing after collections, too", async () => {
  let dropped: unknown = make?.();
  const before = proxies();
  expect(dropped).toBeDefined();
  dropped = undefined;
  await collectUntil(() => proxies() < before, "the proxy that was dropped");
  class Empty {}
  expect(py.evalSync("hasattr(e, 'nope'), list(g)", { e: new Empty(), g: [1].values() })).toEqual([
    false,
    [1],
  ]);
});

describe("release inside synchronous loops", () => {
  // First: after many proxies the table is looked through only when there are twice as many.
  test("10,000 exceptions caught in one job", () => {
    const before = proxies();
    let most = 0;
    for (let i = 0; i < 10_000; i++) {
      try {
        py.evalSync("1 / 0");
      } catch {
        most = Math.max(most, proxies() - before);
      }
      if (i % 1000 === 0) globalThis.gc?.();
    }
    expect(most).toBeGreaterThan(0);
    expect(most).toBeLessThan(8000);
  });

  test("300,000 proxies made in one job: they are released within it", () => {
    const before = proxies();
    let most = 0;
    for (let i = 0; i < 300_000; i++) {
      make?.();
      if (i % 1000 === 0) most = Math.max(most, proxies() - before);
    }
    expect(most).toBeLessThan(150_000);
    expect(alive_now?.()).toBeLessThan(150_000);
  });

  test("100,000 functions handed to Python and dropped by it in one job", () => {
    const before = references();
    let most = 0;
    for (let i = 0; i < 100_000; i++) {
      take?.(() => i);
      if (i % 1000 === 0) most = Math.max(most, references() - before);
    }
    expect(most).toBeLessThan(20_000);
  });

  test("100,000 buffers handed to Python in one job", () => {
    for (let i = 0; i < 100_000; i++) take?.(new Uint8Array(64));
  });
});

describe("release of proxies", () => {
  test("$dispose() releases at once; use afterwards throws", () => {
    const thing = make?.(5) as PyProxy;
    expect(alive?.()).toBe(1);
    thing.$dispose();
    expect(alive?.()).toBe(0);
    expect(() => thing.value).toThrow(/disposed/);
    expect(() => take?.(thing)).toThrow(/disposed/);
    thing.$dispose();
  });

  test("Symbol.dispose is the same", () => {
    const thing = make?.(5) as PyProxy;
    (thing as unknown as Disposable)[Symbol.dispose]();
    expect(alive?.()).toBe(0);
  });

  test("a forgotten proxy is collected", async () => {
    (() => void make?.(1))();
    await collectUntil(() => alive?.() === 0, "the Thing");
  });

  test("a proxy that JavaScript keeps keeps its object", () => {
    const thing = make?.(7) as PyProxy;
    for (let i = 0; i < 3; i++) collect();
    expect(alive?.()).toBe(1);
    expect(thing.value).toBe(7);
    thing.$dispose();
  });

  test("an object that Python keeps outlives its proxy", () => {
    const thing = make?.(7) as PyProxy;
    keep?.(thing);
    thing.$dispose();
    expect(alive?.()).toBe(1);
    drop?.();
    expect(alive?.()).toBe(0);
  });
});

describe("release of JavaScript's values in Python", () => {
  test("a function that Python keeps can be called later", () => {
    (() => keep?.((value: number) => value + 1))();
    collect();
    expect(mod.call_kept(1)).toBe(2);
    drop?.();
  });

  test("a function that Python drops is collected", async () => {
    const reference = (() => {
      const fn = () => 1;
      keep?.(fn);
      return new WeakRef(fn);
    })();
    drop?.();
    await collectUntil(() => reference.deref() === undefined, "the function");
  });

  test("an object by reference, changed from both sides", () => {
    const object = { list: [1] };
    keep?.(ref(object));
    py.execSync("m.kept[-1].extra = 5", { m: mod });
    expect((object as { extra?: number }).extra).toBe(5);
    drop?.();
  });
});

describe("buffers", () => {
  test("an ArrayBuffer is shared while Python looks at it", () => {
    const bytes = new Uint8Array([1, 2, 3]);
    keep?.(bytes);
    bytes[0] = 10;
    expect(mod.kept_view_sum()).toBe(15);
    drop?.();
  });

  test("Python writes into a JavaScript buffer", () => {
    const bytes = new Uint8Array(4);
    mod.write(bytes, 2, 9);
    expect([...bytes]).toEqual([0, 0, 9, 0]);
  });

  test("a buffer that Python holds cannot be transferred", () => {
    const bytes = new Uint8Array(16);
    keep?.(bytes);
    try {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
    } catch (error) {
      expect((error as Error).name).toBe("DataCloneError"); // from Node 21 on; 20 copies
    }
    expect(bytes.byteLength).toBe(16);
    drop?.();
  });

  test("a buffer outlives JavaScript's own use of it", () => {
    (() => keep?.(new Uint8Array(1024).fill(1)))();
    for (let i = 0; i < 3; i++) collect();
    expect(mod.kept_view_sum()).toBe(1024);
    drop?.();
  });

  test("a resizable and a detached ArrayBuffer are refused", () => {
    const Resizable = ArrayBuffer as new (n: number, o: { maxByteLength: number }) => ArrayBuffer;
    expect(() => take?.(new Resizable(8, { maxByteLength: 16 }))).toThrow(/resizable/);
    const detached = new ArrayBuffer(8);
    structuredClone(detached, { transfer: [detached] });
    expect(() => take?.(new Uint8Array(detached).buffer)).toThrow(/detached/);
  });

  test("a SharedArrayBuffer is shared", () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4));
    mod.write(shared, 1, 3);
    expect(shared[1]).toBe(3);
  });

  test("bytes are the JavaScript side's own", () => {
    const bytes = mod.big_bytes(1024 * 1024) as Uint8Array;
    bytes[0] = 1;
    expect((mod.big_bytes(1024 * 1024) as Uint8Array)[0]).toBe(0);
  });

  test("$view() shares memory, and keeps the object while the view lives", () => {
    const array = mod.array_of(10) as PyProxy;
    const view = array.$view() as Int32Array;
    view[3] = 77;
    expect(array.$get(3)).toBe(77);
    array.$dispose();
    collect();
    expect(view[4]).toBe(4);
  });
});
