// An exit handler that calls JavaScript gets a clear error, and the others run.
import { Python } from "coloop";

const py = await Python.start();
py.register("log_line", (text) => console.log(text));
py.execSync(`
import atexit
from coloop import log_line

def call_javascript():
    try:
        log_line("not reached")
    except RuntimeError as error:
        print("pass" if "exiting" in str(error) else f"another text: {error}")

atexit.register(lambda: print("the other one"))
atexit.register(call_javascript)
`);
process.exit(0);
