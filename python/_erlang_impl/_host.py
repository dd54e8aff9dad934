"""Functions that JavaScript registered: `from coloop import name`, `coloop.call("name", ...)`.

All of it may be used from any thread. Each JavaScript environment (the main thread, a Worker) has
names of its own; a thread of Python's, which belongs to none, finds the one registered last.
"""

from __future__ import annotations

import keyword
import threading
from collections.abc import Callable
from typing import Any

import _coloop

from . import _js

#: By name, then by the hosted loop of the environment that registered it, the oldest first.
_functions: dict[str, dict[Any, Callable[..., Any]]] = {}
_lock = threading.Lock()


def register(name: str, function: Callable[..., Any], reserved: Callable[[str], bool]) -> None:
    """Makes `function` known as `name`; ValueError if the module itself has the name."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ValueError(f"{name!r} is not a Python identifier")
    if reserved(name) or (name.startswith("__") and name.endswith("__")):
        raise ValueError(f"the module has a {name!r} of its own; choose another name")
    owner = _coloop.hosted_loop()
    with _lock:
        by_owner = _functions.setdefault(name, {})
        by_owner.pop(owner, None)
        by_owner[owner] = function


def unregister(name: str) -> bool:
    """Forgets a name of this environment; False if it was not known."""
    owner = _coloop.hosted_loop()
    with _lock:
        by_owner = _functions.get(name, {})
        known = by_owner.pop(owner, None) is not None
        if not by_owner:
            _functions.pop(name, None)
        return known


def unregister_all() -> None:
    """Forgets this environment's names."""
    for name in names():
        unregister(name)


def names() -> list[str]:
    """The names that are registered."""
    return sorted(_functions)


def find(name: str) -> Callable[..., Any] | None:
    """The function of a name, or None."""
    with _lock:
        by_owner = dict(_functions.get(name, {}))
    own = by_owner.get(_coloop.hosted_loop())
    if own is not None:
        return own
    living = [function for function in by_owner.values() if getattr(function, "_alive", True)]
    return living[-1] if living else None


def _get(name: str) -> Callable[..., Any]:
    function = find(name)
    if function is None:
        raise NameError(
            f"no JavaScript function is registered as {name!r}; "
            f"register it with py.register({name!r}, fn)"
        )
    return function


def call(name: str, *args: Any) -> Any:
    """Calls a registered function and returns its result.

    From any thread: the function runs on the JavaScript thread, while the caller waits without
    the GIL. A promise is waited for, but on the JavaScript thread that raises RuntimeError, since
    the promise cannot settle while Python blocks that thread. NameError for an unknown name,
    TypeError for an argument that cannot cross; what JavaScript throws is raised as JsError.
    """
    result = _get(name)(*args)
    if isinstance(result, _js.JsPromise):
        return _js.wait(result)
    return result


async def async_call(name: str, *args: Any) -> Any:
    """Calls a registered function and, if it returns a promise, awaits it.

    On the loop of any thread. The errors are those of `call`; RuntimeError also for a promise on
    a loop that blocks the JavaScript thread. Cancelled, it stops waiting.
    """
    result = _get(name)(*args)
    return await result if isinstance(result, _js.JsPromise) else result


def cast(name: str, *args: Any) -> None:
    """Calls a registered function and drops its result; a rejected promise is then Node's
    `unhandledRejection`.

    From any thread. The errors are those of `call`, as far as they come before the result.
    """
    _get(name)(*args)
