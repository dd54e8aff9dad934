"""How this interpreter runs Python: without a GIL, as a sub-interpreter, or with the common GIL."""

from __future__ import annotations

import importlib
import sys
from enum import Enum
from typing import Any

__all__ = ["ExecutionMode", "detect_mode", "is_free_threaded", "is_subinterpreter"]


class ExecutionMode(Enum):
    """What threads of Python code share."""

    FREE_THREADED = "free_threaded"
    """No GIL: Python 3.13 and newer, built and started without it."""
    SUBINTERP = "subinterp"
    """A sub-interpreter, which from Python 3.12 on can have a GIL of its own."""
    SHARED_GIL = "shared_gil"
    """The main interpreter and its GIL."""


def detect_mode() -> ExecutionMode:
    """The mode of the interpreter that calls. From any thread."""
    if is_free_threaded():
        return ExecutionMode.FREE_THREADED
    if is_subinterpreter():
        return ExecutionMode.SUBINTERP
    return ExecutionMode.SHARED_GIL


def is_free_threaded() -> bool:
    """Tells whether there is no GIL now: an extension module may have brought it back."""
    is_gil_enabled: Any = getattr(sys, "_is_gil_enabled", None)  # 3.13
    return is_gil_enabled is not None and not is_gil_enabled()


def is_subinterpreter() -> bool:
    """Tells whether this is no main interpreter. Before 3.12 all share a GIL, and it is False."""
    if sys.version_info < (3, 12):
        return False
    name = "_interpreters" if sys.version_info >= (3, 13) else "_xxsubinterpreters"
    try:
        interpreters: Any = importlib.import_module(name)
    except ImportError:  # built without it
        return False
    return interpreters.get_current() != interpreters.get_main()
