// Coroutines awaited from JavaScript, beside asyncio's own create_task-and-await in a plain interpreter.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { perOperationAsync } from "../measure.mjs";

const script = fileURLToPath(new URL("baseline.py", import.meta.url));
const runFile = promisify(execFile);

/** Both of asyncio's numbers come from one process; the second case takes what the first one left. */
function asyncioBaseline(executable) {
  let atOnce;
  return {
    async sequential(count) {
      const { stdout } = await runFile(executable, ["-I", script, String(count)]);
      const numbers = JSON.parse(stdout);
      atOnce = numbers[1];
      return numbers[0];
    },
    atOnce: async () => atOnce,
  };
}

export function cases(py) {
  py.execSync("async def bench_nothing():\n    pass");
  const f = py.globals.bench_nothing;
  const baseline = asyncioBaseline(py.executable);
  return [
    {
      name: "asyncio: await create_task(f()), one by one",
      count: 40_000,
      run: baseline.sequential,
    },
    {
      name: "await py.f(), one by one",
      count: 40_000,
      against: "asyncio: await create_task(f()), one by one",
      bar: 0.6,
      run: (count) =>
        perOperationAsync(count, async (times) => {
          for (let i = 0; i < times; i++) await f();
        }),
    },
    { name: "asyncio: gather of 1,000 Tasks, each", count: 40_000, run: baseline.atOnce },
    {
      name: "Promise.all of 1,000 py.f(), each",
      count: 40,
      against: "asyncio: gather of 1,000 Tasks, each",
      run: async (count) => {
        const time = await perOperationAsync(count, async (times) => {
          for (let i = 0; i < times; i++) {
            const promises = [];
            for (let j = 0; j < 1000; j++) promises.push(f());
            await Promise.all(promises);
          }
        });
        return time / 1000;
      },
    },
  ];
}
