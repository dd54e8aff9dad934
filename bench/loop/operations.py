"""The operations of `npm run bench:loop` that need no client, the same file whatever the loop.

Each returns the seconds that one operation took. `python operations.py asyncio|uvloop SCALE CELLS`
prints them; inside Node.js host.mjs imports this file.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

Operation = Callable[[Any, int], Awaitable[float]]

#: The processor time of the loop's thread, which other programs' load hardly touches; `wall` is for
#: operations that wait for a second thread.
clock = time.thread_time
wall = time.perf_counter


def _nothing(*_arguments: Any) -> None:
    pass


async def _nothing_async() -> None:
    pass


def _countdown(loop: Any, count: int) -> tuple[Any, Callable[[], None]]:
    """A future, and what has to be called `count` times until it is done."""
    done = loop.create_future()
    left = count

    def call() -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    return done, call


async def call_soon_chain(loop: Any, count: int) -> float:
    done = loop.create_future()
    left = count

    def link() -> None:
        nonlocal left
        left -= 1
        if left:
            loop.call_soon(link)
        else:
            done.set_result(None)

    start = clock()
    loop.call_soon(link)
    await done
    return (clock() - start) / count


async def call_soon_burst(loop: Any, count: int) -> float:
    done, call = _countdown(loop, count)
    start = clock()
    for _ in range(count):
        loop.call_soon(call)
    await done
    return (clock() - start) / count


async def timer_cancel(loop: Any, count: int) -> float:
    start = clock()
    timers = [loop.call_later(60, _nothing) for _ in range(count)]
    for timer in timers:
        timer.cancel()
    await asyncio.sleep(0)
    return (clock() - start) / count


async def timer_fire(loop: Any, count: int) -> float:
    """To create timers and to run them when they are due, without the time between."""
    done, call = _countdown(loop, count)
    start = clock()
    for _ in range(count):
        loop.call_later(0.005, call)
    spent = clock() - start
    time.sleep(0.007)  # all are due when the loop goes on
    start = clock()
    await done
    return (spent + clock() - start) / count


async def sleep_zero(loop: Any, count: int) -> float:
    start = clock()
    for _ in range(count):
        await asyncio.sleep(0)
    return (clock() - start) / count


async def gather(loop: Any, count: int) -> float:
    size = 100
    start = clock()
    for _ in range(count // size):
        await asyncio.gather(*[_nothing_async() for _ in range(size)])
    return (clock() - start) / (count // size * size)


async def future_wake(loop: Any, count: int) -> float:
    start = clock()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon(future.set_result, None)
        await future
    return (clock() - start) / count


async def queue_ping_pong(loop: Any, count: int) -> float:
    there: asyncio.Queue[int] = asyncio.Queue()
    back: asyncio.Queue[int] = asyncio.Queue()

    async def answer() -> None:
        for _ in range(count):
            await back.put(await there.get())

    task = loop.create_task(answer())
    start = clock()
    for i in range(count):
        await there.put(i)
        await back.get()
    spent = clock() - start
    await task
    return spent / count


async def threadsafe_own(loop: Any, count: int) -> float:
    """The loop's own thread wakes a future."""
    start = clock()
    for _ in range(count):
        future = loop.create_future()
        loop.call_soon_threadsafe(future.set_result, None)
        await future
    return (clock() - start) / count


async def threadsafe_wake(loop: Any, count: int) -> float:
    """A thread wakes the idle loop, whose callback lets the thread go on: there and back."""
    done = loop.create_future()
    turn = threading.Lock()
    turn.acquire()

    def wake() -> None:
        for _ in range(count):
            loop.call_soon_threadsafe(turn.release)
            turn.acquire()
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=wake)
    start = wall()
    thread.start()
    await done
    spent = wall() - start
    thread.join()
    return spent / count


async def threadsafe_flood(loop: Any, count: int) -> float:
    """A thread hands over many calls, until all of them have run."""
    done = loop.create_future()

    def flood() -> None:
        for _ in range(count - 1):
            loop.call_soon_threadsafe(_nothing)
        loop.call_soon_threadsafe(done.set_result, None)

    thread = threading.Thread(target=flood)
    start = wall()
    thread.start()
    await done
    spent = wall() - start
    thread.join()
    return spent / count


async def executor(loop: Any, count: int) -> float:
    await loop.run_in_executor(None, _nothing)
    start = wall()
    for _ in range(count):
        await loop.run_in_executor(None, _nothing)
    return (wall() - start) / count


async def reader_wake(loop: Any, count: int) -> float:
    """A watched socket becomes readable: its byte is read and the next is sent."""
    near, far = socket.socketpair()
    near.setblocking(False)
    done = loop.create_future()
    left = count

    def readable() -> None:
        nonlocal left
        near.recv(1)
        left -= 1
        if left:
            far.send(b"x")
        else:
            done.set_result(None)

    with near, far:
        loop.add_reader(near, readable)
        start = clock()
        far.send(b"x")
        await done
        spent = clock() - start
        loop.remove_reader(near)
    return spent / count


async def getaddrinfo_literal(loop: Any, count: int) -> float:
    start = wall()
    for _ in range(count):
        await loop.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    return (wall() - start) / count


#: By the cell's name: the operation, how many make one sample, and how many samples a turn takes.
#: Of all the samples the least counts, since the others were disturbed.
_OPERATIONS: dict[str, tuple[Operation, int, int]] = {
    "call-soon-chain": (call_soon_chain, 20_000, 1),
    "call-soon-burst-1k": (call_soon_burst, 1_000, 10),
    "call-soon-burst": (call_soon_burst, 100_000, 1),
    "timer-cancel-1k": (timer_cancel, 1_000, 10),
    "timer-cancel": (timer_cancel, 100_000, 1),
    "timer-fire-1k": (timer_fire, 1_000, 4),
    "timer-fire": (timer_fire, 100_000, 1),
    "sleep-0": (sleep_zero, 20_000, 1),
    "gather": (gather, 5_000, 1),
    "future-wake": (future_wake, 10_000, 1),
    "queue": (queue_ping_pong, 5_000, 1),
    "threadsafe-own": (threadsafe_own, 5_000, 1),
    "threadsafe-wake": (threadsafe_wake, 1_000, 1),
    "threadsafe-flood": (threadsafe_flood, 20_000, 1),
    "executor": (executor, 500, 1),
    "reader-wake": (reader_wake, 5_000, 1),
    "getaddrinfo": (getaddrinfo_literal, 500, 1),
}


def _run_until_complete(new_loop: Callable[[], Any], count: int) -> float:
    loop = new_loop()
    start = clock()
    for _ in range(count):
        loop.run_until_complete(_nothing_async())
    spent = clock() - start
    loop.close()
    return spent / count


def _create_close(new_loop: Callable[[], Any], count: int) -> float:
    start = clock()
    for _ in range(count):
        new_loop().close()
    return (clock() - start) / count


_OF_NEW_LOOPS: dict[str, tuple[Callable[[Callable[[], Any], int], float], int]] = {
    "run-until-complete": (_run_until_complete, 2_000),
    "create-close": (_create_close, 500),
}

#: All operations take turns, so that a slow moment of the machine hits few samples of each.
_TURNS = 6


def _scaled(count: int, scale: float) -> int:
    return max(100, int(count * scale))  # gather() has 100 at once


class _Least(dict[str, float]):
    """Of each operation the least sample."""

    def add(self, name: str, sample: float) -> None:
        self[name] = min(sample, self.get(name, sample))


async def _turn(scale: float, cells: list[str], least: _Least) -> None:
    loop = asyncio.get_running_loop()
    for name, (operation, count, passes) in _OPERATIONS.items():
        if name in cells:
            for _ in range(passes):
                least.add(name, await operation(loop, _scaled(count, scale)))


async def on_running(scale: float, cells: list[str]) -> dict[str, float]:
    """The operations of a loop that runs already."""
    least = _Least()
    for _ in range(_TURNS):
        await _turn(scale, cells, least)
    return dict(least)


def on_new(new_loop: Callable[[], Any], scale: float, cells: list[str]) -> dict[str, float]:
    """All operations, on loops that are made and run here."""
    least = _Least()
    loop = new_loop()
    asyncio.set_event_loop(loop)
    try:
        for _ in range(_TURNS):
            loop.run_until_complete(_turn(scale, cells, least))
            for name, (operation, count) in _OF_NEW_LOOPS.items():
                if name in cells:
                    least.add(name, operation(new_loop, _scaled(count, scale)))
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()
    return dict(least)


if __name__ == "__main__":
    from server import plain_loop

    print(json.dumps(on_new(plain_loop(sys.argv[1]), float(sys.argv[2]), sys.argv[3].split(","))))
