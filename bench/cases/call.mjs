// Synchronous calls from JavaScript: what one crossing costs.

import { perOperation } from "../measure.mjs";

export function cases(py) {
  py.execSync(`
def bench_add(a, b):
    return a + b

def bench_same(value):
    return value

class BenchThing:
    __slots__ = ()

bench_thing = BenchThing()

def bench_new():
    return BenchThing()
`);
  const module = py.globals;
  const { bench_add: add, bench_same: same, bench_new: make } = module;
  const text = "a string of 20 chars";
  return [
    {
      name: "(int, int) -> int, function held",
      count: 400_000,
      limit: 0.35,
      run: (count) =>
        perOperation(count, (times) => {
          for (let i = 0; i < times; i++) add(i, 1);
        }),
    },
    {
      name: "(int, int) -> int, module.function",
      count: 200_000,
      run: (count) =>
        perOperation(count, (times) => {
          for (let i = 0; i < times; i++) module.bench_add(i, 1);
        }),
    },
    {
      name: "string of 20 there and back",
      count: 200_000,
      run: (count) =>
        perOperation(count, (times) => {
          for (let i = 0; i < times; i++) same(text);
        }),
    },
    {
      name: "attribute of a module: the proxy that is there",
      count: 200_000,
      run: (count) =>
        perOperation(count, (times) => {
          for (let i = 0; i < times; i++) module.bench_thing;
        }),
    },
    {
      name: "new object, new proxy",
      count: 50_000,
      run: (count) =>
        perOperation(count, (times) => {
          for (let i = 0; i < times; i++) make();
        }),
    },
  ];
}
