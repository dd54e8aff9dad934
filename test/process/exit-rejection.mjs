// A rejection that nobody handles is Node's, also when it comes from Python.
// exit: 1
// stderr: nobody handles this
import { Python } from "coloop";

const py = await Python.start();
py.execSync("import atexit\natexit.register(lambda: print('pass'))");
void py.exec("import asyncio\nawait asyncio.sleep(0.01)\nraise ValueError('nobody handles this')");
