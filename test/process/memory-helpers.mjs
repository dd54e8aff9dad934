// A value or more of each kind that crosses, by the rows of native/convert/kinds.def.

class Point {
  x = 1;
}

/** [makes the value, what holds of it in Python, as `v`] */
export const toPython = {
  "integer-valued number in the safe range": [
    [() => 2 ** 40, "v == 2 ** 40 and type(v) is int"],
    [() => -7, "v == -7"],
  ],
  "other number, NaN, infinities, -0": [[() => 0.5, "v == 0.5"]],
  bigint: [
    [() => 2n ** 200n, "v == 2 ** 200"],
    [() => -(2n ** 200n), "v == -2 ** 200"],
  ],
  string: [
    [() => "text ".repeat(100), "v == 'text ' * 100"],
    [() => "\u0436\u{1f600}\ud800", "len(v) == 3"],
  ],
  boolean: [[() => true, "v is True"]],
  "null, undefined": [[() => null, "v is None"]],
  Array: [
    [() => [1.5, ["a", [2n ** 70n]], null], "v == [1.5, ['a', [2 ** 70]], None]"],
    [() => Array.from({ length: 40 }, (_, i) => i * 1e6), "v == [i * 10 ** 6 for i in range(40)]"],
    [() => Array(50).fill("x"), "v == ['x'] * 50"],
  ],
  "plain object, null prototype": [
    [() => ({ a: 1000, b: { c: "d" } }), "v == {'a': 1000, 'b': {'c': 'd'}}"],
    [
      () => Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`k${i}`, i / 2])),
      "v == {f'k{i}': i / 2 for i in range(30)}",
    ],
  ],
  Map: [[() => new Map([[1000, [0.5]]]), "v == {1000: [0.5]}"]],
  Set: [[() => new Set(["a", 1000, 0.5]), "v == {'a', 1000, 0.5}"]],
  Date: [[() => new Date(86_400_123), "v.timestamp() == 86400.123"]],
  "ArrayBuffer, SharedArrayBuffer, Buffer, typed array, DataView": [
    [() => new Float64Array([0.5, 1.5]), "v.tolist() == [0.5, 1.5]"],
    [() => [Buffer.from("bytes")], "bytes(v[0]) == b'bytes'"],
  ],
  Error: [[() => new TypeError("text"), "isinstance(v, Exception)"]],
  "Promise, thenable": [[() => Promise.resolve(1), "hasattr(v, '__await__')"]],
  function: [[() => (x) => x, "callable(v)"]],
  "async iterable": [
    [
      async function* () {
        yield 1;
      },
      "hasattr(v, '__aiter__')",
    ],
  ],
  "iterator, generator": [[() => [1, 2].values(), "list(v) == [1, 2]"]],
  "proxy of a Python object": [[(py) => py.globals.kept, "v is kept"]],
  "any other object": [[() => new Point(), "v.x == 1"]],
};

const isProxyOf = (name) => (value) => value.$type === name;

/** [an expression, what holds of it in JavaScript, whether it is to be tried in one round only] */
export const toJs = {
  "int in the safe range": [["2 ** 40", (v) => v === 2 ** 40]],
  "int outside it": [
    ["2 ** 200", (v) => v === 2n ** 200n],
    ["-2 ** 200", (v) => v === -(2n ** 200n)],
  ],
  float: [["0.5", (v) => v === 0.5]],
  str: [
    ["'text ' * 100", (v) => v === "text ".repeat(100)],
    ["'\\u0436\\U0001f600'", (v) => v === "\u0436\u{1f600}"],
  ],
  bool: [["True", (v) => v === true]],
  None: [["None", (v) => v === null]],
  "list, tuple": [
    ["[0.5, ('a', [2 ** 70])]", (v) => v[1][1][0] === 2n ** 70n],
    ["list(range(40))", (v) => v.length === 40 && v[39] === 39],
  ],
  "dict with only str keys": [["{'a': 1, 'b': {'c': [0.5]}}", (v) => v.b.c[0] === 0.5]],
  "other dict": [["{1000: 'a'}", (v) => v.get(1000) === "a"]],
  "set, frozenset": [["{0.5, 'a'}", (v) => v.has("a") && v.size === 2]],
  "datetime (naive is local time)": [
    ["datetime.fromtimestamp(86400, timezone.utc)", (v) => v.getTime() === 86_400_000],
    ["datetime.fromtimestamp(86400)", (v) => v.getTime() === 86_400_000],
  ],
  "bytes, bytearray": [["b'bytes' * 20", (v) => v.length === 100]],
  BaseException: [["ValueError('text')", (v) => v instanceof Error && v.message === "text"]],
  "coroutine, Task, Future": [
    // Once: where asyncio itself has no memory for its first step, a Task stays pending, in plain Python too.
    ["later()", async (v) => (await v) === 3, "once"],
    ["future()", async (v) => (await v) === 3],
  ],
  "async generator": [["stream()", (v) => typeof v[Symbol.asyncIterator] === "function"]],
  "iterator, generator": [["iter([1, 2])", (v) => typeof v[Symbol.iterator] === "function"]],
  "proxy of a JavaScript object": [["point", (v) => v instanceof Point]],
  "buffer (memoryview, array, numpy)": [["memoryview(b'bytes')", isProxyOf("memoryview")]],
  "function, method, class, any other object": [
    ["object()", isProxyOf("object")],
    ["[len, {'f': str.upper}]", (v) => v[0]("abc") === 3],
  ],
};

/** Names that the tables use. */
export const names = `
import asyncio, logging, warnings
from datetime import datetime, timezone
logging.disable()
warnings.filterwarnings("ignore", "coroutine .* was never awaited")
kept = object()
async def later():
    return 3
def future():
    made = asyncio.get_event_loop().create_future()
    made.set_result(3)
    return made
async def stream():
    yield 1
`;
export const point = new Point();
