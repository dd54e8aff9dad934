"""`coloop run`: a script or module as `python` would run it, top-level `await` besides.

A script without top-level `await` runs as one synchronous call, so that its `asyncio.run` works;
one with it is a Task of the hosted loop.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import pkgutil
import runpy
import sys
from collections.abc import Callable
from importlib.machinery import SourceFileLoader
from types import CodeType, TracebackType
from typing import Any

_pkgutil: Any = pkgutil
_runpy: Any = runpy  # its private parts are what `python -m` uses
_main_task: asyncio.Task[Any] | None = None
_interrupted = False


class _NotFoundError(Exception):
    """There is nothing to run; the text is `python`'s."""


def run(target: str, is_module: bool, args: list[str], leave: Callable[[int], None]) -> Any:
    """Runs it as `__main__`. The result is the exit status, or None at the end of its text.

    `leave` is called with the status when a callback or another Task ends the program.
    """
    _leave_on_exit(asyncio.get_event_loop_policy().get_event_loop(), leave)
    try:
        code = _prepare_module(target, args) if is_module else _prepare_script(target, args)
        result = eval(code, sys.modules["__main__"].__dict__)
    except _NotFoundError as error:
        print(f"coloop: {error}", file=sys.stderr)
        return 1 if is_module or os.path.exists(target) else 2
    except BaseException as error:
        return _report(error)
    return _finish(result) if code.co_flags & inspect.CO_COROUTINE else None


def interrupt() -> bool:
    """SIGINT came while nothing ran: cancels what `run` waits for; False if that is nothing."""
    global _interrupted
    if _interrupted or _main_task is None:
        return False
    _interrupted = True
    _main_task.cancel()
    return True


async def _finish(script: Any) -> int | None:
    global _main_task
    _main_task = asyncio.current_task()
    try:
        await script
    except asyncio.CancelledError as error:
        if not _interrupted:
            return _report(error)
        interrupt = KeyboardInterrupt()
        interrupt.__context__ = error
        error.__traceback__ = _outside(error.__traceback__)
        return _report(interrupt)
    except BaseException as error:
        return _report(error)
    finally:
        _main_task = None
    return None


def _prepare_script(target: str, args: list[str]) -> CodeType:
    sys.argv[:] = [target, *args]
    if target == "-":
        _describe(None, None)
        _search_first("")
        return _compile(sys.stdin.buffer.read(), "<stdin>")
    path = os.path.abspath(target)
    if pkgutil.get_importer(path) is not None:  # a folder or an archive with a `__main__.py`
        sys.path.insert(0, path)
        return _adopt(_runpy._get_main_module_details(_NotFoundError))
    try:
        with open(path, "rb") as file:
            code: CodeType | None = _pkgutil.read_code(file)
            file.seek(0)
            source = b"" if code is not None else file.read()
    except OSError as error:
        message = f"can't open file '{path}': [Errno {error.errno}] {error.strerror}"
        raise _NotFoundError(message) from None
    _search_first(os.path.dirname(os.path.realpath(path)))
    _describe(path, SourceFileLoader("__main__", path))
    return code or _compile(source, path)


def _prepare_module(name: str, args: list[str]) -> CodeType:
    sys.argv[:] = ["-m", *args]
    _search_first(os.getcwd())
    details = _runpy._get_module_details(name, _NotFoundError)
    code = _adopt(details)
    sys.argv[0] = details[1].origin
    return code


def _adopt(details: tuple[str, Any, CodeType]) -> CodeType:
    """What runpy found becomes `__main__`, with its source compiled anew where there is one."""
    name, spec, code = details
    _describe(spec.origin, spec.loader, spec)
    get_source = getattr(spec.loader, "get_source", None)
    source = get_source(name) if get_source is not None else None
    return code if source is None else _compile(source, code.co_filename)


def _compile(source: str | bytes, file: str) -> CodeType:
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    return compile(source, file, "exec", flags=flags, dont_inherit=True)


def _describe(file: str | None, loader: Any, spec: Any = None) -> None:
    """Gives `__main__` the names that it has in `python`."""
    main = sys.modules["__main__"].__dict__
    main.update(__spec__=spec, __loader__=loader, __package__=spec.parent if spec else None)
    main.update(__cached__=spec.cached if spec else None)
    if file is not None:
        main["__file__"] = file


def _search_first(folder: str) -> None:
    if not getattr(sys.flags, "safe_path", False):  # 3.11
        sys.path.insert(0, folder)


def _outside(traceback: TracebackType | None) -> TracebackType | None:
    """A traceback without the frames of this file that it begins with."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    return traceback


def _report(error: BaseException) -> int:
    """Says on stderr how the program ended, as `python` does; the exit status."""
    if isinstance(error, SystemExit):
        return _status(error.code)
    traceback = _outside(error.__traceback__)
    sys.excepthook(type(error), error.with_traceback(traceback), traceback)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**63) <= code < 2**63 else 0xFF
    if not getattr(sys.stdout, "closed", True):
        sys.stdout.flush()
    print(code, file=sys.stderr)
    return 1


def _leave_on_exit(loop: Any, leave: Callable[[int], None]) -> None:
    """`sys.exit()` in a callback, a Task or an exception handler ends the program, as under
    `asyncio.run`."""
    handle = loop.call_exception_handler

    def call_exception_handler(context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, (SystemExit, KeyboardInterrupt)):
            leave(_report(error))
            return
        try:
            handle(context)
        except (SystemExit, KeyboardInterrupt) as left:
            leave(_report(left))

    loop.call_exception_handler = call_exception_handler
