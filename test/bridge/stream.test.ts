import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { type LoopError, type PyProxy, PythonError } from "coloop";
import { afterEach, describe, expect, test } from "vitest";
import { checkLeaks, rejection, startPython, until } from "../fixtures/py2/start.js";
import { mustCall } from "../helpers/must-call.js";

const py = await startPython();
const mod = py.import("seam_stream");

checkLeaks(py);
afterEach(() => {
  mod.take_log();
});

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

async function collect<T>(iterable: AsyncIterable<T>, limit = Number.POSITIVE_INFINITY) {
  const items: T[] = [];
  for await (const item of iterable) {
    items.push(item);
    if (items.length === limit) break;
  }
  return items;
}

describe("an async generator is an AsyncIterable", () => {
  test("to its end", async () => {
    expect(await collect(mod.count(40))).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
    expect((mod.take_log() as unknown[]).at(-1)).toBe("end");
  });

  test("that is empty", async () => {
    expect(await collect(mod.count(0))).toEqual([]);
  });

  test("that waits between items", async () => {
    expect(await collect(mod.slow_count(5, 0.001))).toEqual([0, 1, 2, 3, 4]);
  });

  test("of containers", async () => {
    expect(await collect(mod.nested())).toEqual([[1], [2, 3]]);
  });

  test("10,000 items", async () => {
    const items = await collect<number>(mod.count(10_000));
    expect(items.length).toBe(10_000);
    expect(items.at(-1)).toBe(10_000);
  });

  test("py.stream names the function", async () => {
    expect(await collect(py.stream("seam_stream", "count", [3]))).toEqual([1, 2, 3]);
  });

  test("an async iterator that is no generator", async () => {
    expect(await collect(mod.plain(3) as AsyncIterable<number>)).toEqual([2, 1, 0]);
    expect(await collect(mod.plain(30) as AsyncIterable<number>, 2)).toEqual([29, 28]);
  });

  test("ten at once", async () => {
    const streams = Array.from({ length: 10 }, () => collect(mod.slow_count(5, 0.001)));
    expect(await Promise.all(streams)).toEqual(Array(10).fill([0, 1, 2, 3, 4]));
  });

  test("next() calls that overlap are answered in order", async () => {
    const stream = py.stream<number>("seam_stream", "slow_count", [4, 0.001]);
    const results = await Promise.all([1, 2, 3, 4, 5].map(() => stream.next()));
    expect(results.map((result) => result.value)).toEqual([0, 1, 2, 3, undefined]);
    expect(results.map((result) => result.done)).toEqual([false, false, false, false, true]);
  });

  test("next() after the end", async () => {
    const stream = py.stream("seam_stream", "count", [0]);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});

describe("leaving early", () => {
  test("break calls aclose()", async () => {
    expect(await collect(mod.count(100), 3)).toEqual([1, 2, 3]);
    expect((mod.take_log() as unknown[]).at(-1)).toBe("closed");
  });

  test("an error in the loop's body calls aclose()", async () => {
    const leave = async () => {
      for await (const _ of mod.count(100) as AsyncIterable<number>) throw new Error("out");
    };
    expect(((await rejection(leave())) as Error).message).toBe("out");
    expect((mod.take_log() as unknown[]).at(-1)).toBe("closed");
  });

  test("aclose() is awaited", async () => {
    const options = { highWaterMark: 0 };
    await collect(py.stream("seam_stream", "awaits_in_finally", [], options), 1);
    expect(mod.take_log()).toEqual(["cleaned up"]);
  });

  test("an error in aclose() rejects", async () => {
    const stream = py.stream("seam_stream", "close_fails", [], { highWaterMark: 0 });
    const error = (await rejection(collect(stream, 1))) as PythonError;
    expect(error.message).toBe("in aclose");
  });

  test("an error while the generator's read-ahead is stopped rejects", async () => {
    const stream = py.stream("seam_stream", "fails_when_stopped", []);
    const error = (await rejection(collect(stream, 1))) as PythonError;
    expect(error.message).toBe("while it was stopped");
  });

  test("an error that the consumer did not come to goes to loopError", async () => {
    const listener = mustCall((error: LoopError) => {
      expect(error.message).toMatch(/failed ahead of its consumer/);
      expect(error.exception?.message).toBe("mid-stream");
    });
    py.once("loopError", listener);
    const stream = py.stream("seam_stream", "fails_after", [3]);
    await stream.next();
    await turns(3);
    await stream.return?.();
  });

  test("break while the generator sleeps cancels the sleep", async () => {
    const stream = py.stream("seam_stream", "hangs", []);
    expect((await stream.next()).value).toBe(1);
    await turns(2);
    await stream.return?.();
    expect(mod.take_log()).toEqual(["left"]);
    await until(() => mod.pending() === 0, "no Task is left");
  });

  test("return() before the first next(), and twice", async () => {
    const stream = py.stream("seam_stream", "count", [5]);
    expect(await stream.return?.("value")).toEqual({ done: true, value: "value" });
    expect(await stream.return?.()).toEqual({ done: true, value: undefined });
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });
});

describe("throw", () => {
  test("is athrow(), and the next item is its result", async () => {
    const stream = py.stream<string>("seam_stream", "survives_throw", [], { highWaterMark: 0 });
    expect((await stream.next()).value).toBe("first");
    expect((await stream.throw?.(new RangeError("in")))?.value).toBe(
      "caught JsError RangeError: in",
    );
    expect((await stream.next()).value).toBe("next");
    await stream.return?.();
  });

  test("ends a generator that does not catch it with that very error", async () => {
    const stream = py.stream<number>("seam_stream", "count", [5], { highWaterMark: 0 });
    await stream.next();
    const error = new Error("thrown in");
    expect(await rejection(stream.throw?.(error) as Promise<unknown>)).toBe(error);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("rejects with its error also where the generator ended ahead of the consumer", async () => {
    const stream = py.stream<number>("seam_stream", "count", [5]);
    await stream.next();
    expect((mod.take_log() as unknown[]).at(-1)).toBe("end");
    const error = new Error("thrown in");
    expect(await rejection(stream.throw?.(error) as Promise<unknown>)).toBe(error);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("or was closed by somebody else", async () => {
    const generator = mod.count(5) as PyProxy;
    const stream = generator[Symbol.asyncIterator]();
    await generator["aclose"]();
    const error = new Error("thrown in");
    expect(await rejection(stream.throw?.(error) as Promise<unknown>)).toBe(error);
  });

  test("or failed ahead of the consumer, of which loopError tells", async () => {
    const listener = mustCall((error: LoopError) => {
      expect(error.message).toMatch(/failed ahead of its consumer/);
      expect(error.exception?.message).toBe("mid-stream");
    });
    py.once("loopError", listener);
    const stream = py.stream<number>("seam_stream", "fails_after", [3]);
    await stream.next();
    const error = new Error("thrown in");
    expect(await rejection(stream.throw?.(error) as Promise<unknown>)).toBe(error);
    expect(await stream.next()).toEqual({ done: true, value: undefined });
  });

  test("into an iterator that is no generator ends it", async () => {
    const stream = (mod.plain(5) as AsyncIterable<number>)[Symbol.asyncIterator]();
    await stream.next();
    const error = new Error("thrown in");
    expect(await rejection(stream.throw?.(error) as Promise<unknown>)).toBe(error);
    expect((await stream.next()).done).toBe(true);
  });
});

describe("errors mid-stream", () => {
  for (const highWaterMark of [0, 1, 16]) {
    test(`come after the items, with ${highWaterMark} items of read-ahead`, async () => {
      const items: number[] = [];
      const stream = py.stream<number>("seam_stream", "fails_after", [5], { highWaterMark });
      const read = async () => {
        for await (const item of stream) items.push(item);
      };
      const error = (await rejection(read())) as PythonError;
      expect(error).toBeInstanceOf(PythonError);
      expect(error.message).toBe("mid-stream");
      expect(items).toEqual([0, 1, 2, 3, 4]);
      expect((await stream.next()).done).toBe(true);
    });
  }
});

describe("back-pressure: a slow consumer in JavaScript slows Python", () => {
  const made = () => (mod.take_log() as unknown[]).filter((entry) => typeof entry === "number");

  test("16 items of read-ahead by default", async () => {
    const stream = py.stream<number>("seam_stream", "count", [1000]);
    await stream.next();
    await turns(20);
    const ahead = made().length;
    expect(ahead).toBeGreaterThanOrEqual(16);
    expect(ahead).toBeLessThanOrEqual(2 * 16 + 1);
    await turns(20);
    expect(made()).toEqual([]);
    await stream.return?.();
  });

  test("0 is lockstep", async () => {
    const stream = py.stream<number>("seam_stream", "count", [1000], { highWaterMark: 0 });
    for (let i = 1; i <= 5; i++) {
      await stream.next();
      await turns(3);
      expect(made()).toEqual([i]);
    }
    await stream.return?.();
  });

  test("nothing runs before the first next()", async () => {
    const stream = py.stream("seam_stream", "count", [5]);
    await turns(5);
    expect(mod.take_log()).toEqual([]);
    await stream.return?.();
  });

  for (const highWaterMark of [-1, 1.5, "4", Number.NaN]) {
    test(`a high-water mark of ${String(highWaterMark)} is refused`, () => {
      const options = { highWaterMark: highWaterMark as number };
      expect(() => py.stream("seam_stream", "count", [5], options)).toThrow(/"highWaterMark"/);
    });
  }
});

describe("async iterables of JavaScript's in Python", () => {
  async function* generator(end: number, log: string[] = []) {
    try {
      for (let i = 0; i < end; i++) yield i;
      log.push("end");
    } finally {
      log.push("finally");
    }
  }

  test("async for to the end", async () => {
    const log: string[] = [];
    expect(await mod.consume(generator(5, log))).toEqual([0, 1, 2, 3, 4]);
    expect(log).toEqual(["end", "finally"]);
  });

  test("leaving early ends the generator", async () => {
    const log: string[] = [];
    expect(await mod.consume_some(generator(100, log), 3)).toEqual([0, 1, 2]);
    py.import("gc").collect();
    await until(() => log.length > 0, "the generator's return()");
    expect(log).toEqual(["finally"]);
  });

  test("an error mid-stream is raised where the item was awaited", async () => {
    const failing = async function* () {
      yield 1;
      throw new RangeError("mid");
    };
    expect(await mod.consume_and_report(failing())).toEqual([1, "JsError: RangeError: mid"]);
  });

  test("a slow consumer in Python slows JavaScript", async () => {
    let ahead = 0;
    let most = 0;
    const producer = async function* () {
      for (let i = 0; i < 20; i++) {
        most = Math.max(most, ++ahead);
        yield i;
        ahead--;
      }
    };
    expect(await mod.consume_slowly(producer(), 0.001)).toHaveLength(20);
    expect(most).toBe(1);
  });

  test("a Node Readable of objects", async () => {
    expect(await mod.consume(Readable.from(["a", "b", { c: 1 }]))).toEqual(["a", "b", { c: 1 }]);
  });

  test("a Node Readable of bytes: 4 MB", async () => {
    const chunk = Buffer.alloc(64 * 1024, 1);
    const readable = Readable.from(Array.from({ length: 64 }, () => chunk));
    expect(await mod.total_bytes(readable)).toBe(4 * 1024 * 1024);
  });

  test("a Readable that Python leaves early is destroyed", async () => {
    const readable = Readable.from([1, 2, 3, 4, 5]);
    expect(await mod.consume_some(readable, 2)).toEqual([1, 2]);
    py.import("gc").collect();
    await until(() => readable.destroyed, "the stream is destroyed");
  });

  test("a Readable that is destroyed with an error", async () => {
    const readable = new Readable({ objectMode: true, read() {} });
    readable.push(1);
    setImmediate(() => readable.destroy(new Error("broken")));
    expect(await mod.consume_and_report(readable)).toEqual([1, "JsError: Error: broken"]);
  });

  test("a web ReadableStream", async () => {
    const web = new ReadableStream({
      start(controller) {
        for (const item of [1, 2, 3]) controller.enqueue(item);
        controller.close();
      },
    });
    expect(await mod.consume(web)).toEqual([1, 2, 3]);
  });

  test("the body of a Response", async () => {
    const body = new Response("x".repeat(100_000)).body;
    expect(await mod.total_bytes(body)).toBe(100_000);
  });
});

describe("through both languages", () => {
  test("JavaScript to Python to JavaScript", async () => {
    const source = (async function* () {
      for (let i = 0; i < 100; i++) yield i;
    })();
    const doubled = await collect<number>(mod.through(source));
    expect(doubled).toEqual(Array.from({ length: 100 }, (_, i) => i * 2));
  });

  test("Readable.from over a Python generator, in a pipeline", async () => {
    const seen: number[] = [];
    await pipeline(
      Readable.from(py.stream<number>("seam_stream", "count", [50])),
      new Transform({
        objectMode: true,
        transform(item: number, _encoding, done) {
          done(null, item + 1);
        },
      }),
      async (source: AsyncIterable<number>) => {
        for await (const item of source) seen.push(item);
      },
    );
    expect(seen.length).toBe(50);
    expect(seen[49]).toBe(51);
  });

  test("a pipeline that fails throws its error into the generator", async () => {
    const failing = pipeline(
      Readable.from(py.stream<number>("seam_stream", "count", [500])),
      async (source: AsyncIterable<number>) => {
        for await (const item of source) if (item === 5) throw new Error("stop here");
      },
    );
    expect(((await rejection(failing)) as Error).message).toBe("stop here");
    await until(() => String(mod.log).includes("thrown"), "athrow()");
  });
});

describe("plain generators", () => {
  test("for … of, to the end and with break", () => {
    expect([...(mod.numbers(4) as Iterable<number>)]).toEqual([0, 1, 2, 3]);
    const seen: number[] = [];
    for (const item of mod.numbers(100) as Iterable<number>) {
      seen.push(item);
      if (item === 2) break;
    }
    expect(seen).toEqual([0, 1, 2]);
    expect(mod.take_log()).toEqual(["generator closed", "generator closed"]);
  });

  test("an async generator's proxy can be iterated by Symbol.asyncIterator only", () => {
    const proxy = mod.count(1) as PyProxy;
    expect((proxy as unknown as Iterable<number>)[Symbol.iterator]).toBeUndefined();
    expect(typeof (proxy as unknown as AsyncIterable<number>)[Symbol.asyncIterator]).toBe(
      "function",
    );
  });

  test("a JavaScript callback is called for each item", async () => {
    const each = mustCall((_: number) => {}, 5);
    for await (const item of mod.slow_count(5, 0) as AsyncIterable<number>) each(item);
  });
});
