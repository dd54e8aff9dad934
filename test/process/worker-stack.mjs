// In a Worker, Python is refused near the end of the stack, where its own recursion would leave it.
// within: 20000
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Python } from "coloop";

const py = await Python.start();
if (isMainThread) {
  const worker = new Worker(fileURLToPath(import.meta.url));
  worker.once("message", (codes) => console.log(codes === "ERR_COLOOP_STACK" ? "pass" : codes));
} else {
  py.execSync(`
def recurse(n=0):
    return sorted([1, 2], key=lambda _: recurse(n + 1))

def deep():
    try:
        recurse()
    except RecursionError:
        return "RecursionError"
`);
  const { deep } = py.globals;
  const codes = new Set();
  let deepest = 0;
  const descend = (depth) => {
    deepest = depth;
    try {
      descend(depth + 1);
    } catch {
      // The end of JavaScript's own stack: on the way back there is more and more left.
    }
    if (deepest - depth > 1500 || (deepest - depth) % 50 !== 0) return;
    try {
      codes.add(deep());
    } catch (error) {
      if (!(error instanceof RangeError)) codes.add(error.code);
    }
  };
  descend(0);
  if (deep() !== "RecursionError") codes.add("refused at the start of the stack");
  parentPort.postMessage([...codes].join());
}
