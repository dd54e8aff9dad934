// Threads call call_soon_threadsafe while the loop is closed and started again: 200 times.
// within: 60000
import { Python } from "coloop";

let py = await Python.start();
py.execSync(`
import asyncio, threading

def hammer(loop, stop):
    while not stop.is_set():
        try:
            loop.call_soon_threadsafe(int)
        except RuntimeError:
            return

def begin():
    stop = threading.Event()
    threads = [threading.Thread(target=hammer, args=(asyncio.get_event_loop(), stop)) for _ in range(3)]
    for thread in threads:
        thread.start()
    return stop, threads

def end(pair):
    pair[0].set()
    for thread in pair[1]:
        thread.join()
`);
for (let i = 0; i < 200; i++) {
  py.execSync("pair = begin()");
  for (let turn = 0; turn < i % 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  await py.close();
  py = await Python.start();
  py.execSync("end(pair)");
}
console.log("pass");
