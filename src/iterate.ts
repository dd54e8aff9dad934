// Python iterators and async iterators as JavaScript's.

import { Thrown } from "./encode.js";
import { python } from "./library.js";
import { checkOptions } from "./options.js";

/** Options of {@link PythonContext.stream}. */
export interface StreamOptions {
  /**
   * The most items in one batch; 0 is lockstep: an item is made when it is asked for. The next batch is
   * made while one is used, so up to `2 * highWaterMark - 1` items are made ahead. Default 16.
   */
  highWaterMark?: number;
}

/** Items of read-ahead: as Node's object streams. */
export const defaultHighWaterMark = 16;

/** Iterates a Python iterable; leaving early closes a generator. */
export function* iterate(iterable: unknown): Generator<unknown, void, undefined> {
  const iterator = python().iterator(iterable) as { $attr(name: string): unknown } & Record<
    string,
    () => unknown
  >;
  let done = false;
  try {
    for (;;) {
      const item = python().next(iterator) as [boolean, unknown];
      done = item[0];
      if (done) return;
      yield item[1];
    }
  } finally {
    if (!done && "close" in iterator) iterator["close"]?.();
  }
}

/** Iterates a Python async iterable: items come in batches, a slow consumer slows the producer. */
export function asyncIterate(
  iterable: unknown,
  options: StreamOptions = {},
): AsyncIterableIterator<unknown> {
  checkOptions(options, "stream", { highWaterMark: "count" });
  return new PythonStream(iterable, options.highWaterMark ?? defaultHighWaterMark);
}

type Batch = [items: unknown[], done: boolean, value: unknown];

class PythonStream implements AsyncIterableIterator<unknown> {
  #stream: unknown;
  #items: unknown[] = [];
  #next = 0;
  #done = false;
  // Calls are answered in order, as async generators do.
  #queue: Promise<unknown> = Promise.resolve();

  constructor(iterable: unknown, highWaterMark: number) {
    this.#stream = python().openStream(iterable, highWaterMark);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<unknown> {
    return this;
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#enqueue(() => this.#take());
  }

  return(value?: unknown): Promise<IteratorResult<unknown>> {
    return this.#enqueue(async () => {
      await this.#end();
      return { done: true, value };
    });
  }

  throw(error?: unknown): Promise<IteratorResult<unknown>> {
    return this.#enqueue(async () => {
      if (this.#done) throw error;
      this.#items = [];
      this.#next = 0;
      return this.#accept((await python().throwStream(this.#stream, new Thrown(error))) as Batch);
    });
  }

  #enqueue(step: () => Promise<IteratorResult<unknown>>): Promise<IteratorResult<unknown>> {
    const result = this.#queue.then(step);
    this.#queue = result.catch(() => undefined);
    return result;
  }

  async #take(): Promise<IteratorResult<unknown>> {
    if (this.#next < this.#items.length) return { done: false, value: this.#items[this.#next++] };
    if (this.#done) return { done: true, value: undefined };
    try {
      return this.#accept((await python().takeItems(this.#stream)) as Batch);
    } catch (error) {
      this.#done = true;
      this.#stream = undefined;
      throw error;
    }
  }

  #accept([items, done]: Batch): IteratorResult<unknown> {
    this.#items = items;
    this.#next = 0;
    if (items.length > 0) return { done: false, value: items[this.#next++] };
    this.#done = done;
    if (done) this.#stream = undefined;
    return { done: true, value: undefined };
  }

  async #end(): Promise<void> {
    if (this.#done) return;
    const stream = this.#stream;
    this.#done = true;
    this.#items = [];
    this.#stream = undefined;
    await python().closeStream(stream);
  }
}
