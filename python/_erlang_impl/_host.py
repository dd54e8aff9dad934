"""Functions that JavaScript registered: `from coloop import name`, `coloop.call("name", ...)`.

All of it may be used from any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from . import _js

_functions: dict[str, Callable[..., Any]] = {}
_lock = threading.Lock()


def register(name: str, function: Callable[..., Any], reserved: Callable[[str], bool]) -> None:
    """Makes `function` known as `name`; ValueError if the module itself has the name."""
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not a Python identifier")
    if reserved(name):
        raise ValueError(f"the module has a {name!r} of its own; choose another name")
    with _lock:
        _functions[name] = function


def unregister(name: str) -> bool:
    """Forgets a name; False if it was not known."""
    with _lock:
        return _functions.pop(name, None) is not None


def names() -> list[str]:
    """The names that are registered."""
    return sorted(_functions)


def find(name: str) -> Callable[..., Any] | None:
    """The function of a name, or None."""
    return _functions.get(name)


def _get(name: str) -> Callable[..., Any]:
    function = _functions.get(name)
    if function is None:
        raise NameError(
            f"no JavaScript function is registered as {name!r}; "
            f"register it with py.register({name!r}, fn)"
        )
    return function


def call(name: str, *args: Any) -> Any:
    """Calls a registered function and returns its result.

    A function that returns a promise can be awaited only: on the JavaScript thread this raises
    RuntimeError, since the promise cannot settle while Python blocks that thread.
    """
    result = _get(name)(*args)
    if isinstance(result, _js.JsPromise):
        return _js.wait(result)
    return result


async def async_call(name: str, *args: Any) -> Any:
    """Calls a registered function and, if it returns a promise, awaits it."""
    result = _get(name)(*args)
    return await result if isinstance(result, _js.JsPromise) else result


def cast(name: str, *args: Any) -> None:
    """Calls a registered function and drops its result; a rejection is Node's."""
    _get(name)(*args)
