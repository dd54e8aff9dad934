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
#: How many exceptions deep causes and groups are described; the traceback's text has all of them.
_MAX_CHAIN = 30
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
    try:
        return _describe(exception, set(), {})
    except Exception:  # an exception's own attributes may do anything
        return False, _bare(exception)


def _bare(exception: BaseException) -> dict[str, Any]:
    """What can be told without asking the exception."""
    return {
        "name": type(exception).__name__,
        "message": _message(exception),
        "pythonType": _type_name(type(exception)),
        "traceback": _traceback_text(exception),
        "frames": _frames(exception),
        "category": _category(exception),
        "value": _coloop.opaque(exception),
        "cause": None,
        "errors": None,
    }


def _describe(
    exception: BaseException, outer: set[int], done: dict[int, tuple[bool, Any]]
) -> tuple[bool, Any]:
    source = _js.source_of(exception)
    if source is not None:
        return True, source
    known = done.get(id(exception))
    if known is not None:
        return known
    description = _bare(exception)
    if isinstance(exception, _js.JsError):
        description.update(name=exception.name, message=exception.message)
    seen = {*outer, id(exception)}
    if len(seen) < _MAX_CHAIN:
        cause = _cause(exception)
        if cause is not None and id(cause) not in seen:
            description["cause"] = _describe(cause, seen, done)
        group = getattr(exception, "exceptions", None)
        if isinstance(group, tuple) and all(isinstance(error, BaseException) for error in group):
            description["errors"] = [
                _describe(error, seen, done) for error in group if id(error) not in seen
            ]
    done[id(exception)] = False, description
    return False, description
