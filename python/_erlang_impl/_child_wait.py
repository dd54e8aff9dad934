"""How the children end that Node.js runs for Python, and who waits for them.

libuv waits for them on the JavaScript thread and `exited` is told; so `os.waitpid` and its like
come here before the kernel. Everything may be called from any thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import _coloop

BLOCKED = (
    "Node.js starts and awaits the children, on the thread that Python blocks here. In an async "
    "function await asyncio.create_subprocess_exec(...), or asyncio.to_thread(subprocess.run, ...)."
)

#: Guards what follows. Reentrant: a collected Popen is waited for wherever that happens.
changed = threading.Condition()
children: dict[int, int | None] = {}  # by pid: the status, once it has ended; until waited for
_watchers: dict[int, Callable[[int], object]] = {}
_orphaned = False  # libuv waits for nobody any more


def watch(pid: int, callback: Callable[[int], object]) -> None:
    """Calls `callback(status)` when the child has ended: on JavaScript's thread, or at once."""
    with changed:
        status = children.get(pid)
        if status is None:
            _watchers[pid] = callback
            return
    callback(status)


def forget(pid: int) -> None:
    """Nobody will wait for the child any more."""
    with changed:
        children.pop(pid, None)


def kill(pid: int) -> None:
    """Kills the child unless it has ended."""
    with changed:
        running = children.get(pid, 0) is None and _coloop._peek_child(pid) is None
    if running:
        with contextlib.suppress(OSError):  # it has ended meanwhile, or is another user's
            os.kill(pid, signal.SIGKILL)


def _ended(pid: int) -> bool:
    """Whether the child has ended, also if libuv, whose thread may be blocked, has not seen it."""
    if children[pid] is None:
        children[pid] = _coloop._peek_child(pid)
    return children[pid] is not None


def _collect(which: int, options: int) -> Any:
    """The pid and status of one of `which` children; None if none has ended and nobody waits."""
    with changed:
        while True:
            if which > 0:
                ours = [which] if which in children else []
            else:
                ours = [pid for pid in list(children) if which in (-1, 0, -pid)]
            if not ours and which <= 0:
                # Not the kernel's answer: that would take the children of Node's own.
                raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD))
            for pid in ours:
                if _ended(pid):
                    status = children[pid]
                    if not options & getattr(os, "WNOWAIT", 0):
                        del children[pid]
                    return pid, status
            if _orphaned or not ours:
                return NotImplemented
            if options & os.WNOHANG:
                return None
            if _coloop.hosted_loop() is not None:
                raise RuntimeError(BLOCKED)
            changed.wait()


def wait(name: str, *args: Any, **named: Any) -> Any:
    """Stands before the functions of `posix`; NotImplemented leaves it to them."""
    if not all(isinstance(argument, int) for argument in args):
        return NotImplemented
    if name == "waitpid" and len(args) == 2:
        return _collected(_collect(*args))
    if name == "wait" and not args:
        return _collect(-1, 0)
    if name == "waitid" and len(args) == 3:
        return _wait_id(*args)
    if name in ("wait3", "wait4") and children:
        raise NotImplementedError(f"os.{name}() knows no resource usage of Node.js' children")
    return NotImplemented


def _collected(found: Any) -> Any:
    return (0, 0) if found is None else found


def _wait_id(kind: int, number: int, options: int) -> Any:
    which = {os.P_PID: number, os.P_ALL: -1, os.P_PGID: -number}.get(kind)
    if which is None or not options & os.WEXITED:
        return NotImplemented
    found = _collect(which, options)
    if found is NotImplemented or found is None:
        return found
    pid, status = found
    if os.WIFEXITED(status):
        code, value = os.CLD_EXITED, os.WEXITSTATUS(status)
    else:
        code, value = os.CLD_KILLED, os.WTERMSIG(status)
    return os.waitid_result((pid, os.getuid(), signal.SIGCHLD, value, code))


def exited(pid: int, status: int) -> None:
    """libuv has waited for a child of Node's."""
    with changed:
        if pid in children:
            children[pid] = status
        callback = _watchers.pop(pid, None)
        changed.notify_all()
    if callback is not None:
        callback(status)


def orphan() -> None:
    """The process exits: what its threads still wait for, the kernel tells them."""
    global _orphaned
    with changed:
        _orphaned = True
        changed.notify_all()
