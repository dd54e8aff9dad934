"""Random operations on a stream, with the same seed on asyncio's loop as the oracle.

COLOOP_RANDOM_SEED repeats what went wrong with a seed; COLOOP_RANDOM_RUNS makes more of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import socket
import unittest
import warnings
from collections.abc import Callable
from typing import Any

import coloop

SEED = int(os.environ.get("COLOOP_RANDOM_SEED", "1"))
RUNS = int(os.environ.get("COLOOP_RANDOM_RUNS", "25"))


class ThrownError(Exception):
    pass


def describe(value: Any) -> Any:
    if isinstance(value, asyncio.IncompleteReadError):
        return type(value).__name__, value.partial, value.expected
    if isinstance(value, BaseException):
        return type(value).__name__, str(value)
    return bytes(value) if isinstance(value, (bytes, bytearray)) else repr(value)


class Scenario:
    """Notes what can be seen of a reader after each step."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.log: list[Any] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.coroutines: list[Any] = []
        self.reader: Any = None
        self.writer: Any = None
        self.theirs: Any = None

    def data(self, size: int) -> bytes:
        return bytes(self.random.choice(b"ab\nz") for _ in range(size))

    async def settle(self) -> None:
        """Until nothing is on its way, on either loop."""
        for _ in range(3):
            for _ in range(8):
                await asyncio.sleep(0)
            await asyncio.sleep(0.0005)

    def read(self) -> Any:
        """One of the reader's coroutines."""
        reader, choice = self.reader, self.random.choice
        sizes = [1, 2, 3, 50, 100_000, 0, -1, True, 2**70, "x", 1.5]
        return choice(
            [
                lambda: reader.read(choice(sizes)),
                lambda: reader.read(choice(sizes)),
                lambda: reader.read(n=choice(sizes)),
                lambda: reader.readline(),
                lambda: reader.readexactly(choice([0, 1, 3, 20, -1])),
                lambda: reader.readuntil(choice([b"\n", b"ab", b"", b"zz"])),
                lambda: reader.__anext__(),
                lambda: reader._wait_for_data("a name"),
            ]
        )()

    async def begin_read(self) -> None:
        self.tasks.append(asyncio.ensure_future(self.read()))

    async def cancel(self) -> None:
        if self.tasks:
            self.random.choice(self.tasks).cancel()

    async def keep(self) -> None:
        self.coroutines.append(self.read())

    async def drive(self) -> None:
        """A coroutine by hand, in whatever state it is."""
        if not self.coroutines:
            return
        coroutine = self.random.choice(self.coroutines)
        how = self.random.randrange(5)
        if how == 0:
            coroutine.close()
        elif how < 3:
            coroutine.send(None if how == 1 else 5)
        else:
            coroutine.throw(self.random.choice([ThrownError("thrown"), GeneratorExit()]))

    async def drop(self) -> None:
        self.coroutines = []
        gc.collect()

    async def send(self) -> None:
        self.theirs.send(self.data(self.random.choice([1, 5, 30, 200])))

    async def feed(self) -> None:
        data = [b"", b"a", self.data(40), bytearray(b"ba\n"), memoryview(b"zz"), [97, 98]]
        self.reader.feed_data(self.random.choice(data))

    async def replace_field(self) -> None:
        values = {
            "_limit": [1, 3, 1000, 2.5, float("nan"), -1],
            "_exception": [None, None, 5, ThrownError],
            "_paused": [True, False],
            "_buffer": [bytearray(b"new\n")],
            "_waiter": [None],
        }
        name = self.random.choice(list(values))
        setattr(self.reader, name, self.random.choice(values[name]))

    async def fail(self) -> None:
        errors = [ThrownError("set"), StopIteration(9), KeyError, asyncio.CancelledError()]
        self.reader.set_exception(self.random.choice(errors))

    async def end(self) -> None:
        if self.random.random() < 0.5:
            self.theirs.shutdown(socket.SHUT_WR)
        else:
            self.reader.feed_eof()

    async def patch(self) -> None:
        reader = self.reader
        reader.feed_data = lambda data: type(reader).feed_data(reader, bytes(data).upper())

    async def unpatch(self) -> None:
        self.reader.__dict__.pop("feed_data", None)

    async def use_transport(self) -> None:
        transport = self.writer.transport
        operations = [transport.pause_reading, transport.resume_reading, self.writer.write_eof]
        self.random.choice(operations)()

    async def close(self) -> None:
        self.random.choice([self.writer.close, self.writer.transport.abort])()

    def note(self) -> None:
        reader = self.reader
        has_waiter = reader._waiter is not None
        fields = reader._eof, reader._paused, has_waiter, describe(reader._exception)
        done = [
            (i, "cancelled" if task.cancelled() else describe(task.exception() or task.result()))
            for i, task in enumerate(self.tasks)
            if task.done()
        ]
        self.log.append((describe(reader._buffer), *fields, reader.at_eof(), done))

    async def step(self) -> None:
        weights = {
            self.begin_read: 10,
            self.send: 9,
            self.drive: 4,
            self.cancel: 3,
            self.keep: 3,
            self.feed: 2,
            self.use_transport: 2,
            self.replace_field: 1,
            self.drop: 1,
            self.fail: 1,
            self.end: 1,
            self.patch: 1,
            self.unpatch: 1,
            self.close: 1,
        }
        operation = self.random.choices(list(weights), list(weights.values()))[0]
        self.log.append(operation.__name__)
        try:
            await operation()
        except (Exception, GeneratorExit, asyncio.CancelledError) as error:
            self.log.append(describe(error))

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(
            lambda _loop, context: self.log.append(describe(context.get("exception")))
        )
        ours, self.theirs = socket.socketpair()
        self.theirs.setblocking(False)
        limit = self.random.choice([1, 2, 16, 64, 1 << 16])
        self.reader, self.writer = await asyncio.open_connection(sock=ours, limit=limit)
        for _ in range(self.random.randrange(5, 30)):
            await self.step()
            await self.settle()
            self.note()
        self.theirs.close()
        await self.settle()
        self.note()
        for task in self.tasks:
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        self.log.append([describe(result) for result in results])
        for coroutine in self.coroutines:
            coroutine.close()
        self.writer.close()
        with contextlib.suppress(BaseException):
            await asyncio.wait_for(self.writer.wait_closed(), 5)


def outcome(make: Callable[[], asyncio.AbstractEventLoop], seed: int) -> list[Any]:
    loop = make()
    scenario = Scenario(seed)
    try:
        loop.run_until_complete(asyncio.wait_for(scenario.run(), 60))
    finally:
        loop.close()
    return scenario.log


class RandomStreams(unittest.TestCase):
    def test_a_stream_does_what_asyncios_does(self) -> None:
        self.maxDiff = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what was not awaited, on purpose
            for seed in range(SEED, SEED + RUNS):
                with self.subTest(seed=seed):
                    expected = outcome(asyncio.SelectorEventLoop, seed)
                    self.assertEqual(outcome(coloop.new_event_loop, seed), expected)
            gc.collect()


if __name__ == "__main__":
    unittest.main()
