// Containers and buffers that cross.

import { perOperation } from "../measure.mjs";

export function cases(py) {
  py.execSync(`
def bench_take(value):
    return None

def bench_echo(value):
    return value

bench_numbers = list(range(1000))
bench_dict = {f"key{n}": n for n in range(10)}

def bench_list():
    return bench_numbers

def bench_mapping():
    return bench_dict
`);
  const {
    bench_take: take,
    bench_echo: echo,
    bench_list: list,
    bench_mapping: mapping,
  } = py.globals;
  const numbers = Array.from({ length: 1000 }, (_, index) => index);
  const strings = numbers.map((number) => `item ${number}`);
  const object = Object.fromEntries(numbers.slice(0, 10).map((number) => [`key${number}`, number]));
  const megabyte = Buffer.alloc(1024 * 1024);
  const each = (name, count, call) => ({
    name,
    count,
    run: (rounds) =>
      perOperation(rounds, (times) => {
        for (let i = 0; i < times; i++) call();
      }),
  });
  return [
    each("list of 1,000 ints to Python", 4_000, () => take(numbers)),
    each("list of 1,000 ints to JavaScript", 4_000, () => list()),
    each("list of 1,000 ints there and back", 2_000, () => echo(numbers)),
    each("list of 1,000 strings there and back", 1_000, () => echo(strings)),
    each("object of 10 to Python", 50_000, () => take(object)),
    each("dict of 10 to JavaScript", 50_000, () => mapping()),
    each("object of 10 there and back", 30_000, () => echo(object)),
    each("1 MB Buffer to Python, not copied", 20_000, () => take(megabyte)),
  ];
}
