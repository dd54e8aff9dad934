// An interrupt that hits the cancellation of a Task whose call is out of time: that is JavaScript's own doing, nobody
// called it, so it is done again and the process lives.
import { Python } from "coloop";

const py = await Python.start();
py.register("interrupt", () => py.interrupt());
py.execSync(`
import asyncio
from coloop import interrupt

class Interrupted(asyncio.Future):
    cancels = 0

    def cancel(self, msg=None):
        Interrupted.cancels += 1
        if Interrupted.cancels == 1:
            interrupt()
            while True: pass
        return super().cancel(msg)

async def wait():
    await Interrupted()
`);
const alive = setInterval(() => {}, 1000);
const end = await py.exec("await wait()", undefined, { timeout: 10 }).catch((error) => error.name);
while (py.evalSync("len(asyncio.all_tasks(asyncio.get_event_loop()))") > 0) {
  await new Promise(setImmediate);
}
clearInterval(alive);
const cancels = py.evalSync("Interrupted.cancels");
console.log(end === "PythonTimeoutError" && cancels === 2 ? "pass" : [end, cancels]);
await py.close();
