"""Compiles the code that JavaScript hands over, which is often an indented template."""

from __future__ import annotations

import ast
import textwrap
from types import CodeType

_NAME = "<coloop>"
_NO_AWAIT = "py.evalSync() and py.execSync() take no top-level await, py.eval() and py.exec() do"


def compile_sync(code: str, mode: str) -> CodeType:
    try:
        return _compile(code, mode, 0)
    except SyntaxError as error:
        if "async" in code or "await" in code:
            _explain_await(error, code, mode)
        raise


def compile_async(code: str, mode: str) -> CodeType:
    return _compile(code, mode, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def _compile(code: str, mode: str, flags: int) -> CodeType:
    try:
        return compile(code, _NAME, mode, flags=flags, dont_inherit=True)
    except IndentationError:
        moved = _without_margin(code, mode)
        if moved == code:
            raise
    return compile(moved, _NAME, mode, flags=flags, dont_inherit=True)


def _without_margin(code: str, mode: str) -> str:
    """The code without the blanks that all lines begin with; every line keeps its number.

    An expression is one line to the parser: only the blanks around it are in the way.
    """
    if mode == "exec":
        return textwrap.dedent(code)
    blanks = code[: len(code) - len(code.lstrip())]
    return "\n" * blanks.count("\n") + code.strip()


def _explain_await(error: SyntaxError, code: str, mode: str) -> None:
    """Says where a top-level await is allowed, if that is all that is wrong."""
    try:
        compile_async(code, mode)
    except (SyntaxError, ValueError):
        return
    error.msg = f"{error.msg}: {_NO_AWAIT}"
