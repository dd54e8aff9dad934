"""The cold half of the native transports: what asyncio's own do once for each connection."""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import warnings
from asyncio import constants, trsock
from collections.abc import Callable
from typing import Any

import _coloop

_logger = logging.getLogger("asyncio")
_private: Any = constants

# How long a datagram waits to be tried again whose receiver, a UNIX socket, is full.
_RETRY_SECONDS = 0.001


class _Native:
    """What asyncio's transports say and do about themselves, over native fields."""

    __slots__ = ()

    def __repr__(self: Any) -> str:
        info = [type(self).__name__]
        if self._lost:
            info.append("closed")
        elif self._closing:
            info.append("closing")
        info.append(f"fd={self._sock_fd}")
        loop = self._loop
        if loop is not None and not loop.is_closed():
            info.append(f"read={'polling' if self.is_reading() else 'idle'}")
            state = "polling" if self._writing else "idle"
            info.append(f"write=<{state}, bufsize={self.get_write_buffer_size()}>")
        return f"<{' '.join(info)}>"

    def _wake_waiter(self: Any, waiter: asyncio.Future[None]) -> None:
        if not waiter.cancelled():
            waiter.set_result(None)

    def _fatal_error(
        self: Any, exception: BaseException, message: str = "Fatal error on transport"
    ) -> None:
        loop = self._loop
        if loop is None:
            return
        if isinstance(exception, OSError):
            if loop.get_debug():
                _logger.debug("%r: %s", self, message, exc_info=exception)
        else:
            self._flow_control_failed(message, exception)
        self._force_close(exception)

    def _flow_control_failed(self: Any, message: str, exception: BaseException) -> None:
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": exception,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def _log(self: Any, text: str) -> None:
        _logger.debug(text, self)

    def _warn_lost_write(self: Any) -> None:
        _logger.warning("socket.send() raised exception.")


class StreamTransport(_Native, _coloop.Stream):
    """A TCP or UNIX stream connection on the loop's own epoll.

    asyncio's socket transport in behaviour and texts. Reading, writing and flow control are
    native; a socket object is made for an accepted connection only when somebody asks for it.
    """

    _start_tls_compatible = True
    _sendfile_compatible = _private._SendfileMode.TRY_NATIVE
    max_size = 256 * 1024

    @property
    def _sock(self) -> socket.socket | None:
        if self._socket is None and self._sock_fd >= 0:
            sock = socket.socket(fileno=self._sock_fd)
            sock.setblocking(False)
            self._socket = sock
        return self._socket

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """asyncio's, with `socket` (a TransportSocket), `sockname` and `peername`."""
        extra = self._extra
        if name not in extra:
            if name == "sockname":
                extra[name] = self._sockname
            elif name == "peername":
                extra[name] = self._peername
            elif name == "socket":
                sock = self._sock
                if sock is None:
                    return default
                extra[name] = trsock.TransportSocket(sock)
        return extra.get(name, default)

    def _make_empty_waiter(self) -> asyncio.Future[None]:
        if self._empty_waiter is not None:
            raise RuntimeError("Empty waiter is already set")
        waiter = self._loop.create_future()
        idle = self.get_write_buffer_size() == 0
        self._empty_waiter = waiter
        if idle:
            waiter.set_result(None)
        return waiter

    def _reset_empty_waiter(self) -> None:
        self._empty_waiter = None

    def _fail_empty_waiter(self) -> None:
        waiter = self._empty_waiter
        if waiter is None:
            return
        if not waiter.done():
            waiter.set_exception(ConnectionError("Connection is closed by peer"))
        else:
            loop: Any = waiter.get_loop()
            loop._take_back(self)

    def _detach_server(self, server: Any) -> None:
        if sys.version_info >= (3, 13):
            server._detach(self)
        else:
            server._detach()

    def _dropped(self) -> None:
        """The last reference went while it was open."""
        warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
        if self._socket is not None:
            self._socket.close()
        if self._server is not None and sys.version_info >= (3, 13):
            self._server._detach(self)


class DatagramTransport(_Native, _coloop.Datagram):
    """A UDP or UNIX datagram socket on the loop's own epoll.

    asyncio's datagram transport in behaviour and texts. Receiving, sending and flow control are
    native.
    """

    max_size = 256 * 1024

    def __init__(
        self,
        loop: Any,
        sock: socket.socket,
        protocol: Any,
        address: Any = None,
        waiter: asyncio.Future[None] | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        info: dict[str, Any] = {} if extra is None else extra
        info["socket"] = trsock.TransportSocket(sock)
        info["sockname"] = _name_or_none(sock.getsockname)
        if "peername" not in info:
            info["peername"] = _name_or_none(sock.getpeername)
        super().__init__(loop, sock, protocol, address, waiter, info)

    def _send_later(self) -> None:
        """The receiver has no room, and the kernel does not say when it has."""
        self._loop.call_later(_RETRY_SECONDS, self._send_ready)

    def _dropped(self) -> None:
        """The last reference went while it was open."""
        warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
        if self._sock is not None:
            self._sock.close()


def _name_or_none(name: Callable[[], Any]) -> Any:
    try:
        return name()
    except OSError:
        return None
