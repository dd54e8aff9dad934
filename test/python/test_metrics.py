"""`loop.metrics()` of owned loops."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import unittest
from typing import Any, get_type_hints

import coloop
from _erlang_impl._metrics import Metrics


class MetricsCase(unittest.TestCase):
    def setUp(self) -> None:
        self.loop: Any = coloop.new_event_loop()
        self.addCleanup(self.loop.close)

    def assert_shape(self, value: Any, shape: Any) -> None:
        if not hasattr(shape, "__annotations__"):
            self.assertIs(type(value), shape)
            return
        hints = get_type_hints(shape)
        self.assertEqual(set(value), set(hints))
        for name, kind in hints.items():
            self.assert_shape(value[name], kind)

    def test_the_types_say_what_there_is(self) -> None:
        self.assert_shape(self.loop.metrics(), Metrics)

    def test_a_new_loop_has_done_nothing(self) -> None:
        metrics = self.loop.metrics()
        self.assertEqual(metrics["lag"], {"last": 0, "mean": 0, "max": 0})
        for name in ("iterations", "ready_depth", "timers", "tasks"):
            self.assertEqual(metrics[name], 0, name)
        self.assertEqual(set(metrics["handles"].values()), {0})

    def test_iterations_are_batches_of_callbacks(self) -> None:
        async def turns(count: int) -> int:
            before = self.loop.metrics()["iterations"]
            for _ in range(count):
                await asyncio.sleep(0.0001)
            return self.loop.metrics()["iterations"] - before

        self.assertEqual(self.loop.run_until_complete(turns(5)), 5)

    def test_each_late_timer_counts(self) -> None:
        async def main() -> None:
            fired = self.loop.create_future()
            self.loop.call_later(0.001, int)
            self.loop.call_later(0.01, fired.set_result, None)
            time.sleep(0.03)
            await fired

        self.loop.run_until_complete(main())
        lag = self.loop.metrics()["lag"]
        self.assertGreaterEqual(lag["max"], 0.029)
        self.assertGreaterEqual(lag["last"], 0.02)
        self.assertAlmostEqual(lag["mean"], (lag["last"] + lag["max"]) / 2)

    def test_watches_of_one_descriptor_are_one(self) -> None:
        near, far = os.pipe()
        self.addCleanup(os.close, near)
        self.addCleanup(os.close, far)
        self.loop.add_reader(near, int)
        self.loop.add_writer(far, int)
        self.assertEqual(self.loop.metrics()["handles"]["watches"], 2)
        self.loop.remove_reader(near)
        self.loop.remove_writer(far)
        self.assertEqual(self.loop.metrics()["handles"]["watches"], 0)

    def test_waiting_for_the_gil_is_the_waiting_threads(self) -> None:
        stop = threading.Event()

        def compute() -> None:
            while not stop.is_set():
                pass

        async def main() -> tuple[Any, Any]:
            before = self.loop.metrics()["gil_wait"]
            thread = threading.Thread(target=compute)
            thread.start()
            while self.loop.metrics()["gil_wait"]["count"] < before["count"] + 3:
                await asyncio.sleep(0.0001)
            stop.set()
            thread.join()
            return before, self.loop.metrics()["gil_wait"]

        before, after = self.loop.run_until_complete(main())
        self.assertGreater(after["total"], before["total"])
        self.assertGreaterEqual(after["max"], (after["total"] - before["total"]) / after["count"])
        other = threading.Thread(target=lambda: seen.append(self.loop.metrics()["gil_wait"]))
        seen: list[Any] = []
        other.start()
        other.join()
        self.assertEqual(seen[0]["count"], 0)

    def test_a_closed_loop_has_none(self) -> None:
        self.loop.close()
        with self.assertRaisesRegex(RuntimeError, "Event loop is closed"):
            self.loop.metrics()


if __name__ == "__main__":
    unittest.main()
