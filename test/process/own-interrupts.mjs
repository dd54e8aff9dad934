// Time-outs, signals and interrupts stop Python in an interpreter of a Worker's own, and only there.
import assert from "node:assert/strict";
import { Python } from "coloop";
import { inOwn, startOwn, terminateOwn, told } from "./own-helpers.mjs";

const py = await Python.start();
await inOwn(async ({ py, assert }) => {
  const failure = (fn) => {
    try {
      fn();
    } catch (error) {
      return error.code;
    }
  };
  const spin = "while True: pass";
  for (let i = 0; i < 20; i++) {
    assert.equal(
      failure(() => py.execSync(spin, {}, { timeout: 5 })),
      "ERR_COLOOP_TIMEOUT",
    );
    assert.equal(py.evalSync("1 + 1"), 2);
  }
  // Python code that catches it is interrupted again.
  const stubborn =
    "n = 0\nwhile n < 3:\n  try:\n    while True: pass\n  except KeyboardInterrupt: n += 1";
  assert.equal(
    failure(() => py.execSync(stubborn, {}, { timeout: 5 })),
    "ERR_COLOOP_TIMEOUT",
  );
  py.execSync("async def forever():\n  while True: pass");
  const error = await py.globals.forever
    .$with({ timeout: 5 })()
    .catch((caught) => caught);
  assert.equal(error.code, "ERR_COLOOP_TIMEOUT");
  assert.equal(await py.eval("await __import__('asyncio').sleep(0.001, 3)"), 3);
});

// From the main thread, by the Worker's number.
const worker = startOwn(async ({ py, tell, threadId }) => {
  tell(threadId);
  try {
    py.execSync("while True: pass");
  } catch (error) {
    return error.code;
  }
});
const number = await told(worker);
const outcome = told(worker);
while (!py.interrupt({ threadId: number })) await new Promise((resolve) => setImmediate(resolve));
assert.equal(await outcome, "ERR_COLOOP_INTERRUPTED");
assert.equal(py.evalSync("40 + 2"), 42);

// Python that catches everything does not keep a Worker that is terminated.
await terminateOwn(({ py, catchEverything, tell }) => catchEverything(py, () => tell("ready")));
console.log("pass");
