// An uncaught error of JavaScript's ends the process as always; Python's exit handlers run.
// exit: 1
// stderr: Error: nobody catches this
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import atexit, sys, threading, time
atexit.register(lambda: sys.stdout.write("pass\\n"))
threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
`);
setTimeout(() => {
  throw new Error("nobody catches this");
}, 10);
