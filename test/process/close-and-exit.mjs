// The exit sequence runs after close() as well: handlers and output are not lost.
import { Python } from "coloop";

const py = await Python.start();
py.execSync("import atexit\natexit.register(lambda: print('pass'))");
await py.close();
