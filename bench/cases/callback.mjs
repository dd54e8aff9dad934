// Python that calls JavaScript, and streams.

import { perOperation, perOperationAsync } from "../measure.mjs";

export function cases(py) {
  py.execSync(`
def bench_call(function, count):
    for number in range(count):
        function(number)

async def bench_await(function, count):
    for _ in range(count):
        await function()

async def bench_count(limit):
    for number in range(limit):
        yield number
`);
  const { bench_call: call, bench_await: wait, bench_count: counter } = py.globals;
  let sum = 0;
  const add = (value) => {
    sum += value;
    return sum;
  };
  const settled = async () => undefined;
  return [
    {
      name: "Python calls a JavaScript function",
      count: 100_000,
      run: (count) => perOperation(count, (times) => call(add, times)),
    },
    {
      name: "Python awaits a JavaScript promise",
      count: 10_000,
      run: (count) => perOperationAsync(count, (times) => wait(settled, times)),
    },
    {
      name: "item of an async generator",
      count: 50_000,
      run: (count) =>
        perOperationAsync(count, async (times) => {
          for await (const number of counter(times)) sum += number;
        }),
    },
  ];
}
