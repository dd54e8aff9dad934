"""The cold half of the native pipe transports: asyncio's `_UnixReadPipeTransport` and
`_UnixWritePipeTransport` in behaviour and texts.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import warnings
from typing import Any

import _coloop

_logger = logging.getLogger("asyncio")


class _PipeTransport:
    __slots__ = ()

    # What the native half of both has.
    _loop: Any
    _protocol: Any
    _socket: Any
    _sock_fd: int
    _closing: bool
    _lost: bool
    _writing: bool
    _force_close: Any

    #: Errors that are told in debug mode only; None: all of the operating system's.
    _silent: int | None = None

    @property
    def _pipe(self) -> Any:
        return self._socket

    @_pipe.setter
    def _pipe(self, pipe: Any) -> None:
        self._socket = pipe

    @property
    def _fileno(self) -> int:
        return self._sock_fd

    def _state(self) -> list[str]:
        info = [type(self).__name__]
        if self._lost:
            info.append("closed")
        elif self._closing:
            info.append("closing")
        info.append(f"fd={self._sock_fd}")
        if self._lost:
            info.append("closed")
        elif self._loop.is_closed():
            info.append("open")
        return info

    def _served(self) -> bool:
        return not self._lost and not self._loop.is_closed()

    def _wake_waiter(self, waiter: asyncio.Future[None]) -> None:
        if not waiter.cancelled():
            waiter.set_result(None)

    def _fatal_error(
        self, exception: BaseException, message: str = "Fatal error on pipe transport"
    ) -> None:
        loop = self._loop
        if loop is None:
            return
        if isinstance(exception, OSError) and self._silent in (None, exception.errno):
            if loop.get_debug():
                _logger.debug("%r: %s", self, message, exc_info=exception)
        else:
            self._flow_control_failed(message, exception)
        self._force_close(exception)

    def _flow_control_failed(self, message: str, exception: BaseException) -> None:
        self._loop.call_exception_handler(
            {
                "message": message,
                "exception": exception,
                "transport": self,
                "protocol": self._protocol,
            }
        )

    def _log(self, text: str) -> None:
        _logger.debug(text, self)

    def _log_peer_closed(self) -> None:
        _logger.info("%r was closed by peer", self)

    def _dropped(self) -> None:
        """The last reference went while it was open."""
        if self._socket is None:
            return  # somebody else's by now
        warnings.warn(f"unclosed transport {self!r}", ResourceWarning, stacklevel=2, source=self)
        self._socket.close()


class ReadPipeTransport(_PipeTransport, _coloop.ReadPipe):
    """The reading end of a pipe, or a socket or character device that is read as one."""

    max_size = 256 * 1024
    _silent = errno.EIO  # what a terminal says when the other side is closed

    def __repr__(self) -> str:
        info = self._state()
        if self._served():
            info.append("polling" if self.is_reading() else "idle")
        return f"<{' '.join(info)}>"


class WritePipeTransport(_PipeTransport, _coloop.WritePipe):
    """The writing end of a pipe, or a socket or character device that is written to as one."""

    def __repr__(self) -> str:
        info = self._state()
        if self._served():
            info.append("polling" if self._writing else "idle")
            info.append(f"bufsize={self.get_write_buffer_size()}")
        return f"<{' '.join(info)}>"

    def _warn_lost_write(self) -> None:
        _logger.warning("pipe closed by peer or os.write(pipe, data) raised exception.")
