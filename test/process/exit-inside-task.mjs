// process.exit from JavaScript that a Task called, with other Tasks pending.
// exit: 6
import { Python } from "coloop";

const py = await Python.start();
py.register("leave_now", () => process.exit(6));
void py.exec(`
import asyncio, atexit
from coloop import leave_now
atexit.register(lambda: print("pass"))

async def leave():
    await asyncio.sleep(0.01)
    leave_now()

others = [asyncio.get_running_loop().create_task(asyncio.sleep(60)) for _ in range(10)]
await leave()
`);
