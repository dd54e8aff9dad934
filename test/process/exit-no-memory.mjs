// A value that there is no memory for is an error of the call, both ways, and the process goes on.
// within: 60000
import assert from "node:assert/strict";
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import resource

def limit(more):
    """The process may have so many bytes of addresses more."""
    with open("/proc/self/statm") as file:
        size = int(file.read().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + more, hard))

def unlimit():
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))

def size(value):
    return value.bit_length() if isinstance(value, int) else len(value)

wide = "\\U0001f600" * (1 << 25)
numbers = [0.5] * (1 << 24)
integer = 1 << (1 << 29)
def give(name):
    return globals()[name]
`);
const { limit, unlimit, size, give } = py.globals;
const megabyte = 1 << 20;

// What there is memory for, in megabytes, and a call that needs more.
const text = Buffer.alloc(1 << 26, "x").latin1Slice();
const odd = `${"\u{1f600}".repeat(1 << 24)}\ud800`;
const integer = 1n << BigInt(2 ** 29);
const numbers = Array.from({ length: 1 << 23 }, (_, i) => i + 0.5);
const calls = {
  "a string": [48, () => size(text)],
  "a string's code points": [100, () => size(odd)],
  "a bigint": [48, () => size(integer)],
  "a bigint as int": [100, () => size(integer)],
  numbers: [48, () => size(numbers)],
  "numbers as floats": [100, () => size(numbers)],
  "a string to JavaScript": [48, () => give("wide")],
  "numbers to JavaScript": [48, () => give("numbers")],
  "an integer to JavaScript": [48, () => give("integer")],
};
// With enough memory they cross; V8 then has the texts in one piece.
for (const value of [text, odd, integer, numbers]) assert(size(value) > 1 << 22);

for (const [what, [megabytes, call]] of Object.entries(calls)) {
  limit(megabytes * megabyte);
  let error;
  try {
    call();
  } catch (caught) {
    error = caught;
  }
  unlimit();
  assert.match(`${what}: ${error?.name}: ${error?.message}`, /memory|allocation failed/i);
  assert.equal(size("text"), 4);
}
await py.close();
console.log("pass");
