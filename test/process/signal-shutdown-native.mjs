// After the grace C code that never looks for interrupts does not keep the process.
// exit: 143
// within: 6000
import { Python } from "coloop";

const py = await Python.start();
py.shutdownOnSignals({ grace: 100 });
console.log("pass");
py.execSync(`
import itertools, os, signal
os.kill(os.getpid(), signal.SIGTERM)
sum(itertools.repeat(1))
`);
