// What the example shows while it runs and when it ends.

import { createHistogram } from "node:perf_hooks";

const interval = 5;

/** A JavaScript timer that ticks while Python works, and how late each tick was. */
export class Ticker {
  #lateness = createHistogram();
  #ticks = 0;
  #timer;

  start() {
    let last = performance.now();
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#lateness.record(Math.max(1, Math.round((now - last - interval) * 1e6)));
      this.#ticks += 1;
      last = now;
    }, interval);
  }

  stop() {
    clearInterval(this.#timer);
    const milliseconds = (value) => (value / 1e6).toFixed(1);
    const { max } = this.#lateness;
    return {
      ticks: this.#ticks,
      median: milliseconds(this.#lateness.percentile(50)),
      p99: milliseconds(this.#lateness.percentile(99)),
      longest: milliseconds(max),
    };
  }
}

/** One line that changes on a terminal; elsewhere a line each second. */
export class Progress {
  #text;
  #stream;
  #timer;

  constructor(stream, text) {
    this.#stream = stream;
    this.#text = text;
    const live = stream.isTTY === true;
    const show = () => stream.write(live ? `\r\x1b[2K${text()}` : `${text()}\n`);
    this.#timer = setInterval(show, live ? 100 : 1000);
  }

  stop() {
    clearInterval(this.#timer);
    if (this.#stream.isTTY === true) this.#stream.write(`\r\x1b[2K${this.#text()}\n`);
  }
}

export function number(value) {
  return value.toLocaleString("en-US");
}

/** Rows of a name, a text and, for what is checked, whether it holds. */
export function table(rows) {
  const width = Math.max(...rows.map(({ name }) => name.length));
  return rows
    .map(({ name, text, holds }) => {
      const mark = holds === undefined ? "   " : holds ? "ok " : "NO ";
      return `  ${mark} ${name.padEnd(width)}  ${text.join(`\n${" ".repeat(width + 8)}`)}`;
    })
    .join("\n");
}
