// Time-outs and interrupts in a Worker: Python's threads take no signals there.
// within: 30000
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { Python } from "coloop";

async function inWorker(py) {
  py.execSync(`
import asyncio, coloop, ctypes, sys, time
def spin():
    while True: pass
def catches_all():
    while True:
        try: sum((1, 2))
        except: pass
def short_sleeps():
    while True: time.sleep(0.01)
def owned():
    coloop.run(asyncio.sleep(60))
def beside_one_that_starts():
    # What threading.Thread.start() makes: up to 3.11 a state with the ident of this thread.
    api = ctypes.pythonapi
    api.PyInterpreterState_Get.restype = api.PyThreadState_New.restype = ctypes.c_void_p
    interpreter = ctypes.c_void_p(api.PyInterpreterState_Get())
    older = sys.version_info < (3, 12)
    state = ctypes.c_void_p(api.PyThreadState_New(interpreter)) if older else None
    try:
        spin()
    finally:
        if older:
            api.PyThreadState_Clear(state)
            api.PyThreadState_Delete(state)
async def later():
    await asyncio.sleep(0.005)
    spin()
`);
  const ends = [];
  const names = ["spin", "catches_all", "short_sleeps", "owned", "beside_one_that_starts", "later"];
  for (const name of names) {
    try {
      await py.globals[name].$with({ timeout: 30 })();
    } catch (error) {
      ends.push([name, error.name, error.cause?.pythonType]);
    }
  }
  parentPort.postMessage("spins");
  try {
    py.globals.spin();
  } catch (error) {
    ends.push(["interrupt", error.name, error.pythonType]);
  }
  parentPort.postMessage([ends, py.evalSync("1 + 1")]);
}

const py = await Python.start();
if (isMainThread) {
  const worker = new Worker(fileURLToPath(import.meta.url));
  await once(worker, "message");
  while (!py.interrupt({ threadId: worker.threadId })) await new Promise(setImmediate);
  const [[ends, two]] = await once(worker, "message");
  await once(worker, "exit");
  const good = ends.every(([name, error, type]) => {
    const wanted = name === "interrupt" ? "PythonInterruptedError" : "PythonTimeoutError";
    return error === wanted && type === "KeyboardInterrupt";
  });
  console.log(good && ends.length === 7 && two === 2 ? "pass" : JSON.stringify(ends));
} else {
  await inWorker(py);
}
await py.close();
