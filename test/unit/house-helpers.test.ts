import { expect, test } from "vitest";
import { runCode } from "../helpers/child.js";
import { collect, collectUntil } from "../helpers/gc.js";
import { mustCall, mustNotCall } from "../helpers/must-call.js";

test("a child's status and output come back", async () => {
  const result = await runCode(
    "console.log(process.argv.at(-1)); console.error('e'); process.exit(3)",
    {
      args: ["argument"],
    },
  );
  expect(result).toEqual({ code: 3, signal: null, stdout: "argument\n", stderr: "e\n" });
});

test("a child ended by a signal says which", async () => {
  const result = await runCode("setInterval(() => {}, 1000)", {
    onStart: (child) => void child.kill("SIGTERM"),
  });
  expect(result.signal).toBe("SIGTERM");
});

test("a child that does not end is killed, and what it wrote is in the error", async () => {
  const running = runCode("console.log('still here'); setInterval(() => {}, 1000)", {
    timeout: 2_500,
  });
  await expect(running).rejects.toThrow(/still ran after 2500 ms[\s\S]*still here/);
});

/** In a function of its own: a suspended async function may keep its temporaries. */
function makeWeakRef(): WeakRef<object> {
  return new WeakRef({});
}

test("collectUntil sees an object go", async () => {
  const reference = makeWeakRef();
  await collectUntil(() => reference.deref() === undefined, "the object");
});

test("collectUntil fails when something keeps the object", async () => {
  const object = {};
  const reference = new WeakRef(object);
  const collecting = collectUntil(() => reference.deref() === undefined, "the object", 3);
  await expect(collecting).rejects.toThrow("not after 3 garbage collections: the object");
  expect(reference.deref()).toBe(object);
  collect();
});

test("mustCall passes calls on", () => {
  const double = mustCall((value: number) => value * 2, 2);
  expect([double(1), double(2)]).toEqual([2, 4]);
});

test.fails("mustCall fails a test that does not call", () => {
  mustCall(() => undefined);
});

test("mustNotCall throws when called", () => {
  expect(mustNotCall("the callback")).toBeTypeOf("function");
});

test.fails("mustNotCall fails a test whose caller swallows the error", () => {
  const callback = mustNotCall("the callback");
  try {
    callback();
  } catch {
    // swallowed, as code under test might
  }
});
