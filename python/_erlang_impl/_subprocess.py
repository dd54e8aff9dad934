"""asyncio's subprocesses on our loops: Node.js starts the children, the pipes are the loop's."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import subprocess
from asyncio import base_events, base_subprocess
from os import waitstatus_to_exitcode
from typing import Any

import _coloop

from . import _child_wait, _children

_NO_SUBPROCESS = (
    "subprocesses are not started in the Node.js process: start Python with "
    "sandbox: { subprocess } to have Node.js start them, or use node:child_process through a "
    "registered function"
)


@functools.lru_cache(maxsize=8)
def _deferred(popen: type) -> Any:
    return type("Popen", (_children.Deferred, popen), {})


def _popen() -> Any:
    """`subprocess.Popen`, in two steps. Whoever has put something in its place gets that called."""
    popen: Any = subprocess.Popen
    return _deferred(popen) if isinstance(popen, type) else popen


class SubprocessTransport(base_subprocess.BaseSubprocessTransport):
    """asyncio's transport over a Popen that was started before."""

    def __init__(self, loop: Any, *args: Any, **kwargs: Any) -> None:
        self._host_loop: Any = loop
        super().__init__(loop, *args, **kwargs)
        loop._child_transports.add(self)
        if loop._hosted:
            loop._ref()

    def _start(self, *_args: Any, process: Any, **_kwargs: Any) -> None:
        self._proc = process

    async def _connect_pipes(self, waiter: asyncio.Future[None] | None) -> None:
        inherited: Any = super()
        await inherited._connect_pipes(waiter)
        if self._closed:  # meanwhile, without these; a grandchild may keep their other ends open
            pipes: dict[int, Any] = self._pipes
            for protocol in pipes.values():
                if protocol is not None:
                    protocol.pipe.close()

    def _process_exited(self, returncode: int) -> None:
        loop = self._host_loop
        loop._child_transports.discard(self)
        if loop._hosted:
            loop._unref()
        super()._process_exited(returncode)


class SubprocessLoop:
    """Mixed into ErlangEventLoop: `subprocess_exec` and `subprocess_shell`."""

    async def subprocess_exec(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._check_children()
        return await base_events.BaseEventLoop.subprocess_exec(self, *args, **kwargs)

    async def subprocess_shell(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._check_children()
        return await base_events.BaseEventLoop.subprocess_shell(self, *args, **kwargs)

    def _check_children(self: Any) -> None:
        if not _children.is_routed():
            raise NotImplementedError(_NO_SUBPROCESS)
        if _coloop.hosted_loop() not in (None, self):
            raise RuntimeError(
                "this loop blocks the JavaScript thread, where Node.js starts and awaits the "
                "children: create them on the hosted loop, or run this one in a thread"
            )

    async def _make_subprocess_transport(
        self: Any,
        protocol: Any,
        args: Any,
        shell: bool,
        stdin: Any,
        stdout: Any,
        stderr: Any,
        bufsize: int,
        extra: Any = None,
        **kwargs: Any,
    ) -> SubprocessTransport:
        streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "bufsize": bufsize}
        process = _popen()(args, shell=shell, universal_newlines=False, **streams, **kwargs)
        await _start(self, process)
        waiter = self.create_future()
        transport = SubprocessTransport(
            self, protocol, args, shell, **streams, waiter=waiter, extra=extra, process=process
        )
        _child_wait.watch(process.pid, functools.partial(_tell, self, transport))
        try:
            await waiter
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException:
            transport.close()
            await transport._wait()
            raise
        return transport

    async def _close_children(self: Any, timeout: float) -> None:
        """Closes the transports, which kills the children, and waits for their end."""
        transports = list(self._child_transports)
        for transport in transports:
            transport.close()
        if transports:
            ends = [asyncio.ensure_future(transport._wait()) for transport in transports]
            await asyncio.wait(ends, timeout=timeout)


async def _start(loop: Any, process: Any) -> None:
    try:
        start: _children.Start = process.prepare()
    except BaseException:
        process.discard()
        raise
    settled = loop.create_future()
    if _children.decides_elsewhere(loop):
        loop._keep_host_until(settled)
    try:
        start.ask(lambda: _set_from_elsewhere(loop, settled))
        await settled
        process.finish(start)
    except BaseException:
        start.abandon()
        process.discard()
        raise


def _set_from_elsewhere(loop: asyncio.AbstractEventLoop, future: asyncio.Future[None]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(_set, future)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _tell(loop: Any, transport: SubprocessTransport, status: int) -> None:
    """On JavaScript's thread: the child has ended."""
    with contextlib.suppress(RuntimeError):  # the loop is closed
        loop.call_soon_threadsafe(_end, transport, status)


def _end(transport: SubprocessTransport, status: int) -> None:
    pid = transport.get_pid()
    if pid is not None:
        _child_wait.forget(pid)
    transport._process_exited(waitstatus_to_exitcode(status))
