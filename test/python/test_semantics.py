"""Debug mode, exception handlers, async generators, eager tasks: what a case tells on our loop and
on asyncio's must be the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import re
import socket
import sys
import threading
import time
import unittest
import warnings
from collections.abc import Callable
from typing import Any

import coloop

Told = list[Any]
Case = Callable[[Any, Told], None]
_CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    _CASES[function.__name__] = function
    return function


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"


def plain(text: Any) -> str:
    """Without what differs from run to run, or by the name of a class."""
    text = re.sub(r"0x[0-9a-f]+", "0x", str(text))
    text = re.sub(r"\d+\.\d+", "0.0", text)
    text = re.sub(r"<(ErlangEventLoop|_UnixSelectorEventLoop)[^>]*>", "<loop>", text)
    return re.sub(r"Task-\d+", "Task-N", text)


def note_contexts(loop: Any, told: Told) -> None:
    def handler(_loop: Any, context: dict[str, Any]) -> None:
        told.append({key: plain(repr(value)) for key, value in sorted(context.items())})

    loop.set_exception_handler(handler)


@contextlib.contextmanager
def logged(told: Told) -> Any:
    """What the logger `asyncio` gets from a warning on."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append((record.levelname, plain(record.getMessage())))

    logger = logging.getLogger("asyncio")
    handler = Handler(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


def run_briefly(loop: Any) -> None:
    loop.run_until_complete(asyncio.sleep(0))


def nothing(*_arguments: Any) -> None:
    pass


def fail(*_arguments: Any) -> None:
    raise ValueError("of the callback")


async def nothing_async() -> None:
    pass


# Debug mode


@case
def calls_from_a_wrong_thread(loop: Any, told: Told) -> None:
    def elsewhere() -> None:
        for call in (
            lambda: loop.call_soon(nothing),
            lambda: loop.call_later(1, nothing),
            lambda: loop.call_at(1, nothing),
        ):
            told.append(outcome(call))
        loop.call_soon_threadsafe(told.append, "threadsafe")

    async def main() -> None:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0)

    loop.set_debug(True)
    loop.run_until_complete(main())


@case
def callbacks_that_are_none(loop: Any, told: Told) -> None:
    loop.set_debug(True)
    coroutine = nothing_async()
    for wrong in (None, 5, coroutine, nothing_async):
        for name, time_of in (
            ("call_soon", ()),
            ("call_soon_threadsafe", ()),
            ("call_later", (1,)),
            ("call_at", (1,)),
        ):
            told.append(plain(outcome(getattr(loop, name), *time_of, wrong)))
        told.append(plain(outcome(loop.run_in_executor, None, wrong)))
    coroutine.close()


@case
def slow_callbacks(loop: Any, told: Told) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 0.01

    async def slow() -> None:
        time.sleep(0.015)

    with logged(told):
        loop.call_soon(time.sleep, 0.015)
        loop.call_later(0, time.sleep, 0.015)
        run_briefly(loop)
        loop.run_until_complete(slow())
        run_briefly(loop)


@case
def where_handles_were_made(loop: Any, told: Told) -> None:
    for debug in (False, True):
        loop.set_debug(debug)
        for handle in (
            loop.call_soon(nothing, 1, "two"),
            loop.call_soon_threadsafe(nothing),
            loop.call_later(100, nothing),
            loop.call_at(100.0, nothing),
        ):
            told.append(plain(repr(handle)))
            trace = handle._source_traceback
            told.append(trace and [(frame.name, frame.line) for frame in trace][-1:])
            handle.cancel()
            told.append(plain(repr(handle)))


@case
def coroutines_that_are_never_awaited(loop: Any, told: Told) -> None:
    async def main() -> None:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            nothing_async()
            gc.collect()
        told.extend("created at" in str(each.message) for each in seen)

    for debug in (False, True, False):
        loop.set_debug(debug)
        loop.run_until_complete(main())
    told.append(sys.get_coroutine_origin_tracking_depth())


# Exception handlers


@case
def contexts_of_callbacks(loop: Any, told: Told) -> None:
    note_contexts(loop, told)
    for debug in (False, True):
        loop.set_debug(debug)
        loop.call_soon(fail, 1)
        loop.call_later(0, fail)
        loop.call_soon_threadsafe(fail)
        loop.run_until_complete(asyncio.sleep(0.001))


@case
def the_default_handler(loop: Any, told: Told) -> None:
    with logged(told):
        for debug in (False, True):
            loop.set_debug(debug)
            loop.call_soon(fail)
            run_briefly(loop)
            loop.call_exception_handler({"message": "of ours", "b": 1, "a": [2]})
            loop.call_exception_handler({})
            loop.default_exception_handler({"exception": KeyError("x"), "message": "m"})


@case
def handlers_that_fail(loop: Any, told: Told) -> None:
    def failing(_loop: Any, context: dict[str, Any]) -> None:
        raise KeyError("of the handler")

    with logged(told):
        loop.set_exception_handler(failing)
        loop.call_soon(fail)
        run_briefly(loop)
        loop.set_exception_handler(None)
        told.append(loop.get_exception_handler())
        loop.call_soon(fail)
        run_briefly(loop)
    told.append(outcome(loop.set_exception_handler, 5))


@case
def tasks_whose_exception_nobody_took(loop: Any, told: Told) -> None:
    async def failing() -> None:
        raise ValueError("of the Task")

    note_contexts(loop, told)
    task = loop.create_task(failing(), name="forgotten")
    run_briefly(loop)
    del task
    gc.collect()
    future = loop.create_future()
    future.set_exception(ValueError("of the Future"))
    del future
    gc.collect()


@case
def exits_leave_the_loop(loop: Any, told: Told) -> None:
    def leave(kind: type[BaseException]) -> None:
        raise kind("leaves")

    note_contexts(loop, told)
    for kind in (SystemExit, KeyboardInterrupt):
        loop.call_soon(leave, kind)
        loop.call_soon(told.append, "the next one")
        told.append(outcome(loop.run_forever))
        told.append((loop.is_running(), loop.is_closed()))
        run_briefly(loop)
    for kind in (GeneratorExit, asyncio.CancelledError):
        loop.call_soon(leave, kind)
        run_briefly(loop)


# Driving


@case
def running_what_is_not_its_own(loop: Any, told: Told) -> None:
    other = asyncio.SelectorEventLoop()
    told.append(outcome(loop.run_until_complete, other.create_future()))
    other.close()
    told.append(outcome(loop.run_until_complete, 5))

    async def inside() -> None:
        coroutine = nothing_async()  # not run_forever: on 3.13.0 it forgets that the loop runs
        told.append(outcome(loop.run_until_complete, coroutine))
        coroutine.close()
        told.append(outcome(loop.close))

    loop.run_until_complete(inside())
    loop.call_soon(loop.stop)
    told.append(plain(outcome(loop.run_until_complete, loop.create_future())))
    loop.stop()
    loop.call_soon(told.append, "stopped before, one turn all the same")
    loop.run_forever()


@case
def a_closed_loop(loop: Any, told: Told) -> None:
    loop.close()
    loop.close()
    coroutine = nothing_async()
    for call in (
        lambda: loop.call_soon(nothing),
        lambda: loop.call_soon_threadsafe(nothing),
        lambda: loop.call_later(1, nothing),
        lambda: loop.call_at(1, nothing),
        lambda: loop.run_forever(),
        lambda: loop.run_until_complete(coroutine),
        lambda: loop.create_task(coroutine),
        lambda: loop.run_in_executor(None, nothing),
        lambda: loop.add_reader(0, nothing),
        lambda: loop.remove_reader(0),
    ):
        told.append(outcome(call))
    coroutine.close()
    told.append((loop.is_running(), loop.is_closed()))


# Async generators


@case
def generators_end_with_the_loop(loop: Any, told: Told) -> None:
    async def endless(name: str, error: bool) -> Any:
        try:
            while True:
                yield name
        finally:
            await asyncio.sleep(0)
            ends.append(name)
            if error:
                raise ValueError(name)

    async def first(generator: Any) -> None:
        async for each in generator:
            told.append(each)
            break

    ends: list[str] = []  # in the order of a set
    note_contexts(loop, told)
    kept = [endless("kept", False), endless("failing", True)]
    for generator in kept:
        loop.run_until_complete(first(generator))
    loop.run_until_complete(first(endless("dropped", False)))
    gc.collect()
    loop.run_until_complete(asyncio.sleep(0.01))
    told.append(ends.copy())
    loop.run_until_complete(loop.shutdown_asyncgens())
    told.append(sorted(ends))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", ResourceWarning)
        late = endless("late", False)
        loop.run_until_complete(first(late))
        told.extend(plain(each.message) for each in seen)
    loop.run_until_complete(late.aclose())
    told.append(sys.get_asyncgen_hooks())


# Task factories


@case
def factories_make_tasks(loop: Any, told: Told) -> None:
    made: list[Any] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(sorted(options))
        return asyncio.Task(coroutine, loop=loop, **options)

    loop.set_task_factory(factory)
    told.append(loop.get_task_factory() is factory)
    loop.run_until_complete(nothing_async())

    async def named() -> Any:
        task: Any = asyncio.current_task()
        return task.get_name()

    told.append(loop.run_until_complete(loop.create_task(named(), name="by name")))
    told.append(made)
    loop.set_task_factory(None)
    told.append(loop.get_task_factory())
    told.append(outcome(loop.set_task_factory, 5))


@case
def eager_tasks(loop: Any, told: Told) -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    if factory is None:
        told.append("not in this version")
        return
    note_contexts(loop, told)

    async def steps(name: str, waits: bool) -> str:
        task: Any = asyncio.current_task()
        told.append(plain(f"{name} starts in {task.get_name()}"))
        if waits:
            await asyncio.sleep(0)
            told.append(f"{name} goes on")
        return name

    async def failing() -> None:
        raise ValueError("at once")

    async def main() -> None:
        done = loop.create_task(steps("a", False), name="task a")
        told.append(("a is done", done.done()))
        waiting = loop.create_task(steps("b", True), name="task b")
        told.append(("b is done", waiting.done(), len(asyncio.all_tasks())))
        told.append(asyncio.current_task() in asyncio.all_tasks())
        told.append(await asyncio.gather(done, waiting))
        error = loop.create_task(failing())
        told.append((error.done(), outcome(error.result)))
        async with asyncio.TaskGroup() as group:
            group.create_task(steps("c", True), name="task c")

    loop.set_task_factory(factory)
    loop.set_debug(True)
    loop.run_until_complete(loop.create_task(main(), name="main"))


@case
def what_waits_for_a_new_watch_comes_first(loop: Any, told: Told) -> None:
    """Before what the end of the one before it queues, as when a program changes pipes."""

    class Noted(asyncio.Protocol):
        def __init__(self, name: str) -> None:
            self.name = name

        def data_received(self, data: bytes) -> None:
            told.append((self.name, data))

        def connection_lost(self, exc: Exception | None) -> None:
            told.append((self.name, exc))

    def opened(name: str, how: str, end: socket.socket) -> Any:
        if how == "pipe":
            return loop.connect_read_pipe(lambda: Noted(name), end)
        if how == "accepted":
            return loop.connect_accepted_socket(lambda: Noted(name), end)
        return loop.create_unix_connection(lambda: Noted(name), sock=end)

    async def change(how: str) -> None:
        pairs = [socket.socketpair() for _ in range(2)]
        with pairs[0][0], pairs[1][0]:
            for near, _ in pairs:
                near.send(b"waits")
            old, _ = await opened(f"old {how}", how, pairs[0][1])
            while (f"old {how}", b"waits") not in told:
                await asyncio.sleep(0)
            new, _ = await opened(f"new {how}", how, pairs[1][1])
            told.append("opened")
            old.close()
            for _ in range(5):
                await asyncio.sleep(0)
            new.close()
            await asyncio.sleep(0)

    async def watch() -> None:
        near, far = socket.socketpair()
        with near, far:
            near.send(b"waits")
            loop.add_reader(far, lambda: told.append(("reader", far.recv(5))))
            loop.call_soon(lambda: loop.call_soon(told.append, "two generations later"))
            for _ in range(5):
                await asyncio.sleep(0)
            loop.remove_reader(far)

    for how in ("pipe", "accepted", "connection"):
        loop.run_until_complete(change(how))
    loop.run_until_complete(watch())


class Semantics(unittest.TestCase):
    maxDiff = None

    def told_by(self, make: Callable[[], Any], case: Case) -> Told:
        told: Told = []

        def run() -> None:
            loop = make()
            try:
                case(loop, told)
            except BaseException as error:
                told.append(error)
            finally:
                loop.close()

        # In a thread the stack is short: asyncio keeps ten frames of it, with its own among them.
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return told

    def test_each_case_tells_the_same(self) -> None:
        for name, each in _CASES.items():
            with self.subTest(name):
                makes = (coloop.new_event_loop, asyncio.SelectorEventLoop)
                ours, wanted = (self.told_by(make, each) for make in makes)
                self.assertTrue(wanted)
                self.assertEqual(ours, wanted)
                for each_told in wanted:
                    self.assertNotIsInstance(each_told, BaseException)


if __name__ == "__main__":
    unittest.main()
