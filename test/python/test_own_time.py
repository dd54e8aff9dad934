"""Timers where a program has a time() of its own, with asyncio's loop as the oracle."""

from __future__ import annotations

import asyncio
import time
import unittest
from typing import Any
from unittest import mock

from transports import Bounded, TransportCase

import coloop


class Mixin(Bounded):
    def test_time_that_a_test_makes_pass(self: Any) -> None:
        async def main() -> None:
            seen: list[str] = []
            now = self.loop.time()
            with mock.patch.object(self.loop, "time") as patched:
                patched.return_value = now
                self.loop.call_later(60, seen.append, "a minute")
                self.loop.call_at(now + 3600, seen.append, "an hour")
                sleeping = asyncio.ensure_future(asyncio.sleep(120))
                await asyncio.sleep(0)
                patched.return_value = now + 59
                for _ in range(3):
                    await asyncio.sleep(0)
                self.assertEqual(seen, [])
                patched.return_value = now + 60
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                self.assertEqual(seen, ["a minute"])
                patched.return_value = now + 1800
                for _ in range(3):
                    await asyncio.sleep(0)
                self.assertEqual((seen, sleeping.done()), (["a minute"], True))
            # It is the clock's again.
            started = time.monotonic()
            await asyncio.sleep(0.01)
            self.assertGreaterEqual(time.monotonic() - started, 0.009)
            self.assertEqual(seen, ["a minute"])

        self.loop.run_until_complete(main())

    def test_a_loop_that_waits_for_time_that_stands_still(self: Any) -> None:
        now = self.loop.time()
        self.loop.time = lambda: now
        self.loop.call_later(0.001, self.fail)

        async def main() -> None:
            await self.loop.run_in_executor(None, time.sleep, 0.03)

        self.loop.run_until_complete(main())
        del self.loop.time
        self.assertEqual(self.problems, [])

    def test_what_time_raises_leaves_the_loop(self: Any) -> None:
        for error in (ValueError("no time"), KeyboardInterrupt()):
            sleeping = self.loop.create_task(asyncio.sleep(60))
            self.loop.call_soon(setattr, self.loop, "time", mock.Mock(side_effect=error))
            with self.assertRaises(type(error)) as raised:
                self.loop.run_forever()
            self.assertIs(raised.exception, error)
            with self.assertRaises(type(error)):
                self.loop.call_later(1, print)
            del self.loop.time
            sleeping.cancel()
            with self.assertRaises(asyncio.CancelledError):
                self.loop.run_until_complete(sleeping)


class OurTime(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_a_subclass(self) -> None:
        class Later(type(self.loop)):  # type: ignore[misc]
            passed = 0.0

            def time(self) -> float:
                result: float = super().time() + self.passed
                return result

        loop = Later()
        self.addCleanup(loop.close)

        async def main() -> None:
            sleeping = asyncio.ensure_future(asyncio.sleep(60))
            await asyncio.sleep(0)
            loop.passed = 61.0
            for _ in range(3):
                await asyncio.sleep(0)
            self.assertTrue(sleeping.done())

        loop.run_until_complete(main())

    def test_time_that_closes_nothing_may_call_the_loop(self) -> None:
        def time_and_more() -> float:
            self.loop.call_soon(int)
            self.loop.call_at(0, int).cancel()
            return time.monotonic()

        self.loop.time = time_and_more
        self.run_bounded(asyncio.sleep(0.01))


class AsyncioTime(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
