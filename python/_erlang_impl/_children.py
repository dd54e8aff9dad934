"""Children of the process: Node.js starts them and waits for them, Python asks it to.

`subprocess` stays CPython's own. What it calls to start a child, `_posixsubprocess.fork_exec`,
arrives here; what it calls to wait for one, in `_child_wait.py`. src/children.ts is the other half:
it runs on the main thread's JavaScript, which is asked by `Start.ask` and answers with `spawn`,
`failed` or `refused`. Everything else may be called from any thread.
"""

from __future__ import annotations

import errno
import inspect
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NamedTuple

import _coloop

from . import _child_wait
from ._child_request import ForkExec, describe
from ._child_wait import changed, children
from ._js import thrown

_DENIED = "The sandbox's subprocess function denies it"
_NEVER_A_PID = 1 << 30  # more than any kernel gives

_popen: Any = subprocess.Popen
#: What CPython's child writes when it could not enter `cwd`.
_NEW_NO_CWD = "noexec:chdir"
_KNOWS_NEW = _NEW_NO_CWD in _popen._execute_child.__code__.co_consts
_NO_CWD = _NEW_NO_CWD.encode() if _KNOWS_NEW else b"noexec"

_starts: dict[int, Start] = {}  # what JavaScript was asked for; guarded by `changed`
_numbers = itertools.count(1)
_fake_pids = itertools.count(_NEVER_A_PID)
_ask: Any = None  # JavaScript's function
_asker: Any = None  # the hosted loop of that function's thread
_routed = False
_local = threading.local()


class _Failed(NamedTuple):
    """The child could not be started: the operating system's error."""

    number: int
    in_cwd: bool

    def text(self) -> bytes:
        """What a child of CPython's own would have written of it."""
        why = b""
        if self.in_cwd:
            why = _NO_CWD
        elif self.number in (errno.EBADF, errno.EPERM):  # of a descriptor, of setuid()
            why = b"noexec"
        return b"OSError:%x:%s" % (self.number, why)


class _Captured(BaseException):
    """Ends a call of fork_exec that only asks what it would start."""

    def __init__(self, start: Start) -> None:
        super().__init__()
        self.start = start


class Start:
    """A child that is asked for: from the request to its pid, or the reason that there is none."""

    def __init__(self, arguments: ForkExec, frame: FrameType) -> None:
        self.request = describe(arguments, frame)
        self._streams = [
            fd if fd >= 0 else "inherit"
            for fd in (arguments.p2cread, arguments.c2pwrite, arguments.errwrite)
        ]
        self._kept = tuple(self.request["passFds"])
        self._close_fds = bool(arguments.close_fds)
        self._spawning = False
        self._abandoned = False
        self._outcome: int | _Failed | BaseException | None = None
        self._notify: Callable[[], object] = _nothing
        self._number = next(_numbers)

    def ask(self, notify: Callable[[], object]) -> None:
        """Asks JavaScript, which must not be blocked by this thread; `notify` is called on its."""
        ask = _ask
        if ask is None:
            raise _refusal("")
        self._notify = notify
        with changed:
            _starts[self._number] = self
        ask(self._number, self.request, self._streams)

    def spawn(self, spawn: Callable[[], int]) -> int:
        """The child's pid; 0 if it could not be started, which is told later."""
        with changed:
            if self._abandoned:
                return 0
            shielded = _coloop._shield_descriptors(self._kept, self._close_fds)
            self._spawning = True
        try:
            return spawn()
        finally:
            with changed:
                self._spawning = False
                _coloop._unshield_descriptors(shielded)
                changed.notify_all()

    def settle(self, outcome: int | _Failed | BaseException) -> None:
        with changed:
            if isinstance(outcome, int):
                children[outcome] = None
            self._outcome = outcome
            abandoned = self._abandoned
        if abandoned:
            self._kill()
        self._notify()

    def abandon(self) -> None:
        """Nobody wants the child any more, and its descriptors are about to be closed."""
        with changed:
            self._abandoned = True
            _starts.pop(self._number, None)
            while self._spawning:  # on another thread: JavaScript's own does nothing else meanwhile
                changed.wait()
        self._kill()

    def _kill(self) -> None:
        pid, self._outcome = self._outcome, None
        if isinstance(pid, int):
            _child_wait.watch(pid, lambda _status: _child_wait.forget(pid))
            _child_wait.kill(pid)

    def finish(self, errpipe_write: int) -> int:
        """What fork_exec does with the outcome."""
        outcome = self._outcome
        if isinstance(outcome, int):
            return outcome
        if isinstance(outcome, _Failed):
            os.write(errpipe_write, outcome.text())
            pid = next(_fake_pids)
            children[pid] = 255 << 8
            return pid
        raise outcome or _refusal("")


def _nothing() -> None:
    pass


def _refusal(why: str, cause: BaseException | None = None) -> BaseException:
    """The exception of the sandbox; without a reason, with the text it has by default."""
    text = why.encode("utf-8", "backslashreplace").replace(b"\0", rb"\x00").decode()
    try:
        _coloop._refuse_child(text)
    except RuntimeError as refusal:
        refusal.__cause__ = cause
        return refusal
    raise AssertionError("a refusal was not raised")


# What subprocess and multiprocessing call


def _fork_exec(*given: Any) -> int:
    """Stands for `_posixsubprocess.fork_exec`."""
    arguments = ForkExec.read(given)
    finished: Start | None = getattr(_local, "finished", None)
    if finished is not None:
        return finished.finish(arguments.errpipe_write)
    frame = sys._getframe(1)
    if str(frame.f_globals.get("__name__")).startswith("multiprocessing."):
        raise _refusal("")
    unsupported = arguments.unsupported()
    if unsupported is not None:
        raise ValueError(f"{unsupported} is not supported for a child that Node.js runs")
    if getattr(_local, "capturing", False):
        raise _Captured(Start(arguments, frame))
    if _coloop.hosted_loop() is not None:
        raise _refusal(_child_wait.BLOCKED)
    start = Start(arguments, frame)
    settled = threading.Event()
    try:
        start.ask(settled.set)
        settled.wait()
    except BaseException:
        start.abandon()
        raise
    return start.finish(arguments.errpipe_write)


class Deferred:
    """Mixed into Popen: a child that is started in two steps, so that a loop can go on between."""

    _arguments: tuple[Any, ...]

    def _execute_child(self, *arguments: Any) -> None:
        self._arguments = arguments

    def prepare(self) -> Start:
        """What is to be started; nothing has been asked yet."""
        inherited: Any = super()
        _local.capturing = True
        try:
            inherited._execute_child(*self._arguments)
        except _Captured as captured:
            return captured.start
        finally:
            _local.capturing = False
        raise AssertionError("Popen started no child")

    def finish(self, start: Start) -> None:
        """Goes on as Popen does when the child was started, or could not be."""
        inherited: Any = super()
        _local.finished = start
        try:
            inherited._execute_child(*self._arguments)
        finally:
            _local.finished = None

    def discard(self) -> None:
        """Closes what Popen has opened, when there is no child."""
        popen: Any = self
        for file in (popen.stdin, popen.stdout, popen.stderr):
            if file is not None:
                file.close()
        if not popen._closed_child_pipe_fds:
            bound = inspect.signature(_popen._execute_child).bind(self, *self._arguments)
            names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            popen._close_pipe_fds(*(bound.arguments[name] for name in names))


# What JavaScript calls, by src/library.ts


def connect(ask: Any) -> None:
    """Children are asked of this function of JavaScript's from now on."""
    global _ask, _asker, _routed
    private: Any = subprocess
    private._USE_POSIX_SPAWN = False  # documented: posix_spawn is refused, fork_exec is ours
    _ask, _asker, _routed = ask, _coloop.hosted_loop(), True


def disconnect(why: str) -> None:
    """There is nobody to ask any more."""
    global _ask
    _ask = None
    with changed:
        waiting = list(_starts.values())
        _starts.clear()
    for start in waiting:
        start.settle(RuntimeError(f"the child was not started: {why}"))


def decides_elsewhere(loop: Any) -> bool:
    """Whether the loop is a Worker's: nothing else there waits for the decision."""
    return loop._hosted and loop is not _asker


def is_routed() -> bool:
    """Whether children are Node's, in this process."""
    return _routed


def spawn(number: int, function: Any) -> None:
    """JavaScript's function starts the child, if that is still wanted.

    It is called from here and not after a return to JavaScript, at which the loop's callbacks would
    run: they might close the descriptors.
    """
    start = _starts.get(number)
    pid = 0 if start is None else start.spawn(function)
    if start is not None and pid != 0:
        _starts.pop(number, None)
        start.settle(pid)


def failed(number: int, code: int, in_cwd: bool) -> None:
    start = _starts.pop(number, None)
    if start is not None:
        start.settle(_Failed(code, in_cwd))


def refused(number: int, reason: str, error: Any) -> None:
    cause = None if error is None else thrown(error)
    refusal = _refusal(f"{_DENIED}{': ' if reason else '.'}{reason}", cause)
    start = _starts.pop(number, None)
    if start is not None:
        start.settle(refusal)


def _orphan() -> None:
    """The process exits."""
    disconnect("the process is exiting")
    _child_wait.orphan()


_coloop._route_children(_fork_exec, _child_wait.wait, _child_wait.exited, _orphan)
