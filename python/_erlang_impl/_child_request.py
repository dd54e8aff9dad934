"""What Python wants to start, as src/subprocess.ts shows it to the user's function."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

_MOST_FRAMES = 64


class ForkExec(NamedTuple):
    """The arguments of `_posixsubprocess.fork_exec`."""

    args: Any
    executables: Any
    close_fds: Any
    fds_to_keep: Any
    cwd: Any
    env: Any
    p2cread: int
    p2cwrite: int
    c2pread: int
    c2pwrite: int
    errread: int
    errwrite: int
    errpipe_read: int
    errpipe_write: int
    restore_signals: Any
    start_new_session: Any
    process_group: int
    gid: Any
    gids: Any
    uid: Any
    umask: int
    preexec_fn: Any

    @classmethod
    def read(cls, given: tuple[Any, ...]) -> ForkExec:
        if sys.version_info >= (3, 11):
            return cls(*given[:-1])  # the last says whether to use vfork()
        without_group = (*given[:16], -1, *given[16:])
        return cls(*without_group)

    def unsupported(self) -> str | None:
        """The name of what Node.js cannot do for a child."""
        asked = {
            "preexec_fn": self.preexec_fn is not None,
            "umask": self.umask >= 0,
            "process_group": self.process_group >= 0,
            "extra_groups": self.gids is not None,
            "restore_signals=False": not self.restore_signals,
        }
        return next((name for name, is_asked in asked.items() if is_asked), None)


def _text(value: Any, what: str) -> str:
    """A value as JavaScript has it, where the operating system takes bytes."""
    data = os.fsencode(value)
    if b"\0" in data:
        raise ValueError("embedded null byte")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"{what} of a child that Node.js runs must be UTF-8: {data!r}") from error


def _identity(number: int, what: str) -> int:
    if number >= 1 << 32:
        raise OverflowError(f"{what} is greater than maximum")
    return number


def _environment(items: Any) -> dict[str, str]:
    pairs = (_text(item, "the environment").partition("=") for item in items)
    return {name: value for name, _, value in pairs}


def _stream(fd: int, of_parent: int, stdout: int = -1) -> str | int:
    """What the request calls one of the child's streams."""
    if fd < 0:
        return "inherit"
    if of_parent >= 0:
        return "pipe"
    if fd == stdout:
        return "stdout"
    try:
        return "ignore" if os.fstat(fd).st_rdev == os.stat(os.devnull).st_rdev else fd
    except OSError:  # not open: the start will say so
        return fd


def describe(given: ForkExec, frame: FrameType) -> dict[str, Any]:
    """What the user's function is asked, and what it may change."""
    argv = [_text(item, f"argv[{i}]") for i, item in enumerate(given.args)]
    executables = [_text(item, "the executable") for item in given.executables]
    # More than one are places on PATH, where libuv looks as well.
    file = os.path.basename(executables[0]) if len(executables) > 1 else executables[0]
    request: dict[str, Any] = {
        "argv": argv,
        "stdin": _stream(given.p2cread, given.p2cwrite),
        "stdout": _stream(given.c2pwrite, given.c2pread),
        "stderr": _stream(given.errwrite, given.errread, given.c2pwrite),
        "passFds": [int(fd) for fd in given.fds_to_keep if fd != given.errpipe_write],
        "detached": bool(given.start_new_session),
        "stack": list(_frames(frame)),
    }
    if not argv or file != argv[0]:
        request["executable"] = file
    is_shell = frame.f_code.co_name == "_execute_child" and frame.f_locals.get("shell")
    if is_shell and len(argv) > 2:
        request["shell"] = argv[2]
    if given.cwd is not None:
        request["cwd"] = _text(given.cwd, "cwd")
    if given.env is not None:
        request["env"] = _environment(given.env)
    if given.uid is not None:
        request["uid"] = _identity(given.uid, "uid")
    if given.gid is not None:
        request["gid"] = _identity(given.gid, "gid")
    return request


def _frames(frame: FrameType | None) -> Iterator[dict[str, Any]]:
    """The stack, the innermost first, without our own frames."""
    folder = os.path.dirname(__file__)
    count = 0
    while frame is not None and count < _MOST_FRAMES:
        code = frame.f_code
        if os.path.dirname(code.co_filename) != folder:
            count += 1
            line = frame.f_lineno or 0
            yield {"file": code.co_filename, "line": line, "function": code.co_name}
        frame = frame.f_back
