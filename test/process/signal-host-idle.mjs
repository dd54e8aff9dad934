// Python's handlers run while nothing of Python's does; what they raise goes to the exception handler.
import { once } from "node:events";
import { Python } from "coloop";

const py = await Python.start({ signals: "host" });
py.execSync(`
import signal, os
numbers = []
signal.signal(signal.SIGTERM, lambda number, frame: numbers.append(number))
signal.signal(signal.SIGHUP, signal.SIG_IGN)

def fail(number, frame):
    raise ValueError(number)

signal.signal(signal.SIGUSR2, fail)
for refused in (signal.SIGUSR1, signal.SIGCHLD, signal.SIGSEGV):
    try:
        signal.signal(refused, fail)
    except ValueError as error:
        assert "py.onSignal" in str(error)
    else:
        raise AssertionError(refused)
import logging
logging.getLogger("asyncio").disabled = True
`);
const alive = setInterval(() => {}, 1000); // a signal alone keeps no process alive
process.kill(process.pid, "SIGHUP"); // ignored
process.kill(process.pid, "SIGTERM");
process.kill(process.pid, "SIGUSR2");
const [{ exception }] = await once(py, "loopError");
while (py.evalSync("len(numbers)") === 0) await new Promise((resolve) => setTimeout(resolve, 1));
const numbers = py.evalSync("numbers");
// Back to Node's default, which is tried in a process that may end: signal-sigterm.mjs has the rest.
py.execSync("signal.signal(signal.SIGTERM, signal.SIG_DFL)");
clearInterval(alive);
console.log(exception.name === "ValueError" && numbers[0] === 15 ? "pass" : "wrong");
