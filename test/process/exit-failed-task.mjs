// A failed Task that the program has kept and never asked is told of when the process ends, of the
// hosted loop and of others; what an exit handler asks for is not.
// within: 10000
// stderr: Task exception was never retrieved
import { Python } from "coloop";

const py = await Python.start();
await py.exec(`
import asyncio, atexit, logging

async def fail():
    1 / 0

def start(loop):
    task = loop.create_task(fail())
    tasks.append(task)
    return task

tasks = []
start(asyncio.get_running_loop())
asked = start(asyncio.get_running_loop())
await asyncio.wait(tasks)

def in_loop_of_its_own():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.wait([start(loop)]))
    loops.append(loop)

loops = []
await asyncio.to_thread(in_loop_of_its_own)
atexit.register(asked.exception)

class Counting(logging.Handler):
    count = 0
    def emit(self, record):
        self.count += 1
        print(record.getMessage().split("\\n")[0])
        if self.count == 2:
            print("pass")

logging.getLogger("asyncio").addHandler(Counting())
logging.getLogger("asyncio").addHandler(logging.StreamHandler())
`);
