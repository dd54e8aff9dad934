// Daemon threads that compute do not disturb the exit.
// within: 10000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import threading

def busy():
    while True:
        sum(range(100))

for _ in range(4):
    threading.Thread(target=busy, daemon=True).start()
`);
setTimeout(() => {
  console.log("pass");
  process.exit(0);
}, 100);
