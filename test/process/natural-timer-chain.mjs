// Callbacks that schedule each other keep Node alive to the last of them.
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio
loop = asyncio.get_event_loop()

def again(left):
    if left == 0:
        print("pass", flush=True)
    elif left % 2:
        loop.call_soon(again, left - 1)
    else:
        loop.call_later(0.002, again, left - 1)

loop.call_soon(again, 50)
`);
