// A script for plain Python has its own handlers, with signals: "host", and Node.js has its own as well.
// signal: SIGTERM
// exit: 5
import { Python } from "coloop";

const py = await Python.start({ signals: "host" });
let seen = 0;
process.on("SIGTERM", () => {
  seen += 1;
});
process.on("exit", () => console.log(seen === 0 ? "\npass" : "the thread was not blocked"));
try {
  py.execSync(`
import os, signal, sys, time

# Node.js has a handler of its own; a program puts back what it found, as uvicorn does.
before = signal.signal(signal.SIGTERM, signal.default_int_handler)
assert before is signal.SIG_DFL, before
signal.signal(signal.SIGTERM, before)

def stop(number, frame):
    assert number == signal.SIGTERM and frame is not None
    sys.exit(5)

signal.signal(signal.SIGTERM, stop)
assert signal.getsignal(signal.SIGTERM) is stop
os.write(1, b"ready\\n")
time.sleep(60)
`);
} catch (error) {
  if (error.name !== "SystemExit") throw error;
  process.exit(error.value.code);
}
