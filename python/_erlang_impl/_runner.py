"""Running coroutines: on a loop of their own, or on the one that runs."""

from __future__ import annotations

import asyncio
import sys
import warnings
from collections.abc import Coroutine
from typing import Any, TypeVar

import _coloop

from ._loop import ErlangEventLoop
from ._policy import ErlangEventLoopPolicy

_T = TypeVar("_T")
_runners: Any = asyncio.runners  # its private parts


def new_event_loop() -> ErlangEventLoop:
    """A new loop, to be run by the thread that calls its `run_*` methods."""
    return ErlangEventLoop()


def install() -> None:
    """Makes ErlangEventLoop the loop of `asyncio.run` and `asyncio.new_event_loop`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.14 deprecates policies
        asyncio.set_event_loop_policy(ErlangEventLoopPolicy())


def run(main: Coroutine[Any, Any, _T], *, debug: bool | None = None) -> _T:
    """Runs a coroutine on a loop of its own and returns its result, as `asyncio.run`.

    On the JavaScript thread it blocks that thread, as every synchronous call does; promises of
    JavaScript cannot be awaited in it.
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
    """Starts a coroutine on the loop that runs, or on the thread's hosted loop.

    Raises RuntimeError where there is neither.
    """
    loop = asyncio._get_running_loop() or _coloop.hosted_loop()
    if loop is None:
        coro.close()
        raise RuntimeError("there is no event loop to spawn the task on")
    return loop.create_task(coro, name=name)


async def sleep(delay: float, result: _T | None = None) -> _T | None:
    """`asyncio.sleep`."""
    return await asyncio.sleep(delay, result)
