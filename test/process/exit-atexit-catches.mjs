// An exit handler that catches every exception is ended a while after the grace and the next ones run; with one in C
// code that never looks for interrupts the process ends. What was printed before is not lost.
// exit: 3
// within: 6000
// stderr: KeyboardInterrupt
import { Python } from "coloop";

const py = await Python.start({ exitGrace: 200 });
py.execSync(`
import atexit, itertools, os, sys, time
sys.stdout.reconfigure(write_through=False)
print("pa", end="")
atexit.register(lambda: sum(itertools.repeat(1)))
atexit.register(lambda: os.write(1, b"ss\\n"))

def catch():
    while True:
        try:
            time.sleep(0.1)
        except BaseException:
            pass

atexit.register(catch)
`);
process.exit(3);
