// A watch of add_reader keeps Node alive until it is removed.
import { Python } from "coloop";

const py = await Python.start();
py.execSync(`
import asyncio, os, threading, time
loop = asyncio.get_event_loop()
out, into = os.pipe()

def readable():
    print(os.read(out, 10).decode(), flush=True)
    loop.remove_reader(out)

loop.add_reader(out, readable)
threading.Thread(target=lambda: (time.sleep(0.2), os.write(into, b"pass")), daemon=True).start()
`);
