// A thread's call into JavaScript that waits is served, though nothing else keeps Node alive.
import { Python } from "coloop";

const py = await Python.start();
py.register("begin", () => {
  setTimeout(() => console.log("pass"), 20);
});
py.execSync(`
import threading
from coloop import begin
threading.Thread(target=begin).start()
`);
// The thread has called by the time that this thread comes to its loop.
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
