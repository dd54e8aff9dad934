"""ErlangEventLoop: asyncio's loop over the native half `_coloop.Loop`.

The ready queue, timers, watches and how the loop is driven are native. The rest is inherited
from asyncio's UNIX selector loop, whose selector and self-pipe are never made: its transports and
`sock_*` methods stand on the native watches.
"""

from __future__ import annotations

import asyncio
import errno
import inspect
import selectors
import socket
import sys
import threading
import warnings
import weakref
from asyncio import base_events, constants, format_helpers, trsock
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

import _coloop

from ._metrics import Metrics
from ._pipe import ReadPipeTransport, WritePipeTransport
from ._sockets import SocketLoop
from ._subprocess import SubprocessLoop
from ._tls_loop import TlsLoop
from ._transport import DatagramTransport, StreamTransport

_T = TypeVar("_T")

# asyncio's private parts, which its stubs do not have.
_private: Any = base_events
_helpers: Any = format_helpers

_OUT_OF_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

_DRIVEN_BY_NODE = (
    "this loop is driven by Node.js: it runs whenever JavaScript does. Await the coroutine in an "
    "async function that JavaScript calls, or run it with coloop.run() on a loop of its own"
)
_DATAGRAM_FAMILIES = (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX)

_NO_SIGNALS = (
    "signals are handled by Node.js: use py.onSignal() in JavaScript, which calls a JavaScript or "
    'Python function, or start Python with signals: "host" and use signal.signal()'
)


def _descriptor(fd: Any) -> int:
    """The number of a descriptor, or of an object with `fileno()`; ValueError as `selectors`."""
    if isinstance(fd, int):
        number = fd
    else:
        try:
            number = int(fd.fileno())
        except (AttributeError, TypeError, ValueError):
            raise ValueError(f"Invalid file object: {fd!r}") from None
    if number < 0:
        raise ValueError(f"Invalid file descriptor: {number}")
    return number


def _runs_task(handle: Any) -> bool:
    """Whether the handle is a Task's step, whose exceptions are the Task's."""
    callback = getattr(handle, "_callback", None)
    return isinstance(getattr(callback, "__self__", None), asyncio.Task)


class _Selector:
    """What the `repr()` of asyncio's transports asks of a selector."""

    __slots__ = ("_loop",)

    def __init__(self, loop: ErlangEventLoop) -> None:
        self._loop = weakref.ref(loop)

    def get_key(self, fileobj: Any) -> selectors.SelectorKey:
        fd = _descriptor(fileobj)
        loop = self._loop()
        if loop is None or loop.is_closed():
            raise KeyError(fd)
        read = selectors.EVENT_READ if loop._watched(fd, False) else 0
        write = selectors.EVENT_WRITE if loop._watched(fd, True) else 0
        if not read | write:
            raise KeyError(fd)
        return selectors.SelectorKey(fileobj, fd, read | write, None)


class ErlangEventLoop(TlsLoop, SubprocessLoop, SocketLoop):
    """asyncio's event loop on libuv.

    Hosted, it is attached to the loop that Node.js runs and needs no `run_*`; owned, it has a
    private loop and is run by the thread that calls `run_forever` or `run_until_complete`.
    """

    _asyncgen_firstiter_hook: Callable[..., Any]
    _asyncgen_finalizer_hook: Callable[..., Any]
    _set_coroutine_origin_tracking: Callable[[bool], None]

    def __init__(self) -> None:
        # Not SelectorEventLoop's own: it would make a selector and a self-pipe.
        base_events.BaseEventLoop.__init__(self)
        self._transports: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        # Their descriptor is used by sendfile(): which it is, and what tells that it has ended.
        self._lent: dict[StreamTransport, tuple[int, asyncio.Future[int]]] = {}
        self._listening: dict[int, tuple[Callable[[], Any], socket.socket, Any, int]] = {}
        self._watched_files: dict[int, Any] = {}  # what add_reader() and add_writer() were given
        self._child_transports: set[Any] = set()
        self._unix_server_sockets: dict[Any, int] = {}
        self._signal_handlers: dict[int, Any] = {}
        self._selector = _Selector(self)
        self._open()

    def __repr__(self) -> str:
        kind = "hosted" if self._hosted else "owned"
        return (
            f"<{type(self).__name__} {kind} running={self.is_running()} "
            f"closed={self.is_closed()} debug={self.get_debug()}>"
        )

    def __del__(self, _warn: Any = warnings.warn) -> None:
        if not self.is_closed() and not self._hosted:
            _warn(f"unclosed event loop {self!r}", ResourceWarning, source=self)
            if not self.is_running():
                self.close()

    # Driving

    def run_forever(self) -> None:
        if self._hosted:
            raise RuntimeError(_DRIVEN_BY_NODE)
        super().run_forever()

    def run_until_complete(self, future: Generator[Any, None, _T] | Awaitable[_T]) -> _T:
        if self._hosted:
            if asyncio.iscoroutine(future):
                future.close()
            raise RuntimeError(_DRIVEN_BY_NODE)
        return super().run_until_complete(future)

    def stop(self) -> None:
        if self._hosted:
            raise RuntimeError(_DRIVEN_BY_NODE)
        super().stop()

    def close(self) -> None:
        if self._hosted:
            raise RuntimeError("the hosted loop is closed by py.close() in JavaScript")
        if self.is_running():
            raise RuntimeError("Cannot close a running event loop")
        if self.is_closed():
            return
        base_events.BaseEventLoop.close(self)
        self._selector = None
        self._watched_files.clear()
        self._close_native()

    def _begin_hosted(self) -> None:
        self._thread_id = threading.get_ident()
        self._set_coroutine_origin_tracking(self._debug)
        sys.set_asyncgen_hooks(
            firstiter=self._asyncgen_firstiter_hook, finalizer=self._asyncgen_finalizer_hook
        )

    def _end_hosted(self) -> None:
        """What the native close needs before it: Python's own parts of a hosted loop end."""
        for transport in list(self._child_transports):
            transport.close()
        for task in asyncio.all_tasks(self):
            # Nothing will run it any more, and nobody can be told of that.
            silenced: Any = task
            silenced._log_destroy_pending = False
            coroutine = task.get_coro()
            if (
                inspect.iscoroutine(coroutine)
                and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED
            ):
                coroutine.close()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=None)
        self._set_coroutine_origin_tracking(False)
        self._executor_shutdown_called = True
        executor, self._default_executor = self._default_executor, None
        if executor is not None:
            executor.shutdown(wait=False)

    # Running callbacks

    def _report_failure(self, handle: Any, exception: BaseException) -> None:
        """What Handle._run does with an exception of its callback."""
        if isinstance(exception, (SystemExit, KeyboardInterrupt)):
            if not self._hosted:
                raise exception
            if _runs_task(handle):
                return  # it is the Task's outcome as well, of which its promise tells
        if not isinstance(handle, asyncio.Handle):
            message = f"Exception in callback of {handle!r}"
            self.call_exception_handler({"message": message, "exception": exception})
            return
        callback = _helpers._format_callback_source(handle._callback, handle._args)
        context = {
            "message": f"Exception in callback {callback}",
            "exception": exception,
            "handle": handle,
        }
        if handle._source_traceback:
            context["source_traceback"] = handle._source_traceback
        self.call_exception_handler(context)

    def _run_timed(self, handle: asyncio.Handle) -> None:
        """Debug mode: runs a handle and warns when it was slow."""
        try:
            self._current_handle = handle
            start = self.time()
            handle._run()
            duration = self.time() - start
            if duration >= self.slow_callback_duration:
                _private.logger.warning(
                    "Executing %s took %.3f seconds", _private._format_handle(handle), duration
                )
        finally:
            self._current_handle = None
            del handle  # the frames of a traceback keep this one: a Task would be in a cycle

    def _warn_if_slow(self, channel: Any, duration: float) -> None:
        """Debug mode: the callbacks of a transport took so many seconds."""
        if duration >= self.slow_callback_duration:
            _private.logger.warning("Executing %r took %.3f seconds", channel, duration)

    def _checkpoint(self) -> None:
        """Python code, so that an exception that was set for this thread is raised here."""

    def metrics(self) -> Metrics:
        """What the loop does and holds right now, for whoever asks why it is slow.

        Seconds, and counts since the loop was made; `gil_wait` is the calling thread's,
        `live_objects` the process's. It costs nothing until it is called.
        """
        self._check_closed()
        metrics: Any = self._metrics()
        metrics["tasks"] = len(asyncio.all_tasks(self))
        return metrics

    # Watches

    def _add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        return self._set_watch(fd, False, callback, args)

    def _add_writer(self, fd: Any, callback: Callable[..., Any], *args: Any) -> asyncio.Handle:
        return self._set_watch(fd, True, callback, args)

    def _set_watch(
        self, fd: Any, writer: bool, callback: Callable[..., Any], args: tuple[Any, ...]
    ) -> asyncio.Handle:
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, None)
        number = _descriptor(fd)
        previous = self._watch(number, writer, handle)
        if not isinstance(fd, int):
            self._watched_files[number] = fd
        if previous is not None:
            previous.cancel()
        return handle

    def _remove_reader(self, fd: Any) -> bool:
        return self._remove_watch(fd, False)

    def _remove_writer(self, fd: Any) -> bool:
        return self._remove_watch(fd, True)

    def _remove_watch(self, fd: Any, writer: bool) -> bool:
        if self.is_closed():
            return False
        number = self._watched_number(fd)
        handle = self._unwatch(number, writer)
        if not self._watched(number, not writer):
            self._watched_files.pop(number, None)
        if handle is None:
            return False
        handle.cancel()
        return True

    def _watched_number(self, fd: Any) -> int:
        """Like `selectors`, finds a file that was closed while it was watched."""
        try:
            return _descriptor(fd)
        except ValueError:
            for number, file in self._watched_files.items():
                if file is fd:
                    return number
            raise

    # Transports

    def _make_socket_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        waiter: asyncio.Future[None] | None = None,
        *,
        extra: dict[str, Any] | None = None,
        server: Any = None,
    ) -> StreamTransport:
        self._ensure_new_transport(sock)
        return StreamTransport(self, sock, protocol, waiter, extra, server)

    def _make_read_pipe_transport(
        self,
        pipe: Any,
        protocol: Any,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> ReadPipeTransport:
        return ReadPipeTransport(self, pipe, protocol, waiter, extra)

    def _make_write_pipe_transport(
        self,
        pipe: Any,
        protocol: Any,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> WritePipeTransport:
        return WritePipeTransport(self, pipe, protocol, waiter, extra)

    def _make_datagram_transport(
        self,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> Any:
        if type(sock) is not socket.socket or sock.family not in _DATAGRAM_FAMILIES:
            inherited: Any = super()
            return inherited._make_datagram_transport(sock, protocol, address, waiter, extra)
        self._ensure_fd_no_transport(sock)
        return DatagramTransport(self, sock, protocol, address, waiter, extra)

    def _ensure_new_transport(self, sock: socket.socket) -> None:
        if sys.version_info >= (3, 12):  # before, asyncio's second transport takes the socket over
            self._ensure_fd_no_transport(sock)

    def _ensure_fd_no_transport(self, fd: Any) -> None:
        try:
            transport = self._channel(_descriptor(fd))
        except ValueError:
            self._watched_number(fd)  # raises, unless it was closed while it was watched
            return
        if not isinstance(transport, (StreamTransport, DatagramTransport)):
            inherited: Any = super()
            inherited._ensure_fd_no_transport(fd)  # asyncio's own
        elif transport not in self._lent and not transport.is_closing():
            raise RuntimeError(f"File descriptor {fd!r} is used by transport {transport!r}")

    async def _sendfile_native(
        self, transport: StreamTransport, file: Any, offset: int, count: int | None
    ) -> int:
        resume_reading = transport.is_reading()
        transport.pause_reading()
        await transport._make_empty_waiter()
        self._lent[transport] = (transport._sock_fd, self.create_future())
        try:
            sock: Any = transport._sock
            return await self.sock_sendfile(sock, file, offset, count, fallback=False)
        finally:
            self._lent.pop(transport, None)
            transport._reset_empty_waiter()
            if resume_reading:
                transport.resume_reading()

    # Work in flight

    def _keep_host_until(self, future: asyncio.Future[Any]) -> None:
        self._ref()
        future.add_done_callback(self._release_host)

    def _release_host(self, _future: asyncio.Future[Any]) -> None:
        if not self.is_closed():
            self._unref()

    # Servers

    def _start_serving(
        self,
        protocol_factory: Callable[[], Any],
        sock: socket.socket,
        sslcontext: Any = None,
        server: Any = None,
        backlog: int = 100,
        *timeouts: Any,
    ) -> None:
        if sslcontext:
            protocol_factory = self._tls_protocol_factory(protocol_factory, sslcontext, *timeouts)
        self._check_closed()
        descriptor = _descriptor(sock)
        _coloop.Acceptor(self, descriptor, protocol_factory, StreamTransport, server, backlog)
        self._listening[descriptor] = (protocol_factory, sock, server, backlog)

    def _stop_serving(self, sock: socket.socket) -> None:
        self._stop_accepting(sock.fileno())
        inherited: Any = super()
        inherited._stop_serving(sock)

    def _stop_accepting(self, descriptor: int) -> None:
        self._listening.pop(descriptor, None)
        acceptor = self._channel(descriptor)
        if isinstance(acceptor, _coloop.Acceptor):
            acceptor.stop()

    def _accept_failed(self, acceptor: _coloop.Acceptor, exception: OSError) -> None:
        """What _accept_connection does with an error of accept()."""
        protocol_factory, sock, server, backlog = self._listening[acceptor.fd]
        if exception.errno not in _OUT_OF_RESOURCES:
            raise exception
        self.call_exception_handler(
            {
                "message": "socket.accept() out of system resource",
                "exception": exception,
                "socket": trsock.TransportSocket(sock),
            }
        )
        self._stop_accepting(sock.fileno())
        self.call_later(
            constants.ACCEPT_RETRY_DELAY, self._serve_again, protocol_factory, sock, server, backlog
        )

    def _serve_again(
        self, protocol_factory: Callable[[], Any], sock: socket.socket, server: Any, backlog: int
    ) -> None:
        if sock.fileno() >= 0:
            self._start_serving(protocol_factory, sock, None, server, backlog)

    def _connect_failed(
        self, exception: BaseException, protocol: Any, transport: Any = None
    ) -> None:
        """An accepted connection got no transport, or no protocol, or no TLS."""
        if not self._debug:
            return
        context = {
            "message": "Error on transport creation for incoming connection",
            "exception": exception,
        }
        if protocol is not None:
            context["protocol"] = protocol
        if transport is not None:
            context["transport"] = transport
        self.call_exception_handler(context)

    def _log_accepted(self, server: Any, transport: StreamTransport) -> None:
        peer = transport.get_extra_info("peername")
        _private.logger.debug("%r got a new connection from %r: %r", server, peer, transport._sock)

    # Work that libuv does not see keeps a hosted loop alive

    def run_in_executor(
        self, executor: Any, func: Callable[..., _T], *args: Any
    ) -> asyncio.Future[_T]:
        future = super().run_in_executor(executor, func, *args)
        if self._hosted:
            self._keep_host_until(future)
        return future

    # What belongs to the host

    def add_signal_handler(self, sig: int, callback: Callable[..., Any], *args: Any) -> None:
        raise NotImplementedError(_NO_SIGNALS)

    def remove_signal_handler(self, sig: int) -> bool:
        raise NotImplementedError(_NO_SIGNALS)


def new_hosted() -> ErlangEventLoop:
    """The loop of a JavaScript thread; the bridge calls it with its host set."""
    loop = ErlangEventLoop()
    loop._begin_hosted()
    return loop
