"""The Python half of the bridge: what src/library.ts calls by name.

Everything runs on the JavaScript thread with that thread's hosted loop. Values cross as always;
what must not be copied is wrapped by `_coloop.opaque`.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import inspect
import logging
import sys
import traceback
from types import ModuleType
from typing import Any

import _coloop

from . import _children, _host
from ._errors import StackError, describe
from ._failures import tell_failures
from ._js import MISSING, thrown
from ._policy import install_policy
from ._source import compile_async, compile_sync
from ._stream import Stream

__all__ = ["MISSING", "StackError", "async_resource", "blocked", "describe", "thrown"]

#: The AsyncResource of the JavaScript call that started the Task.
async_resource: contextvars.ContextVar[Any] = contextvars.ContextVar("coloop_async_resource")


def connect(loop: Any, on_error: Any) -> None:
    """Makes the loop this thread's own; JavaScript is told what its exception handler gets."""
    install_policy()
    handle = loop.call_exception_handler

    def call_exception_handler(context: dict[str, Any]) -> None:
        # What ends a Task that starts at once is raised to whoever started it, and knows; an
        # interrupt of a call that was out of time likewise. Nobody could ask the Task itself.
        exception = context.get("exception")
        leaves = loop._starting_task and isinstance(exception, (SystemExit, KeyboardInterrupt))
        if "future" in context and (leaves or hasattr(exception, "_coloop_watch")):
            return
        try:
            handle(context)
        finally:
            if on_error._alive:
                message = str(context.get("message", ""))
                on_error(message, context.get("exception"), _coloop.opaque(context))

    loop.call_exception_handler = call_exception_handler


def import_module(name: str) -> Any:
    return _coloop.opaque(importlib.import_module(name))


def main_namespace() -> Any:
    return _coloop.opaque(sys.modules["__main__"])


def new_namespace() -> Any:
    return _coloop.opaque(ModuleType("__coloop__"))


def _scope(
    namespace: ModuleType, variables: dict[str, Any] | None, by_reference: bool
) -> tuple[dict[str, Any], Any]:
    """The globals and locals of one run.

    Variables that came as a copy join the globals, for this run only: comprehensions and functions
    look nowhere else. A dict of Python's own is the locals, so that assignments reach it.
    """
    shared = namespace.__dict__
    if variables is None:
        return shared, shared
    if by_reference:
        return shared, variables
    merged = {**shared, **variables}
    return merged, merged


def evaluate(code: str, variables: Any, namespace: Any, by_reference: bool) -> Any:
    scope = _scope(namespace, variables, by_reference)
    return eval(compile_sync(code, "eval"), *scope)


def execute(code: str, variables: Any, namespace: Any, by_reference: bool) -> None:
    scope = _scope(namespace, variables, by_reference)
    exec(compile_sync(code, "exec"), *scope)


async def _run(code: str, mode: str, scope: tuple[dict[str, Any], Any]) -> Any:
    compiled = compile_async(code, mode)
    result = eval(compiled, *scope)
    return await result if compiled.co_flags & inspect.CO_COROUTINE else result


async def evaluate_async(code: str, variables: Any, namespace: Any, by_reference: bool) -> Any:
    return await _run(code, "eval", _scope(namespace, variables, by_reference))


async def execute_async(code: str, variables: Any, namespace: Any, by_reference: bool) -> None:
    await _run(code, "exec", _scope(namespace, variables, by_reference))


def get_item(target: Any, key: Any) -> Any:
    return target[key]


def set_item(target: Any, key: Any, value: Any) -> None:
    target[key] = value


def delete_item(target: Any, key: Any) -> None:
    del target[key]


def contains(target: Any, key: Any) -> bool:
    return key in target


def has_index(target: Any, index: int) -> bool:
    try:
        target[index]
    except (LookupError, TypeError):
        return False
    return True


def has_attribute(target: Any, name: str) -> bool:
    try:
        return hasattr(target, name)
    except Exception:
        # A property that raises is there.
        if inspect.getattr_static(target, name, MISSING) is MISSING:
            raise
        return True


def set_attribute(target: Any, name: str, value: Any) -> None:
    setattr(target, name, value)


def delete_attribute(target: Any, name: str) -> None:
    delattr(target, name)


def names(target: Any) -> list[str]:
    # Not dir(), which sorts: an odd __dir__ may repeat names or hold what is no str.
    kind: Any = type(target)
    found = kind.__dir__(target)
    return sorted({name for name in found if isinstance(name, str) and not name.startswith("_")})


def is_instance(target: Any, kind: Any) -> bool:
    return isinstance(target, kind)


def length(target: Any) -> int:
    return len(target)


def repr_of(target: Any) -> str:
    return repr(target)


def string_of(target: Any) -> str:
    return str(target)


def type_name(target: Any) -> str:
    return type(target).__name__


def number(target: Any) -> Any:
    """A number for arithmetic in JavaScript, or None."""
    if not hasattr(target, "__float__") and not hasattr(target, "__index__"):
        return None
    return target.__index__() if hasattr(target, "__index__") else float(target)


def copy(target: Any) -> Any:
    """The object itself: conversion copies what is of a kind that is copied."""
    return target


def iterator(target: Any) -> Any:
    return _coloop.opaque(iter(target))


def next_item(target: Any) -> tuple[bool, Any]:
    try:
        return False, next(target)
    except StopIteration:
        return True, None


async def await_it(target: Any) -> Any:
    return await target


def cancel(task: Any) -> None:
    task.cancel()


def report_late(exception: Any, task: Any) -> None:
    """A Task failed after its caller had been told that it was aborted."""
    if not isinstance(exception, BaseException):
        exception = thrown(exception)
    context = {
        "message": "a Task failed after it was aborted",
        "exception": exception,
        "task": task,
    }
    try:
        task.get_loop().call_exception_handler(context)
    except (SystemExit, KeyboardInterrupt):  # the handler's own: JavaScript has no call to end
        logging.getLogger("asyncio").error("Unhandled error in exception handler", exc_info=True)


def metrics() -> Any:
    return _coloop.hosted_loop().metrics()


def open_stream(iterable: Any, high_water_mark: int) -> Any:
    return _coloop.opaque(Stream(iterable, high_water_mark))


async def take_items(stream: Stream) -> tuple[list[Any], bool]:
    return await stream.take()


async def close_stream(stream: Stream) -> None:
    await stream.close()


async def throw_stream(stream: Stream, error: Any) -> tuple[list[Any], bool]:
    return await stream.throw(thrown(error))


def register(name: str, function: Any) -> None:
    package = sys.modules["_erlang_impl"]
    _host.register(name, function, lambda reserved: reserved in package.__dict__)


def unregister(name: str) -> bool:
    return _host.unregister(name)


connect_children = _children.connect
disconnect_children = _children.disconnect
spawn_child = _children.spawn
failed_child = _children.failed
refused_child = _children.refused

_on_blocked: Any = None


def watch_blocking(on_blocked: Any) -> None:
    """JavaScript is told when Python blocks its thread; None ends that."""
    global _on_blocked
    _on_blocked = on_blocked


def blocked(milliseconds: float, frame: Any) -> None:
    """The watchdog's report, in the middle of what blocks the thread."""
    if _on_blocked is not None:
        _on_blocked(milliseconds, "".join(traceback.format_stack(frame)))


async def handle_signal(handler: Any, name: str, number: int) -> None:
    """Calls the Python handler of a signal; nobody else hears of what it raises."""
    try:
        result = handler(name, number)
        if inspect.isawaitable(result):
            await result
    except BaseException as error:
        message = f"Exception in the handler of {name}"
        context = {"message": message, "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)


async def cancel_tasks(timeout: float) -> None:
    """Cancels the loop's Tasks and waits for them."""
    loop = asyncio.get_running_loop()
    tasks = [task for task in asyncio.all_tasks(loop) if task is not asyncio.current_task()]
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=timeout)
        for task in tasks:
            if task.done() and not task.cancelled() and task.exception() is not None:
                context = {
                    "message": "unhandled exception during Python's close",
                    "exception": task.exception(),
                    "task": task,
                }
                loop.call_exception_handler(context)


async def cancel_all(timeout: float) -> None:
    """Cancels the loop's Tasks and waits for them and for its async generators."""
    await cancel_tasks(timeout)
    loop: Any = asyncio.get_running_loop()
    await loop._close_children(timeout)
    if loop._asyncgens:
        closing = loop.create_task(loop.shutdown_asyncgens())
        await asyncio.sleep(0)  # then each of them has a Task that will run, whatever the time-out
        await asyncio.wait([closing], timeout=timeout)
    else:
        await loop.shutdown_asyncgens()
    tell_failures(loop)
    _host.unregister_all()
