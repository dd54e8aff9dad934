// A Task that swallows every cancellation holds close() for its time-out only; its promise rejects.
// within: 8000
import { Python } from "coloop";

const py = await Python.start();
const call = py
  .exec(
    `
import asyncio
while True:
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        pass
`,
    {},
  )
  .catch((error) => error);
await new Promise((resolve) => setImmediate(resolve));
const start = performance.now();
await py.close({ timeout: 300 });
const took = performance.now() - start;
const error = await call;
const ok = took >= 290 && took < 3000 && error.code === "ERR_COLOOP_CLOSED";
console.log(ok ? "pass" : [took, error]);
