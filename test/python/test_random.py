"""Random operations on random transports and sockets, in several threads with a loop each.

COLOOP_RANDOM_SEED repeats what went wrong with a seed; COLOOP_RANDOM_STEPS makes it longer;
COLOOP_RANDOM_LOOP=asyncio does the same on asyncio's own loop.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import time
import unittest
import warnings
from pathlib import Path
from typing import Any

from random_actor import Actor, Shared
from random_peers import PATTERN

SEED = int(os.environ.get("COLOOP_RANDOM_SEED", "20"))
STEPS = int(os.environ.get("COLOOP_RANDOM_STEPS", "1000"))
THREADS = 3


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


class RandomTest(unittest.TestCase):
    def setUp(self) -> None:
        self.maxDiff = None
        self.unraisable: list[str] = []
        logger = logging.getLogger("asyncio")
        self.addCleanup(logger.setLevel, logger.level)
        logger.setLevel(logging.CRITICAL)  # writing to what is closed is told there
        self.addCleanup(setattr, sys, "unraisablehook", sys.unraisablehook)
        sys.unraisablehook = self.note
        catch = warnings.catch_warnings()
        catch.__enter__()
        self.addCleanup(catch.__exit__, None, None, None)
        warnings.simplefilter("error", ResourceWarning)

    def note(self, unraisable: Any) -> None:
        self.unraisable.append(f"{unraisable.exc_value!r} in {unraisable.object!r}")

    def test_random_operations_in_several_threads(self) -> None:
        gc.collect()
        descriptors = open_descriptors()
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        file = Path(folder.name, "pattern")
        file.write_bytes(PATTERN)
        shared = Shared(Path(folder.name), file, STEPS)
        shared.actors += [Actor(SEED * 100 + number, shared) for number in range(THREADS)]
        for actor in shared.actors:
            actor.start()
        problems: list[str] = []
        for actor in shared.actors:
            actor.join(180)
            hangs = ["hangs"] if actor.is_alive() else []
            problems += [f"{actor.name}: {problem}" for problem in actor.problems + hangs]
        self.assertEqual(problems, [])
        end = time.monotonic() + 10
        while open_descriptors() > descriptors and time.monotonic() < end:
            gc.collect()
            time.sleep(0.01)
        self.assertLessEqual(open_descriptors(), descriptors)
        gc.collect()
        alive = [transport for actor in shared.actors for transport in actor.transports]
        self.assertEqual(alive, [])
        self.assertEqual(self.unraisable, [])


if __name__ == "__main__":
    unittest.main()
