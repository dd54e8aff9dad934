// Calls, values, proxies, coroutines and streams in an interpreter of a Worker's own; what is the
// main thread's stays there.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn } from "./own-helpers.mjs";

const py = await Python.start();
py.execSync("import json, asyncio\nof_main = 1\njson.of_main = 1");
py.register("whose", () => "main");

await inOwn(async ({ py, kw, assert }) => {
  assert.equal(py.evalSync("6 * 7"), 42);
  assert.equal(py.evalSync("'of_main' in globals()"), false);
  assert.equal(py.evalSync("hasattr(__import__('json'), 'of_main')"), false);
  assert.equal(py.globals.__name__, "__main__");
  assert.equal(py.evalSync("__import__('coloop').detect_mode().name"), "SUBINTERP");
  assert.equal(py.import("math").factorial(25), 15511210043330985984000000n);
  const values = [1, -0.5, "ä\u{1F600}", null, true, [1, [2]], { a: { b: new Map([[1, 2]]) } }];
  const mirror = py.evalSync("lambda x: x");
  for (const value of values) assert.deepEqual(mirror(value), value);
  const bytes = new Uint8Array([1, 2, 3]);
  assert.deepEqual(py.evalSync("lambda b: bytes(b)")(bytes), bytes);
  assert.deepEqual(mirror(new Set([1, "x"])), new Set([1, "x"]));
  for (const time of [0, -1, 1.5e12 + 7, -8e12]) {
    assert.deepEqual(mirror(new Date(time)), new Date(time));
  }
  const date = py.evalSync("lambda d: (type(d).__name__, d.isoformat())")(new Date(1e12 + 5));
  assert.deepEqual(date, ["datetime", "2001-09-09T01:46:40.005000+00:00"]);
  assert.deepEqual(
    py.evalSync(
      "__import__('datetime').datetime(1970, 1, 2, tzinfo=__import__('datetime').timezone.utc)",
    ),
    new Date(864e5),
  );
  const dict = py
    .evalSync("__import__('collections').OrderedDict", {})
    .$with({ kwargs: { a: 1 } })();
  assert.deepEqual(dict, { a: 1 });
  assert.equal(py.evalSync("sorted")([3, 1, 2], kw({ reverse: true }))[0], 3);
  const object = py.evalSync("type('Point', (), {'x': 1})()");
  object.x = { y: [2] };
  assert.equal(py.evalSync("lambda p: p.x['y'][0]")(object), 2);
  assert.equal(
    py.evalSync("lambda f: f(20) + 1")((x) => x * 2),
    41,
  );
  const identity = py.evalSync("lambda o: o");
  const own = new (class Own {})();
  assert.equal(identity(own), own);
});

await inOwn(async ({ py, assert }) => {
  py.execSync(`
import asyncio
from coloop import ErlangEventLoop

async def add(a, b):
    await asyncio.sleep(0.001)
    assert isinstance(asyncio.get_running_loop(), ErlangEventLoop)
    return a + b

async def numbers(n):
    for i in range(n):
        await asyncio.sleep(0)
        yield i

async def fail():
    await asyncio.sleep(0)
    raise LookupError("of the Worker")
`);
  const { add, numbers, fail } = py.globals;
  assert.deepEqual(await Promise.all([add(1, 2), add("a", "b")]), [3, "ab"]);
  const items = [];
  for await (const item of numbers(5)) items.push(item);
  assert.deepEqual(items, [0, 1, 2, 3, 4]);
  const error = await fail().catch((caught) => caught);
  assert.equal(error.name, "LookupError");
  assert.match(error.traceback, /in fail/);
  const thrown = new Error("of JavaScript");
  assert.throws(
    () =>
      py.evalSync("lambda f: f()")(() => {
        throw thrown;
      }),
    (caught) => caught === thrown,
  );
  const late = new Promise((resolve) => setTimeout(resolve, 2, "late"));
  assert.equal(await py.eval("await p", { p: late }), "late");
  const controller = new AbortController();
  const sleeper = py.eval("await asyncio.sleep(60)", {}, { signal: controller.signal });
  controller.abort();
  assert.equal((await sleeper.catch((caught) => caught)).name, "AbortError");
  py.register("whose", () => "worker");
  assert.equal(py.evalSync("__import__('coloop').whose()"), "worker");
  assert.equal(await py.eval("await asyncio.to_thread(__import__('coloop').whose)"), "worker");
  assert.equal(await py.eval("await asyncio.to_thread(sum, range(1000))"), 499500);
  assert.equal(
    py.evalSync("__import__('coloop').run(__import__('asyncio').sleep(0.001, 'owned'))"),
    "owned",
  );
});
assert.equal(py.evalSync("__import__('coloop').whose()"), "main");

// Errors and limits of what may be mixed.
await inOwn(async ({ py, Python, assert }) => {
  assert.equal(await Python.start(), py);
  const shared = await Python.start({ interpreter: "shared" }).catch((error) => error);
  assert.equal(shared.code, "ERR_COLOOP_OTHER_INTERPRETER");
  assert.match(shared.message, /interpreter: "own" here.*cannot have interpreter: "shared"/);
  await py.close();
  const still = await Python.start({ interpreter: "shared" }).catch((error) => error);
  assert.equal(still.code, "ERR_COLOOP_OTHER_INTERPRETER");
  assert.match(still.message, /this Worker's interpreter is "own"/);
  const again = await Python.start();
  assert.equal(await again.eval("await __import__('asyncio').sleep(0, 5)"), 5);
  await again.close();
});
console.log("pass");
