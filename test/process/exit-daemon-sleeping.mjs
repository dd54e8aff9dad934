// Daemon threads that sleep are not waited for.
// within: 5000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import threading, time
for _ in range(4):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
`);
console.log("pass");
process.exit(0);
