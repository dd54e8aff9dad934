// So they do after an uncaught error, when Node.js tells nobody of what such a listener throws.
// exit: 1
// stderr: Error: nobody catches this
import { Python } from "coloop";

process.on("exit", () => {
  throw new Error("of the listener");
});
const py = await Python.start();
py.execSync('import atexit; atexit.register(print, "pass")');
setImmediate(() => {
  throw new Error("nobody catches this");
});
