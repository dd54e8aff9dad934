"""The owned loop with asyncio's own as the oracle: every case runs on both and must agree."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import os
import socket
import ssl
import sys
import threading
import time
import unittest
import warnings
from collections.abc import Callable
from typing import Any

import _coloop
import coloop


class LoopCase(unittest.TestCase):
    """Makes a loop for each test and closes it; run for our loop and for asyncio's."""

    make: Callable[[], asyncio.AbstractEventLoop]

    def setUp(self) -> None:
        self.loop = type(self).make()
        self.addCleanup(self.loop.close)

    def run_once(self) -> None:
        self.loop.call_soon(self.loop.stop)
        self.loop.run_forever()


class Mixin:
    loop: Any

    def test_callbacks_run_in_order_with_arguments(self) -> None:
        seen: list[Any] = []
        for i in range(5):
            self.loop.call_soon(seen.append, i)
        self.run_once()
        self.assertEqual(seen, [0, 1, 2, 3, 4])

    def test_a_handle_is_asyncios_own(self) -> None:
        handle = self.loop.call_soon(print)
        timer = self.loop.call_later(5, print)
        self.assertIsInstance(handle, asyncio.Handle)
        self.assertIsInstance(timer, asyncio.TimerHandle)
        self.assertRegex(repr(handle), r"^<Handle .*print")
        self.assertRegex(repr(timer), r"^<TimerHandle when=\d+\.\d+ .*print")
        self.assertAlmostEqual(timer.when(), self.loop.time() + 5, delta=1)
        handle.cancel()
        timer.cancel()
        self.assertTrue(handle.cancelled() and timer.cancelled())
        self.run_once()

    def test_what_a_batch_queues_runs_in_the_next(self) -> None:
        seen: list[str] = []

        def first() -> None:
            seen.append("first")
            self.loop.call_soon(seen.append, "third")

        self.loop.call_soon(first)
        self.loop.call_soon(seen.append, "second")
        self.run_once()
        self.run_once()
        self.assertEqual(seen, ["first", "second", "third"])

    def test_stop_lets_the_batch_finish_and_no_more(self) -> None:
        seen: list[str] = []

        def queue_more() -> None:
            self.loop.call_soon(seen.append, "later")

        self.loop.call_soon(self.loop.stop)
        self.loop.call_soon(queue_more)
        self.loop.call_soon(seen.append, "same batch")
        self.loop.run_forever()
        self.assertEqual(seen, ["same batch"])

    def test_each_callback_has_its_context(self) -> None:
        variable: contextvars.ContextVar[int] = contextvars.ContextVar("variable", default=0)
        seen: list[int] = []
        context = contextvars.copy_context()
        context.run(variable.set, 7)
        self.loop.call_soon(lambda: seen.append(variable.get()), context=context)
        self.loop.call_soon(lambda: seen.append(variable.get()))
        self.run_once()
        self.assertEqual(seen, [7, 0])

    def test_timers_by_time_then_by_order(self) -> None:
        seen: list[int] = []
        now = self.loop.time()
        self.loop.call_at(now + 0.02, seen.append, 2)
        self.loop.call_at(now + 0.01, seen.append, 0)
        self.loop.call_at(now + 0.015, seen.append, 1)
        self.loop.call_at(now + 0.03, self.loop.stop)
        self.loop.run_forever()
        self.assertEqual(seen, [0, 1, 2])

    def test_a_timer_that_is_overdue_before_the_poll(self) -> None:
        async def main() -> str:
            try:
                await asyncio.wait_for(self.busy_then_sleep(), 0.002)
            except asyncio.TimeoutError:
                return "timed out"
            return "returned"

        guard = threading.Timer(20, os._exit, [70])  # a hang must not hang the suite
        guard.start()
        self.assertEqual(self.loop.run_until_complete(main()), "timed out")
        guard.cancel()

    @staticmethod
    async def busy_then_sleep() -> None:
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            pass
        await asyncio.sleep(1000)

    def test_a_timer_for_the_time_of_the_one_before(self) -> None:
        guard = threading.Timer(20, os._exit, [70])
        guard.start()
        for when in (self.loop.time() + 0.005, 0.0):
            self.loop.call_at(when, self.loop.call_at, when, self.loop.stop)
            self.loop.run_forever()
        guard.cancel()

    def test_many_cancelled_timers(self) -> None:
        handles = [self.loop.call_later(1000 + i, print) for i in range(500)]
        for handle in handles:
            handle.cancel()
        self.loop.call_later(0.001, self.loop.stop)
        self.loop.run_forever()

    def test_an_exception_goes_to_the_handler(self) -> None:
        seen: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, context: seen.append(context))
        handle = self.loop.call_soon(lambda: 1 / 0)
        self.run_once()
        (context,) = seen
        self.assertIsInstance(context["exception"], ZeroDivisionError)
        self.assertIs(context["handle"], handle)
        self.assertIn("Exception in callback", context["message"])

    def test_system_exit_leaves_the_loop(self) -> None:
        def leave() -> None:
            raise SystemExit(3)

        self.loop.call_soon(leave)
        with self.assertRaises(SystemExit):
            self.loop.run_forever()
        self.run_once()

    def test_readers_and_writers(self) -> None:
        a, b = socket.socketpair()
        with a, b:
            a.setblocking(False)
            seen: list[bytes] = []
            self.loop.add_reader(a, lambda: (seen.append(a.recv(10)), self.loop.stop()))
            self.loop.add_writer(b, lambda: (b.send(b"x"), self.loop.remove_writer(b)))
            self.loop.run_forever()
            self.assertEqual(seen, [b"x"])
            self.assertTrue(self.loop.remove_reader(a))
            self.assertFalse(self.loop.remove_reader(a))
            self.assertFalse(self.loop.remove_writer(b))

    def test_watching_leaves_the_blocking_mode(self) -> None:
        a, b = socket.socketpair()
        with a, b:
            self.loop.add_reader(a, print)
            self.assertTrue(a.getblocking())
            self.loop.remove_reader(a)

    def test_bad_descriptors(self) -> None:
        for bad in (-1, 100_000):
            with self.assertRaises((ValueError, OSError)):
                self.loop.add_reader(bad, print)
        with self.assertRaises(ValueError):
            self.loop.add_reader("x", print)

    def test_a_thread_wakes_the_poll(self) -> None:
        thread = threading.Timer(0.02, self.loop.call_soon_threadsafe, [self.loop.stop])
        thread.start()
        self.loop.run_forever()
        thread.join()

    def test_threadsafe_calls_keep_the_order(self) -> None:
        seen: list[int] = []
        self.loop.call_soon(seen.append, 0)
        self.loop.call_soon_threadsafe(seen.append, 1)
        self.loop.call_soon(seen.append, 2)
        self.run_once()
        self.assertEqual(seen, [0, 1, 2])

    def test_a_descriptor_that_a_transport_uses_is_refused(self) -> None:
        a, b = socket.socketpair()

        async def main() -> str:
            transport, _ = await self.loop.create_connection(asyncio.Protocol, sock=a)
            with self.assertRaisesRegex(RuntimeError, "is used by transport"):
                self.loop.add_reader(a, print)
            shown = repr(transport)
            transport.close()
            return shown

        with b:
            self.assertIn("read=polling", self.loop.run_until_complete(main()))

    def test_a_second_transport_on_a_descriptor(self) -> None:
        async def second(**how: Any) -> None:
            a, b = socket.socketpair()
            loop = asyncio.get_running_loop()
            with b:
                first, _ = await loop.create_connection(asyncio.Protocol, sock=a)
                await asyncio.sleep(0.01)
                try:
                    connecting = loop.create_connection(asyncio.Protocol, sock=a, **how)
                    transport, _ = await asyncio.wait_for(connecting, 0.05)
                    transport.abort()
                finally:
                    first.abort()
                    await asyncio.sleep(0.01)

        context = ssl.create_default_context()
        for how in {}, {"ssl": context, "server_hostname": "localhost"}:
            with self.subTest(how):
                if sys.version_info >= (3, 12):
                    with self.assertRaisesRegex(RuntimeError, "is used by transport"):
                        self.loop.run_until_complete(second(**how))
                elif how:
                    with self.assertRaises(asyncio.TimeoutError):
                        self.loop.run_until_complete(second(**how))
                else:
                    self.loop.run_until_complete(second(**how))

    def test_slow_callbacks_are_told_in_debug_mode(self) -> None:
        self.loop.set_debug(True)
        self.loop.slow_callback_duration = 0.01
        self.loop.call_soon(time.sleep, 0.02)
        with self.assertLogs("asyncio", "WARNING") as logs:
            self.run_once()
        self.assertIn("took 0.0", logs.output[0])

    def test_use_after_close(self) -> None:
        self.loop.close()
        self.assertTrue(self.loop.is_closed())
        for use in (
            lambda: self.loop.call_soon(print),
            lambda: self.loop.call_later(1, print),
            lambda: self.loop.call_soon_threadsafe(print),
            self.loop.run_forever,
        ):
            with self.assertRaisesRegex(RuntimeError, "Event loop is closed"):
                use()

    def test_debug_mode_checks_the_thread(self) -> None:
        self.loop.set_debug(True)
        errors: list[BaseException] = []

        def other() -> None:
            try:
                self.loop.call_soon(print)
            except RuntimeError as error:
                errors.append(error)

        async def main() -> None:
            await asyncio.to_thread(other)

        self.loop.run_until_complete(main())
        self.assertIn("Non-thread-safe", str(errors[0]))

    def test_bad_arguments(self) -> None:
        for call in (
            lambda: self.loop.call_soon(),
            lambda: self.loop.call_later(None, print),
            lambda: self.loop.call_later("soon", print),
            lambda: self.loop.call_soon(print, wrong=1),
        ):
            with self.assertRaises(TypeError):
                call()

    def test_a_server_and_a_client(self) -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write((await reader.readline()).upper())
            await writer.drain()
            writer.close()

        async def main() -> bytes:
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"hello\n")
                answer = await reader.read()
                writer.close()
                await writer.wait_closed()
                return answer

        self.assertEqual(self.loop.run_until_complete(main()), b"HELLO\n")

    def test_async_generators_are_finished(self) -> None:
        ended: list[str] = []

        async def numbers() -> Any:
            try:
                yield 1
                yield 2
            finally:
                ended.append("end")

        async def main() -> None:
            async for _ in numbers():
                break

        self.loop.run_until_complete(main())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.assertEqual(ended, ["end"])


class OurLoop(Mixin, LoopCase):
    make = staticmethod(coloop.new_event_loop)

    def test_a_loop_that_is_dropped_warns_and_closes(self) -> None:
        with self.assertWarns(ResourceWarning):
            coloop.new_event_loop()
            gc.collect()

    def test_signals_and_children_name_the_remedy(self) -> None:
        with self.assertRaisesRegex(NotImplementedError, r"py\.onSignal"):
            self.loop.add_signal_handler(15, print)
        with self.assertRaisesRegex(NotImplementedError, r"py\.onSignal"):
            self.loop.remove_signal_handler(15)
        with self.assertRaisesRegex(NotImplementedError, "node:child_process"):
            self.loop.run_until_complete(asyncio.create_subprocess_exec("true"))

    def test_the_native_half_refuses_what_is_no_handle(self) -> None:
        a, b = socket.socketpair()
        with a, b:
            for call in (
                lambda: self.loop._add_callback(print),
                lambda: self.loop._timer_handle_cancelled(asyncio.Handle(print, (), self.loop)),
                lambda: self.loop._watch(a.fileno(), False, print),
                lambda: self.loop._watch(a.fileno()),
            ):
                with self.assertRaises(TypeError):
                    call()
        for call in (self.loop._open, self.loop._unref, _coloop.Loop()._run_once):
            with self.assertRaises(RuntimeError):
                call()

    def test_time_is_the_monotonic_clock(self) -> None:
        self.assertAlmostEqual(self.loop.time(), time.monotonic(), delta=0.5)

    def test_run_and_policy(self) -> None:
        async def kind() -> str:
            return type(asyncio.get_running_loop()).__name__

        self.assertEqual(coloop.run(kind()), "ErlangEventLoop")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            coloop.install()
            self.addCleanup(asyncio.set_event_loop_policy, None)
        self.assertEqual(asyncio.run(kind()), "ErlangEventLoop")

    def test_a_sleep_of_less_than_a_millisecond_is_one(self) -> None:
        async def slept() -> float:
            start = time.perf_counter()
            await asyncio.sleep(0.0002)
            return time.perf_counter() - start

        times = sorted(self.loop.run_until_complete(slept()) for _ in range(50))
        self.assertGreaterEqual(times[0], 0.0002)
        self.assertLess(times[10], 0.0009)

    def test_a_callback_that_runs_the_loop_in_itself(self) -> None:
        seen: list[Any] = []

        def nested(number: int) -> None:
            self.loop.call_soon(self.loop.stop)
            self.loop._run_once()
            seen.append(number)

        for number in range(3):
            self.loop.call_soon(nested, number)
            self.loop.call_soon(seen.append, "between")
        self.run_once()
        self.assertCountEqual(seen, [0, 1, 2, *["between"] * 3])

    def test_one_thread_at_a_time_runs_it_whatever_its_fields_say(self) -> None:
        errors: list[str] = []

        def intrude() -> None:
            for intrusion in (self.loop.run_forever, self.loop._run_once, self.loop.close):
                self.loop._thread_id = None
                try:
                    intrusion()
                except RuntimeError as error:
                    errors.append(str(error))
            self.loop.stop()

        intruder = threading.Timer(0.02, intrude)  # while it waits
        intruder.start()
        self.loop.run_forever()
        intruder.join()
        again = "This event loop is already running"
        self.assertEqual(errors, [again, again, "Cannot close a running event loop"])

    def test_stop_on_another_thread_ends_a_loop_that_waits(self) -> None:
        guard = threading.Timer(20, os._exit, [70])
        guard.start()
        stopping = threading.Timer(0.02, self.loop.stop)
        stopping.start()
        self.loop.run_forever()
        stopping.join()
        guard.cancel()


class AsyncioLoop(Mixin, LoopCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
