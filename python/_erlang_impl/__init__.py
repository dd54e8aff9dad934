"""coloop's Python module: `import coloop`, or `import erlang` as in erlang_python.

`from coloop import name` gives a function that JavaScript registered as `name`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from . import _aliases, _host, _stdio
from ._host import async_call, call, cast
from ._js import JsError, JsObject
from ._loop import ErlangEventLoop
from ._mode import ExecutionMode, detect_mode
from ._policy import ErlangEventLoopPolicy, EventLoopPolicy, get_event_loop_policy
from ._runner import install, new_event_loop, run, sleep, spawn_task
from ._sandbox import is_sandboxed

__all__ = [
    "ErlangEventLoop",
    "ErlangEventLoopPolicy",
    "EventLoopPolicy",
    "ExecutionMode",
    "JsError",
    "JsObject",
    "async_call",
    "call",
    "cast",
    "detect_mode",
    "get_event_loop_policy",
    "install",
    "is_sandboxed",
    "new_event_loop",
    "ref",
    "run",
    "sleep",
    "spawn_task",
]


def ref(value: Any) -> Any:
    """Wraps a value that is to reach JavaScript as a proxy in place of a copy. From any thread."""
    import _coloop

    return _coloop.opaque(value)


class _Module(ModuleType):
    """The module's class: names that the module does not have are registered functions."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = _host.find(name)
        if function is None:
            raise AttributeError(
                f"module 'coloop' has no attribute {name!r}, and no JavaScript function is "
                f"registered under that name; register it with py.register({name!r}, fn)"
            )
        return function

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *_host.names()})


sys.modules[__name__].__class__ = _Module
_aliases.install()
_stdio.install()
