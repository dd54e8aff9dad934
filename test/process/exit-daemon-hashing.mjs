// Daemon threads inside C code without the GIL do not disturb the exit.
// within: 10000
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import hashlib, threading
data = bytes(20_000_000)

def hash_it():
    while True:
        hashlib.sha256(data).digest()

for _ in range(4):
    threading.Thread(target=hash_it, daemon=True).start()
`);
setTimeout(() => {
  console.log("pass");
  process.exit(0);
}, 100);
