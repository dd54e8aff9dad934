// Non-daemon threads get the grace to finish, as in Python.
// within: 10000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import threading, time

def work():
    time.sleep(0.3)
    print("pass")

threading.Thread(target=work).start()
`);
process.exit(0);
