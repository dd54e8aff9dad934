"""What StreamReader.read() returns, as a coroutine; asyncio's is the oracle."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import inspect
import sys
import types
import unittest
import warnings
import weakref
from typing import Any

from transports import StreamPairs, TransportCase, until

import coloop


class Mixin(StreamPairs):
    def test_what_read_returns_is_a_coroutine(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            theirs.send(b"abc")
            await until(lambda: reader._buffer)
            coroutine = reader.read(1)
            self.assertTrue(asyncio.iscoroutine(coroutine))
            self.assertIsInstance(coroutine, collections.abc.Coroutine)
            self.assertEqual(coroutine.__name__, "read")
            self.assertEqual(coroutine.__qualname__, "StreamReader.read")
            self.assertEqual(reader._buffer, b"abc")  # nothing before it is awaited
            self.assertEqual(await coroutine, b"a")
            with self.assertRaisesRegex(RuntimeError, "cannot reuse already awaited coroutine"):
                await coroutine
            self.assertEqual(await asyncio.create_task(reader.read(1)), b"b")
            self.assertEqual(await asyncio.gather(reader.read(1)), [b"c"])
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_it_can_be_driven_by_hand(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            with self.assertRaisesRegex(TypeError, "can't send non-None value to a just-started"):
                reader.read(1).send(1)
            coroutine = reader.read(2)
            waiter = coroutine.send(None)
            self.assertIs(waiter, reader._waiter)
            self.assertFalse(coroutine.cr_running)
            theirs.send(b"ab")
            await until(waiter.done)
            with self.assertRaises(StopIteration) as stop:
                coroutine.send(None)
            self.assertEqual(stop.exception.value, b"ab")

            coroutine = reader.read(2)
            coroutine.send(None)
            with self.assertRaisesRegex(KeyError, "thrown"):
                coroutine.throw(KeyError("thrown"))
            self.assertIsNone(reader._waiter)
            with self.assertRaises(KeyError):
                reader.read(2).throw(KeyError)
            with self.assertRaises(TypeError):
                wrong: Any = 5
                reader.read(2).throw(wrong)

            coroutine = reader.read(2)
            coroutine.send(None)
            coroutine.close()
            coroutine.close()
            self.assertIsNone(reader._waiter)
            with self.assertRaisesRegex(RuntimeError, "cannot reuse already awaited coroutine"):
                coroutine.send(None)
            await self.end(writer, theirs)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # what is thrown into was not awaited
            self.run_bounded(main())

    def test_the_older_ways_to_await(self: Any) -> None:
        @types.coroutine
        def delegate(coroutine: Any) -> Any:
            return (yield from coroutine)

        async def main() -> None:
            reader, writer, theirs = await self.connect()
            theirs.send(b"abc")
            self.assertEqual(await delegate(reader.read(1)), b"a")
            coroutine = reader.read(1)
            reference = weakref.ref(coroutine)
            self.assertEqual(await coroutine, b"b")
            del coroutine
            self.assertIsNone(reference())
            self.assertEqual(str(inspect.signature(reader.read)), "(n=-1)")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_stop_iteration_is_no_end(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            reader.set_exception(StopIteration(5))
            with self.assertRaisesRegex(RuntimeError, "coroutine raised StopIteration") as raised:
                await reader.read(1)
            self.assertIsInstance(raised.exception.__cause__, StopIteration)
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_one_that_nobody_awaits_is_told(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                reader.read(1)
                gc.collect()
            self.assertEqual(
                [str(each.message) for each in caught],
                ["coroutine 'StreamReader.read' was never awaited"],
            )
            coroutine = reader.read(1)
            coroutine.send(None)
            del coroutine
            gc.collect()
            self.assertIsNone(reader._waiter)
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_task_shows_it(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            task = asyncio.create_task(reader.read(1))
            await asyncio.sleep(0)
            self.assertRegex(repr(task), r"coro=<StreamReader\.read\(\).*wait_for=<Future pending")
            task.cancel()
            await asyncio.wait([task])
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_it_works_while_python_is_traced(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()

            async def outer() -> bytes:
                return await reader.read(1) + await reader.readexactly(2)

            previous = sys.gettrace()
            sys.settrace(lambda *_: None)
            try:
                task = asyncio.ensure_future(outer())
                await asyncio.sleep(0)
                theirs.send(b"abc")
                self.assertEqual(await task, b"abc")
            finally:
                sys.settrace(previous)
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_reader_in_a_cycle_is_collected(self: Any) -> None:
        async def main() -> weakref.ref[Any]:
            reader, writer, theirs = await self.connect()
            coroutine = reader.read(1)
            coroutine.send(None)
            reader.itself = (reader, coroutine)
            await self.end(writer, theirs)
            return weakref.ref(reader)

        reference = self.run_bounded(main())
        gc.collect()
        self.assertIsNone(reference())


class OurReads(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioReads(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
