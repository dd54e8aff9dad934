// A promise that Python waited for and that settles after close() disturbs nobody.
import { Python } from "coloop";

const py = await Python.start();
let settle;
let fail;
const promises = [
  new Promise((resolve) => {
    settle = resolve;
  }),
  new Promise((_, reject) => {
    fail = reject;
  }),
];
const calls = promises.map((p) => py.eval("await p", { p }).catch((error) => error.name));
await new Promise((resolve) => setImmediate(resolve));
await py.close();
settle(1);
fail(new Error("after close"));
const names = await Promise.all(calls);
setTimeout(() => {
  console.log(names.join() === "AbortError,AbortError" ? "pass" : names);
}, 20);
