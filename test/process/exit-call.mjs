// process.exit with its own code.
// exit: 7
import { Python } from "coloop";

const py = await Python.start();
py.execSync("import atexit\natexit.register(lambda: print('pass', flush=False))");
process.exit(7);
