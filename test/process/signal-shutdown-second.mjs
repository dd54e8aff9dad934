// The second signal ends the process, whatever is left of the grace: at once where Python can be interrupted, soon where
// C code never looks for interrupts.
// exit: 143
// within: 6000
import { Python } from "coloop";

const py = await Python.start();
py.shutdownOnSignals({ grace: 60_000 });
setInterval(() => {}, 1000);
console.log("pass");
try {
  py.execSync(`
import itertools, os, signal
os.kill(os.getpid(), signal.SIGINT)
os.kill(os.getpid(), signal.SIGTERM)
sum(itertools.repeat(1))
`);
} catch {
  // The second one's interrupt came before the sum: JavaScript ends the process.
}
