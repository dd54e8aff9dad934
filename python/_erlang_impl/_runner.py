"""Running coroutines: on a loop of their own, or on the one that runs."""

from __future__ import annotations

import asyncio
import sys
import time
import warnings
from collections.abc import Awaitable, Coroutine
from typing import Any, TypeVar

from ._loop import ErlangEventLoop
from ._policy import current_loop, install_policy

_T = TypeVar("_T")
_runners: Any = asyncio.runners  # its private parts

_NO_POLICY = (
    "Run the program with erlang.run(main()), "
    "or with asyncio.Runner(loop_factory=erlang.new_event_loop)"
)


def new_event_loop() -> ErlangEventLoop:
    """A new owned loop: the thread that calls one of its `run_*` methods runs it.

    From any thread, also as a `loop_factory`. It is to be closed.
    """
    return ErlangEventLoop()


def install(*, silent: bool = False) -> None:
    """Makes ErlangEventLoop the loop of `asyncio.run` and `asyncio.new_event_loop`, process-wide.

    In a program that `Python.start()` began it is so already. Policies go out of use: from
    Python 3.12 on this warns with a DeprecationWarning unless `silent`, from 3.14 on it raises
    RuntimeError. From any thread.
    """
    if sys.version_info >= (3, 14):
        raise RuntimeError(f"erlang.install() is not supported on Python 3.14+. {_NO_POLICY}")
    if sys.version_info >= (3, 12) and not silent:
        warnings.warn(
            f"erlang.install() is deprecated in Python 3.12+. {_NO_POLICY}; "
            "silent=True leaves this warning out",
            DeprecationWarning,
            stacklevel=2,
        )
    install_policy()


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """Runs a coroutine on a loop of its own and returns its result, as `asyncio.run`.

    `debug` sets asyncio's debug mode, or leaves the default. What the coroutine raises is raised
    here; RuntimeError if a loop runs in this thread already, ValueError if `main` is no coroutine.
    From any thread. On the JavaScript thread it blocks that thread, as every synchronous call
    does; promises of JavaScript cannot be awaited in it.
    """
    if sys.version_info >= (3, 12):
        return asyncio.run(main, debug=debug, loop_factory=new_event_loop)
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("asyncio.run() cannot be called from a running event loop")
    if sys.version_info >= (3, 11):
        with asyncio.Runner(debug=debug, loop_factory=new_event_loop) as runner:
            return runner.run(main)
    return _run_3_10(main, debug)


def _run_3_10(main: Coroutine[Any, Any, _T], debug: bool | None) -> _T:
    if not asyncio.iscoroutine(main):
        raise ValueError(f"a coroutine was expected, got {main!r}")
    loop = new_event_loop()
    try:
        asyncio.set_event_loop(loop)
        if debug is not None:
            loop.set_debug(debug)
        return loop.run_until_complete(main)
    finally:
        try:
            _runners._cancel_all_tasks(loop)
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            loop.close()


def spawn_task(coro: Coroutine[Any, Any, _T], *, name: str | None = None) -> asyncio.Task[_T]:
    """Starts a coroutine as a Task, from synchronous code too, and returns the Task.

    Its loop is the one that runs in this thread, else the thread's current one: the hosted loop
    on a JavaScript thread, which runs the Task as soon as JavaScript gets its turn.
    RuntimeError if there is no such loop or it is closed; then the coroutine is closed too. From
    other threads `asyncio.run_coroutine_threadsafe` reaches a loop: a Task is not thread-safe.
    """
    try:
        loop = asyncio._get_running_loop() or _loop_of_thread()
        if loop.is_closed():
            raise RuntimeError("Event loop is closed")
        return loop.create_task(coro, name=name)
    except BaseException:
        if asyncio.iscoroutine(coro):
            coro.close()
        raise


def _loop_of_thread() -> asyncio.AbstractEventLoop:
    try:
        return current_loop()
    except RuntimeError as error:
        raise RuntimeError(
            f"No event loop available. {error} A Task is used on its loop's own thread: call "
            "spawn_task() in a coroutine or on the JavaScript thread, set a loop of this thread "
            "with asyncio.set_event_loop(), or reach the loop of another thread with "
            "asyncio.run_coroutine_threadsafe(coroutine, loop)"
        ) from None


def sleep(seconds: float) -> Awaitable[None] | Any:
    """Waits that many seconds. Where a loop runs, the result is to be awaited.

    Elsewhere it blocks the thread, without the GIL, and returns None; ValueError if `seconds` is
    negative. From any thread.
    """
    if asyncio._get_running_loop() is not None:
        return asyncio.sleep(seconds)
    return time.sleep(seconds)
