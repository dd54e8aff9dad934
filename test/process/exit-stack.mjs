// JavaScript and Python that call each other without end get JavaScript's RangeError, Python's
// RecursionError or ERR_COLOOP_STACK, wherever the stack ends: also within the code that tells of an error.
// node: --stack-size=4000
// within: 20000
import assert from "node:assert/strict";
import { Python } from "coloop";

const py = await Python.start();

function outcome() {
  const f = () => py.evalSync("f()", { f });
  try {
    return f();
  } catch (error) {
    const known = error instanceof RangeError || error.name === "RecursionError";
    return known || error.code === "ERR_COLOOP_STACK" ? "told" : `${error.name}: ${error.message}`;
  }
}

// Here it is Python's own limit that they come to, if that is counted for native frames.
assert.equal(outcome(), "told");

const outcomes = new Set();
let deepest = 0;
function descend(depth) {
  deepest = depth;
  try {
    descend(depth + 1);
  } catch {
    // The end of JavaScript's own stack: on the way back there is more and more left.
  }
  if (deepest - depth < 50 || deepest - depth > 2000) return;
  try {
    outcomes.add(outcome());
  } catch (error) {
    assert(error instanceof RangeError); // there was not even enough to try it
  }
}
descend(0);
assert.deepEqual([...outcomes], ["told"]);
assert.equal(py.evalSync("1 + 1"), 2);
await py.close();
console.log("pass");
