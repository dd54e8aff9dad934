// The process ends by itself when nothing is left to do; buffered output and exit handlers are not lost.
// within: 10000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import atexit, sys
atexit.register(lambda: sys.stdout.write("pass\\n"))
sys.stdout.write("buffered until the end\\n" * 3)
`);
if ((await py.eval("1 + 1")) !== 2) throw new Error("wrong");
