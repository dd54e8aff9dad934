// The program removes all listeners of 'exit': Python's exit handlers run at the environment's end.
import { Python } from "coloop";

const py = await Python.start();
py.execSync('import atexit; atexit.register(print, "pass")');
process.removeAllListeners("exit");
