// Who removes a handler takes from others neither the interrupt nor the grace that they asked for the same signal.
// exit: 143
// within: 8000
import assert from "node:assert/strict";
import { Python } from "coloop";

const py = await Python.start();
const spin = (signal) =>
  py.execSync(`
import os, signal, time
os.kill(os.getpid(), ${signal})
end = time.monotonic() + 30
while time.monotonic() < end:
    pass
`);
setInterval(() => {}, 1000);
const handler = () => {};
const remove = py.onSignal("SIGUSR2", handler, { interrupt: true });
py.onSignal("SIGUSR2", handler, { interrupt: true });
remove();
assert.throws(() => spin("signal.SIGUSR2"), { code: "ERR_COLOOP_INTERRUPTED" });

py.shutdownOnSignals({ signals: ["SIGTERM"], grace: 100 });
py.onSignal("SIGTERM", handler, { interrupt: true })();
assert.throws(() => spin("signal.SIGTERM"), { code: "ERR_COLOOP_INTERRUPTED" });
console.log("pass");
