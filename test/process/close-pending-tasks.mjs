// close() cancels what is pending, rejects its promises, and the process ends.
// within: 8000
import { Python } from "coloop";

const py = await Python.start();
const names = [];
const calls = Array.from({ length: 20 }, () =>
  py.eval("await __import__('asyncio').sleep(60)").catch((error) => names.push(error.name)),
);
await new Promise((resolve) => setImmediate(resolve));
await py.close();
await Promise.all(calls);
console.log(names.length === 20 && names.every((name) => name === "AbortError") ? "pass" : names);
