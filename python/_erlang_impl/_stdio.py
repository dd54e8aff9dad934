"""Standard output in a process that Node.js has made non-blocking.

When JavaScript first uses `process.stdout` or `process.stderr` and it is a pipe, libuv sets
O_NONBLOCK on it, and with it on the descriptor that Python writes to. A full pipe would be
a BlockingIOError then, or lost output without buffering.
"""

from __future__ import annotations

import io
import select
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _HostFile(io.FileIO):
    """Writes all of it, as to a blocking descriptor; other threads run meanwhile."""

    def write(self, data: ReadableBuffer, /) -> int:
        rest = memoryview(data).cast("B")
        size = len(rest)
        while True:
            written: int | None = super().write(rest)
            if written == len(rest):
                return size
            if written is None:
                poll = select.poll()
                poll.register(self.fileno(), select.POLLOUT)
                poll.poll()
            else:
                rest = rest[written:]


def _replacement(stream: Any) -> io.TextIOWrapper | None:
    """The same stream over a `_HostFile`; None for one that is not Python's own."""
    if type(stream) is not io.TextIOWrapper:
        return None
    unbuffered = isinstance(stream.buffer, io.FileIO)
    raw: Any = stream.buffer if unbuffered else getattr(stream.buffer, "raw", None)
    if type(raw) is not io.FileIO:
        return None
    file = _HostFile(raw.fileno(), "wb", closefd=False)
    vars(file)["name"] = raw.name
    made = io.TextIOWrapper(
        file if unbuffered else io.BufferedWriter(file),
        encoding=stream.encoding,
        errors=stream.errors,
        newline="\n",
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
    vars(made)["mode"] = "w"
    return made


def install() -> None:
    """Replaces `sys.stdout` and `sys.stderr`. Once, before user code; not on Windows."""
    if sys.platform == "win32":
        return
    for name in ("stdout", "stderr"):
        made = _replacement(getattr(sys, name))
        if made is None:
            continue
        if getattr(sys, name) is getattr(sys, f"__{name}__"):
            setattr(sys, f"__{name}__", made)
        setattr(sys, name, made)
