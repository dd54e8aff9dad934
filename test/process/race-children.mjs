// Children are created, cancelled, killed, closed and timed out at random moments, on the loop and in threads,
// while the function decides at once or later: all end, and nothing is left.
// within: 60000
import { deepStrictEqual } from "node:assert/strict";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { Python } from "coloop";

let asked = 0;
const descriptors = () => readdirSync("/proc/self/fd").length;
const py = await Python.start({
  sandbox: {
    async subprocess() {
      asked += 1;
      const number = asked;
      if (number % 3 === 0) await sleep(number % 7);
      return number % 11 !== 0;
    },
  },
});
await py.exec(`
import asyncio, gc, random, subprocess
from asyncio.subprocess import DEVNULL, PIPE

random.seed(5)
LINES = ["cat", "exit 3", "sleep 0.05", "kill -9 $$", "yes | head -c 300000"]

async def on_loop():
    create = asyncio.create_subprocess_exec(
        "sh", "-c", random.choice(LINES),
        stdin=PIPE, stdout=PIPE, stderr=random.choice([PIPE, None, DEVNULL]),
    )
    try:
        child = await asyncio.wait_for(create, random.choice([0.001, 0.01, 5]))
    except (asyncio.TimeoutError, RuntimeError):
        return
    end = random.randrange(6)
    try:
        if end == 0:
            return child._transport.close()
        if end == 1:
            child.kill()
        if end == 2:
            await asyncio.sleep(random.random() * 0.02)
            child.terminate()
    except ProcessLookupError:
        pass
    if end == 3:
        task = asyncio.ensure_future(child.communicate(b"x" * 100000))
        await asyncio.sleep(random.random() * 0.02)
        task.cancel()
        await asyncio.wait([task])
        return child._transport.close()
    await child.communicate(b"y" * random.randrange(200000))
    assert child.returncode is not None

def in_thread(seed):
    own = random.Random(seed)
    for _ in range(6):
        try:
            subprocess.run(
                ["sh", "-c", own.choice(LINES[:4])], input=b"x" * own.randrange(100000),
                capture_output=True, timeout=own.choice([0.01, 5]),
            )
        except (RuntimeError, subprocess.TimeoutExpired):
            pass

async def all_at_once(children, threads):
    await asyncio.gather(
        *(on_loop() for _ in range(children)),
        *(asyncio.to_thread(in_thread, seed) for seed in range(threads)),
    )

def left():
    gc.collect()
    from _erlang_impl import _child_wait, _children
    loop = asyncio.get_event_loop()
    return [
        len(table)
        for table in (_child_wait.children, _child_wait._watchers, _children._starts, loop._child_transports)
    ]
`);
await py.exec("await all_at_once(4, 4)"); // opens what stays open
while (py.evalSync("sum(left())") > 0) await sleep(1);
const before = descriptors();
for (let round = 0; round < 4; round++) await py.exec("await all_at_once(25, 4)");
while (py.evalSync("sum(left())") > 0 || descriptors() > before) await sleep(1);
deepStrictEqual(asked > 150, true, `${asked} were asked for`);
console.log("pass");
await py.close();
