// A listener of 'exit' from before Python's start may call Python, and throw: Python's exit handlers run all the same.
// exit: 1
// stderr: Error: of the listener
import { Python } from "coloop";

let py;
process.on("exit", () => {
  throw new Error(`${py.evalSync("'of the listener'")}`);
});
py = await Python.start();
py.execSync('import atexit; atexit.register(print, "pass")');
