// Memory that runs out in a conversion is an error of the call: of each kind of value, both ways, every
// allocation of Python's fails once. Then the call gives what it should or a MemoryError; the process goes on,
// and nothing is left.
// node: --expose-gc
// within: 110000
import assert from "node:assert/strict";
import { expectFlat } from "./leak-helpers.mjs";
import { names, point, toJs, toPython } from "./memory-helpers.mjs";

const calm = 20; // so many calls without an error: the call has no allocation that late

let arm;
let remove;
let report; // to the call that is tried: an error that the loop's exception handler got
let failures = 0;

/** CPython from 3.11 on loses what a Python function raised if it has no memory for the traceback. */
const lost = /^<function .*> returned NULL without setting an exception$/;

function isMemoryError({ name, message }) {
  return /MemoryError/.test(`${name} ${message}`) || (name === "SystemError" && lost.test(message));
}

function disarm() {
  for (let tries = 0; tries < 3; tries++) {
    try {
      return remove();
    } catch (error) {
      assert(isMemoryError(error), error);
    }
  }
  assert.fail("the hooks of the allocators stay");
}

/**
 * CPython keeps sixteen MemoryErrors for when there is no memory. With all of them alive it gives out one more
 * again and again, and that keeps every frame that it came through.
 */
async function releaseErrors() {
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a function returns, or what it throws. */
function outcomeOf(call) {
  try {
    return { value: call() };
  } catch (error) {
    return { error };
  }
}

/** Calls with the first allocation failing, the second and so on. */
async function failEach(what, prepare, call, holds) {
  for (let n = 0, without = 0; without < calm; n++) {
    const argument = prepare();
    const reported = new Promise((_, reject) => {
      report = reject;
    });
    reported.catch(() => {});
    arm(n);
    let { value, error } = outcomeOf(() => call(argument));
    disarm();
    try {
      const held = error !== undefined || (await Promise.race([holds(value), reported]));
      assert(held, `${what}: with allocation ${n} failing it gives another value`);
    } catch (rejection) {
      error = rejection;
    }
    without = error === undefined ? without + 1 : 0;
    if (error === undefined) continue;
    assert(isMemoryError(error), error);
    failures += 1;
    if (failures % 8 === 0) await releaseErrors();
  }
}

function setUp(py) {
  py.on("loopError", ({ exception }) => {
    if (exception !== null) report(exception);
  });
  py.execSync(names);
  py.globals.point = point;
  py.execSync("import _testcapi\ndef arm(n): _testcapi.set_nomemory(n, n + 1)");
  ({ arm } = py.globals);
  remove = py.import("_testcapi").remove_mem_hooks;
}

let round = 0;
const sweep = async (py) => {
  round += 1;
  if (arm === undefined) setUp(py);
  for (const [row, values] of Object.entries(toPython)) {
    for (const [make, condition] of values) {
      const check = py.evalSync(`lambda v: ${condition}`);
      await failEach(
        `${row} to Python`,
        () => make(py),
        check,
        (value) => value === true,
      );
    }
  }
  for (const [row, values] of Object.entries(toJs)) {
    for (const [expression, holds, once] of values) {
      if (once && round > 1) continue;
      const fresh = /\(\)$/.test(expression);
      const give = py.evalSync(fresh ? `lambda: ${expression}` : `lambda v=${expression}: v`);
      await failEach(
        `${row} to JavaScript`,
        () => undefined,
        () => give(),
        holds,
      );
    }
  }
};

await expectFlat(sweep, { rounds: 4, warmUp: 2, blocks: 500 });
assert(failures > 1000, `only ${failures} allocations failed`);
