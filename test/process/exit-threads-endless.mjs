// A non-daemon thread that never ends holds the process for the grace only.
// within: 6000
import { Python } from "coloop";

const py = await Python.start({ exitGrace: 500 });
py.execSync(`
import threading, time
threading.Thread(target=time.sleep, args=(60,)).start()
`);
console.log("pass");
process.exit(0);
