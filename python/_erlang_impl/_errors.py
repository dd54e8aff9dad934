"""What JavaScript is told of a Python exception."""

from __future__ import annotations

import asyncio
import linecache
import os
import traceback
from types import TracebackType
from typing import Any

import _coloop

from . import _js

_MAX_FRAMES = 100
_PACKAGE = os.path.dirname(__file__) + os.sep


def _message(exception: BaseException) -> str:
    try:
        return str(exception)
    except BaseException as error:  # a __str__ that raises must not hide the exception
        return f"<{type(exception).__name__}: its __str__ raised {type(error).__name__}>"


def _type_name(kind: type) -> str:
    module = kind.__module__
    return (
        kind.__qualname__ if module in ("builtins", "__main__") else f"{module}.{kind.__qualname__}"
    )


def _own_traceback(exception: BaseException) -> TracebackType | None:
    """The traceback without coloop's own frames at its outer end."""
    own = exception.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        own = own.tb_next
    return own if own is not None else exception.__traceback__


def _traceback_text(exception: BaseException) -> str:
    try:
        lines = traceback.format_exception(type(exception), exception, _own_traceback(exception))
        return "".join(lines)
    except BaseException:  # the traceback module calls __str__ and __repr__ of what it finds
        return f"{_type_name(type(exception))}: {_message(exception)}\n"


def _frames(exception: BaseException) -> list[dict[str, Any]]:
    frames = []
    for frame, line in traceback.walk_tb(_own_traceback(exception)):
        code = frame.f_code
        source = linecache.getline(code.co_filename, line, frame.f_globals).strip() or None
        frames.append(
            {"file": code.co_filename, "line": line, "function": code.co_name, "source": source}
        )
    return frames[-_MAX_FRAMES:]


def _category(exception: BaseException) -> str:
    if isinstance(exception, asyncio.CancelledError):
        return "cancelled"
    if isinstance(exception, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    return "interrupt" if isinstance(exception, KeyboardInterrupt) else "error"


def _cause(exception: BaseException) -> BaseException | None:
    if exception.__cause__ is not None:
        return exception.__cause__
    return None if exception.__suppress_context__ else exception.__context__


def describe(exception: BaseException) -> Any:
    """For src/errors.ts: (False, what it needs), or (True, what JavaScript had thrown)."""
    return _describe(exception, set())


def _describe(exception: BaseException, seen: set[int]) -> tuple[bool, Any]:
    source = _js.source_of(exception)
    if source is not None:
        return True, source
    seen.add(id(exception))
    cause = _cause(exception)
    errors = getattr(exception, "exceptions", None)
    group = errors if isinstance(errors, tuple) else None
    name = exception.name if isinstance(exception, _js.JsError) else type(exception).__name__
    return False, {
        "name": name,
        "message": exception.message if isinstance(exception, _js.JsError) else _message(exception),
        "pythonType": _type_name(type(exception)),
        "traceback": _traceback_text(exception),
        "frames": _frames(exception),
        "category": _category(exception),
        "value": _coloop.opaque(exception),
        "cause": _describe(cause, seen) if cause is not None and id(cause) not in seen else None,
        "errors": None if group is None else _describe_all(group, seen),
    }


def _describe_all(group: tuple[Any, ...], seen: set[int]) -> list[Any]:
    return [_describe(error, seen) for error in group if id(error) not in seen]
