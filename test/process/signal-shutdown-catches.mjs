// Python that catches every exception is ended after the grace, and JavaScript ends the process.
// signal: SIGTERM
// exit: 143
// within: 6000
import { Python } from "coloop";

const py = await Python.start();
py.shutdownOnSignals({ grace: 100 });
setInterval(() => {}, 1000); // until the listener has ended the process
try {
  py.execSync(`
import os, time
os.write(1, b"ready\\n")
while True:
    try:
        time.sleep(0.1)
    except BaseException:
        pass
`);
} catch {
  console.log("pass");
}
