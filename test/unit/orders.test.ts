// What tools/orders.mjs makes of the end of a process.

import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const tools = fileURLToPath(new URL("../../tools/", import.meta.url));
const { judge } = (await import(`${tools}orders.mjs`)) as {
  judge(end: {
    code: number | null;
    signal: string | null;
    stdout: string;
    stderr: string;
  }): string[];
};

function promised(promise: object): string {
  const all = { code: 0, signal: null, atexit: 1, stderr: null, wanted: [], ...promise };
  return `promise ${JSON.stringify(all)}\natexit\n`;
}

const warning =
  "/x/_bridge.py:94: RuntimeWarning: coroutine '<module>' was never awaited\n" +
  "  result = eval(compiled, *scope)\n" +
  "RuntimeWarning: Enable tracemalloc to get the object allocation traceback\n";

const finalizer =
  "Exception ignored in: <function WeakSet.__init__.<locals>._remove at 0x1>\nTraceback (most recent call last):\n" +
  '  File "/x/_weakrefset.py", line 39, in _remove\n    def _remove(item, selfref=ref(self)):\n\n';

test("an end is as promised, or what is wrong is said", () => {
  const stdout = promised({ code: 9 });
  const end = { code: 9, signal: null, stdout, stderr: "" };
  expect(judge(end)).toEqual([]);
  expect(judge({ ...end, stderr: warning })).toEqual([]);
  expect(judge({ ...end, stderr: `${finalizer}KeyboardInterrupt: \n\n${warning}` })).toEqual([]);
  expect(judge({ ...end, stderr: `${finalizer}ValueError: \n\n` })).toHaveLength(1);
  expect(judge({ ...end, stderr: `${warning}x` })).toEqual(["there is something on stderr"]);
  expect(judge({ ...end, code: 8 })).toEqual(["ended with 8, not 9"]);
  expect(judge({ ...end, code: null, signal: "SIGSEGV" })).toEqual(["ended with SIGSEGV, not 9"]);
  expect(judge({ ...end, stdout: `${stdout}atexit\n` })).toEqual(["atexit ran 2 times, not 1"]);
  expect(judge({ ...end, stdout: "" })).toEqual(["ended before it said how: status 9"]);
  expect(judge({ ...end, stdout: promised({ code: 9, wanted: ["x"] }) })).toEqual([
    "a step failed: x",
  ]);
});
