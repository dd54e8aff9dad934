// The process ends: the exit handlers of interpreters that Workers left or have run, what they
// printed is written, threads of theirs that compute for ever hold nothing up.
// within: 20000
// prints: pass, kept was here, kept exits, left was here, left exits
import { Python } from "coloop";
import { inOwn, startOwn, told } from "./own-helpers.mjs";

const py = await Python.start();
const register = ({ py, tell }, name) => {
  py.execSync(
    `
import atexit, sys, threading
atexit.register(lambda: sys.stdout.write(f"{name} exits\\n"))
sys.stdout.write(f"{name} was here\\n")
def spin():
    while True: pass
threading.Thread(target=spin, daemon=True).start()
`,
    { name },
  );
  tell("registered");
  if (name === "kept") setInterval(() => {}, 1000);
};
const kept = startOwn(register, "kept");
await told(kept);
await inOwn(register, "left");
py.execSync("print('pass', flush=True)");
process.exit(0);
