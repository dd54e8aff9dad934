"""Calls of other threads that come again and again: no wake-up is lost, nothing else has to wait.

A loop that such calls wake often looks for the next one before it sleeps; all of this is on it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import threading
import time
import unittest
from collections.abc import Callable

import coloop

#: A call that is not made within this is lost: there is no timer that would wake the loop.
LOST = 30.0
ROUNDS = 3_000


class ThreadsafeTest(unittest.TestCase):
    def run_beside(self, *callers: Callable[[coloop.ErlangEventLoop], None]) -> None:
        """Runs a loop without timers until each caller, a thread of its own, has returned."""
        loop = coloop.new_event_loop()
        left = len(callers)
        failures: list[BaseException] = []

        def returned() -> None:
            nonlocal left
            left -= 1
            if not left:
                loop.stop()

        def call(caller: Callable[[coloop.ErlangEventLoop], None]) -> None:
            try:
                caller(loop)
            except BaseException as failure:
                failures.append(failure)
            loop.call_soon_threadsafe(returned)

        threads = [threading.Thread(target=call, args=[caller]) for caller in callers]
        try:
            loop.call_soon(lambda: [thread.start() for thread in threads])
            loop.run_forever()
        finally:
            for thread in threads:
                thread.join(LOST)
            loop.close()
        if failures:
            raise failures[0]

    def ask(self, loop: coloop.ErlangEventLoop, pause: Callable[[], None]) -> None:
        turn = threading.Lock()
        turn.acquire()
        for i in range(ROUNDS):
            loop.call_soon_threadsafe(turn.release)
            self.assertTrue(turn.acquire(timeout=LOST), f"call {i} was lost")
            pause()

    def test_a_thread_that_waits_for_each_answer(self) -> None:
        self.run_beside(lambda loop: self.ask(loop, lambda: None))

    def test_pauses_around_what_the_loop_looks_for(self) -> None:
        """Up to 120 us: some calls come while it looks, some as it stops, some as it sleeps."""
        chance = random.Random(20_261)

        def pause() -> None:
            end = time.perf_counter() + chance.random() * 120e-6
            while time.perf_counter() < end:
                pass

        self.run_beside(lambda loop: self.ask(loop, pause))

    def test_threads_that_wait_for_answers_at_once(self) -> None:
        self.run_beside(*[lambda loop: self.ask(loop, lambda: None)] * 3)

    def test_descriptors_and_timers_have_their_turn_between(self) -> None:
        near, far = socket.socketpair()
        near.setblocking(False)
        seen = threading.Semaphore(0)
        fired = 0

        def readable() -> None:
            near.recv(1)
            seen.release()

        def send(loop: coloop.ErlangEventLoop) -> None:
            loop.call_soon_threadsafe(loop.add_reader, near, readable)
            for i in range(ROUNDS // 10):
                far.send(b"x")
                self.assertTrue(seen.acquire(timeout=LOST), f"byte {i} was not seen")
            loop.call_soon_threadsafe(loop.remove_reader, near)

        def timers(loop: coloop.ErlangEventLoop) -> None:
            done = threading.Event()

            def fire(left: int) -> None:
                nonlocal fired
                fired += 1
                if left:
                    loop.call_later(0.0002, fire, left - 1)
                else:
                    done.set()

            loop.call_soon_threadsafe(fire, 100)
            self.assertTrue(done.wait(LOST))

        with near, far:
            self.run_beside(lambda loop: self.ask(loop, lambda: None), send, timers)
        self.assertEqual(fired, 101)

    def test_a_loop_that_nobody_calls_sleeps(self) -> None:
        """It looks for a while only: the processor is free soon after the last call."""

        async def main(loop: coloop.ErlangEventLoop) -> float:
            for _ in range(100):
                await loop.run_in_executor(None, int)
            before = time.thread_time()
            await asyncio.sleep(0.2)
            return time.thread_time() - before

        loop = coloop.new_event_loop()
        try:
            self.assertLess(loop.run_until_complete(main(loop)), 0.1)
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            loop.close()


if __name__ == "__main__":
    unittest.main()
