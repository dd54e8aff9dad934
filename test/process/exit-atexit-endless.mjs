// An exit handler that never returns is interrupted when the grace is over.
// within: 6000
// stderr: KeyboardInterrupt
import { Python } from "coloop";

const py = await Python.start({ exitGrace: 300 });
py.execSync(`
import atexit, time
atexit.register(lambda: print("pass"))

def sleep():
    time.sleep(60)

def spin():
    while True:
        pass

atexit.register(sleep)
atexit.register(spin)
`);
process.exit(0);
