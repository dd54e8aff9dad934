// An exit handler that raises is reported, and the others run.
// stderr: ValueError: in a handler
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import atexit
atexit.register(lambda: print("pass"))

def fail():
    raise ValueError("in a handler")

atexit.register(fail)
`);
