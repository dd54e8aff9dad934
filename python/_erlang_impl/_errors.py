"""What JavaScript is told of a Python exception."""

from __future__ import annotations

import asyncio
import contextlib
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


class StackError(RecursionError):
    """JavaScript had too little stack left to tell what it had thrown."""


def _message(exception: BaseException) -> str:
    try:
        return str(exception)
    except BaseException as error:  # a __str__ that raises must not hide the exception
        return f"<{_name_of(type(exception))}: its __str__ raised {_name_of(type(error))}>"


# An exception's class, and the class of that, may have attributes that do anything: these read past
# them. For the same reason `type(exception)` is asked, never `exception.__class__`.
_name_of = type.__dict__["__name__"].__get__
_qualname_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_traceback_of = BaseException.__dict__["__traceback__"].__get__


def _type_name(kind: type) -> str:
    module, qualname = _module_of(kind), _qualname_of(kind)
    return qualname if module in ("builtins", "__main__") else f"{module}.{qualname}"


def _own_traceback(exception: BaseException) -> TracebackType | None:
    """The traceback without coloop's own frames at its outer end."""
    whole: TracebackType | None = _traceback_of(exception)
    own = whole
    while own is not None and own.tb_frame.f_code.co_filename.startswith(_PACKAGE):
        own = own.tb_next
    return own if own is not None else whole


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
    kind = type(exception)
    if issubclass(kind, asyncio.CancelledError):
        return "cancelled"
    if issubclass(kind, (TimeoutError, asyncio.TimeoutError)):
        return "timeout"
    if issubclass(kind, StackError):
        return "stack"
    return "interrupt" if issubclass(kind, KeyboardInterrupt) else "error"


def _cause(exception: BaseException) -> BaseException | None:
    if exception.__cause__ is not None:
        return exception.__cause__
    return None if exception.__suppress_context__ else exception.__context__


def describe(exception: BaseException) -> Any:
    """For src/errors.ts: (False, what it needs), or (True, what JavaScript had thrown)."""
    return _describe(exception, set(), {})


def _bare(exception: BaseException) -> dict[str, Any]:
    """What can be told without asking the exception."""
    return {
        "name": _name_of(type(exception)),
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
    js_error = _js.as_js_error(exception)
    if js_error is not None:
        description.update(name=js_error.name, message=js_error.message)
    seen = {*outer, id(exception)}
    if len(seen) < _MAX_CHAIN:
        with contextlib.suppress(BaseException):  # its own attributes may do anything
            _add_related(description, exception, seen, done)
    done[id(exception)] = False, description
    return False, description


def _add_related(
    description: dict[str, Any],
    exception: BaseException,
    seen: set[int],
    done: dict[int, tuple[bool, Any]],
) -> None:
    cause = _cause(exception)
    if cause is not None and id(cause) not in seen:
        description["cause"] = _describe(cause, seen, done)
    group = getattr(exception, "exceptions", None)
    if isinstance(group, tuple) and all(isinstance(error, BaseException) for error in group):
        description["errors"] = [
            _describe(error, seen, done) for error in group if id(error) not in seen
        ]
