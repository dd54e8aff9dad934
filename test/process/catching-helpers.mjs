/** Runs Python that catches every exception for ever; calls `ready` first. */
export function catchEverything(py, ready) {
  py.register("ready", () => ready());
  py.execSync(`
import time
from coloop import ready

told = False
while True:
    try:
        if not told:
            told = True
            ready()
        time.sleep(0.01)
    except BaseException:
        pass
`);
}
