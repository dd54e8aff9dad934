"""TLS over a transport: the handshake, the shutdown and the errors of asyncio's sslproto.

Reading and writing are native (`_coloop.Tls`), over Python's own `ssl.SSLObject` and `MemoryBIO`.
One object is the protocol of the transport below and the transport of the protocol above.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from asyncio import constants
from collections.abc import Callable
from typing import Any

import _coloop

_logger = logging.getLogger("asyncio")
_private: Any = constants  # 3.10 has not all of them

_HANDSHAKE_TIMEOUT = 60.0
_SHUTDOWN_TIMEOUT = 30.0
_READ_HIGH_WATER = 256  # KiB, as asyncio
_WRITE_HIGH_WATER = 512

# Tls::State
_UNWRAPPED, _HANDSHAKE, _WRAPPED, _FLUSHING, _SHUTDOWN = range(5)

# Which of its protocol's callbacks have been made.
_NONE, _MADE, _EOF, _LOST = range(4)

_AGAIN = (ssl.SSLWantReadError, ssl.SSLSyscallError)


def _timeout(name: str, value: float | None, default: float) -> float:
    if value is None:
        return default
    if value <= 0:
        raise ValueError(f"{name} should be a positive number, got {value}")
    return value


def _default_context(server_side: bool, server_hostname: str | None) -> ssl.SSLContext:
    if server_side:
        raise ValueError("Server side SSL needs a valid SSLContext")
    context = ssl.create_default_context()
    if not server_hostname:
        context.check_hostname = False
    return context


def _limits(high: int | None, low: int | None, default: int) -> tuple[int, int]:
    if high is None:
        high = default * 1024 if low is None else 4 * low
    if low is None:
        low = high // 4
    if not high >= low >= 0:
        raise ValueError(f"high ({high!r}) must be >= low ({low!r}) must be >= 0")
    return high, low


class SSLTransport(_coloop.Tls):
    """The transport that a protocol gets with `ssl=` and from `start_tls()`."""

    __slots__ = (
        "__dict__",
        "__weakref__",
        "_eof_received",
        "_handshake_start",
        "_handshake_timeout",
        "_info",
        "_on_failure",
        "_progress",
        "_shutdown_timeout",
        "_ssl_object",
        "_timer",
        "_waiter",
    )

    _start_tls_compatible = True
    _sendfile_compatible = _private._SendfileMode.FALLBACK

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        protocol: Any,
        sslcontext: ssl.SSLContext | None,
        waiter: asyncio.Future[None] | None = None,
        server_side: bool = False,
        server_hostname: str | None = None,
        *,
        call_connection_made: bool = True,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        on_failure: Callable[[BaseException, Any, Any], None] | None = None,
    ) -> None:
        self._handshake_timeout = _timeout(
            "ssl_handshake_timeout", ssl_handshake_timeout, _HANDSHAKE_TIMEOUT
        )
        self._shutdown_timeout = _timeout(
            "ssl_shutdown_timeout", ssl_shutdown_timeout, _SHUTDOWN_TIMEOUT
        )
        context = sslcontext or _default_context(server_side, server_hostname)
        self._loop = loop
        self._info: dict[str, Any] = {"sslcontext": context}
        self._waiter = waiter
        self._on_failure = on_failure
        self._progress = _NONE if call_connection_made else _MADE
        self._eof_received = False
        self._timer: asyncio.TimerHandle | None = None
        self._handshake_start = 0.0
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl_object: Any = context.wrap_bio(
            incoming,
            outgoing,
            server_side=server_side,
            server_hostname=(server_hostname or None) if not server_side else None,
        )
        self.set_protocol(protocol)
        self._open(self._ssl_object, incoming, outgoing)
        self._read_high_water, self._read_low_water = _limits(None, None, _READ_HIGH_WATER)
        self._high_water, self._low_water = _limits(None, None, _WRITE_HIGH_WATER)

    def __repr__(self) -> str:
        info = [type(self).__name__]
        if self._closed:
            info.append("closed" if self._progress == _LOST else "closing")
        if self._transport is not None:
            info.append(f"over {self._transport!r}")
        return f"<{' '.join(info)}>"

    # Where asyncio has a second object

    @property
    def _ssl_protocol(self) -> SSLTransport:
        return self

    @property
    def _sslcontext(self) -> ssl.SSLContext:
        context: ssl.SSLContext = self._info["sslcontext"]
        return context

    @property
    def _sslobj(self) -> ssl.SSLObject | None:
        return self._ssl_object

    # Transport

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """asyncio's: `ssl_object`, `peercert`, `cipher`, …, else the transport's below."""
        if name in self._info:
            return self._info[name]
        if self._transport is None:
            return default
        return self._transport.get_extra_info(name, default)

    def resume_reading(self) -> None:
        if self._reading_paused:
            self._reading_paused = False
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        if self._state == _WRAPPED:
            self._read()
        elif self._state == _FLUSHING:
            self._do_flush()
        elif self._state == _SHUTDOWN:
            self._do_shutdown()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_water, self._low_water = _limits(high, low, _WRITE_HIGH_WATER)
        self._control_writing()

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_water, self._high_water

    def set_read_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._read_high_water, self._read_low_water = _limits(high, low, _READ_HIGH_WATER)
        self._control_reading()

    def get_read_buffer_limits(self) -> tuple[int, int]:
        return self._read_low_water, self._read_high_water

    def can_write_eof(self) -> bool:
        """False: TLS cannot end one direction only."""
        return False

    def write_eof(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """What was written is sent, then close_notify; the peer has ssl_shutdown_timeout for its
        own."""
        if self._closed:
            self._info = {}  # as asyncio's, a second time it lets go of what it knows
            return
        self._closed = True
        if self._state == _HANDSHAKE:
            self._force_close(None)
        elif self._state == _WRAPPED:
            self._start_shutdown()
        elif self._state == _FLUSHING:  # the peer has ended; what is not read yet is not wanted
            self._do_flush()

    def abort(self) -> None:
        self._force_close(None)

    def _force_close(self, exception: BaseException | None) -> None:
        self._closed = True
        self._state = _UNWRAPPED
        self._abort_below(exception)

    def _abort_below(self, exception: BaseException | None) -> None:
        below = self._transport
        if below is None:
            return
        if exception is None or not hasattr(below, "_force_close"):
            below.abort()
        else:
            below._force_close(exception)

    # Protocol of the transport below

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._closed:  # before it began
            transport.abort()
            return
        self._debug("%r starts SSL handshake")
        self._handshake_start = self._loop.time()
        self._state = _HANDSHAKE
        self._timer = self._loop.call_later(self._handshake_timeout, self._check_handshake_timeout)
        self._do_handshake()

    def eof_received(self) -> bool:
        """True: the transport below stays, there is something left to read or to send."""
        self._eof_received = True
        self._debug("%r received EOF")
        try:
            if self._state == _HANDSHAKE:
                self._handshake_done(ConnectionResetError())
            elif self._state == _WRAPPED:
                self._state = _FLUSHING
                if not self._reading_paused:
                    self._do_flush()
            else:
                self._go_on()
        except Exception:
            self._transport.close()
            raise
        return self._state == _FLUSHING

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        self._closed = True
        handshaking = self._state == _HANDSHAKE
        self._discard()
        self._ssl_object = None
        if self._progress in (_MADE, _EOF) and not handshaking:
            self._progress = _LOST
            self._loop.call_soon(self._protocol.connection_lost, exc)
        self._protocol = None
        self._wake_waiter(exc)

    # Handshake

    def _do_handshake(self) -> None:
        try:
            self._ssl_object.do_handshake()
        except _AGAIN:
            self._send_outgoing(False)
        except Exception as exc:
            self._handshake_done(exc)
        else:
            self._handshake_done(None)

    def _handshake_done(self, exc: BaseException | None) -> None:
        self._stop_timer()
        info: dict[str, Any] = {}
        if exc is None:
            self._state = _WRAPPED
            ssl_object = self._ssl_object
            try:
                info = {
                    "peercert": ssl_object.getpeercert(),
                    "cipher": ssl_object.cipher(),
                    "compression": ssl_object.compression(),
                    "ssl_object": ssl_object,
                }
            except Exception as error:
                exc = error
        if exc is not None:
            self._handshake_failed(exc)
            return
        took = self._loop.time() - self._handshake_start
        self._debug("%r: SSL handshake took %.1f ms", took * 1e3)
        self._info.update(info)
        if self._progress == _NONE:
            self._progress = _MADE
            self._protocol.connection_made(self)
        self._wake_waiter(None)
        if self._state == _WRAPPED:
            self._read()

    def _handshake_failed(self, exc: BaseException) -> None:
        self._state = _UNWRAPPED
        self._send_outgoing(True)  # the alert that tells the peer why
        if isinstance(exc, ssl.CertificateError):
            message = "SSL handshake failed on verifying the certificate"
        else:
            message = "SSL handshake failed"
        self._fatal_error(exc, message)
        self._wake_waiter(exc)

    def _check_handshake_timeout(self) -> None:
        if self._state == _HANDSHAKE:
            message = (
                f"SSL handshake is taking longer than {self._handshake_timeout} seconds: "
                f"aborting the connection"
            )
            self._fatal_error(ConnectionAbortedError(message))

    def _wake_waiter(self, exc: BaseException | None) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.cancelled():
            if exc is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(exc)
        on_failure, self._on_failure = self._on_failure, None
        if on_failure is not None and exc is not None:
            on_failure(exc, self._protocol, self)

    # Shutdown

    def _peer_closed(self) -> None:
        """The peer's close_notify was read."""
        self._call_eof_received()
        self._start_shutdown()

    def _start_shutdown(self) -> None:
        if self._state != _WRAPPED:
            return
        self._closed = True
        self._state = _FLUSHING
        self._timer = self._loop.call_later(self._shutdown_timeout, self._check_shutdown_timeout)
        self._do_flush()

    def _check_shutdown_timeout(self) -> None:
        if self._state in (_FLUSHING, _SHUTDOWN):
            self._abort_below(asyncio.TimeoutError("SSL shutdown timed out"))

    def _do_flush(self) -> None:
        """Reads what is there and sends what waits; then close_notify."""
        self._read()
        self._push()
        if self._state == _FLUSHING and self._idle:
            self._state = _SHUTDOWN
            self._do_shutdown()

    def _do_shutdown(self) -> None:
        try:
            if not self._eof_received:
                self._ssl_object.unwrap()
        except _AGAIN:
            self._send_outgoing(False)
        except ssl.SSLError as exc:
            self._stop_timer()
            self._fatal_error(exc)
        else:
            self._send_outgoing(True)  # close() below sends it to the end
            self._call_eof_received()
            self._stop_timer()
            self._state = _UNWRAPPED
            if self._transport is not None:
                self._loop.call_soon(self._transport.close)

    def _call_eof_received(self) -> None:
        if self._progress != _MADE:
            return
        self._progress = _EOF
        try:
            if self._protocol.eof_received():
                _logger.warning("returning true from eof_received() has no effect when using ssl")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as exc:
            self._fatal_error(exc, "Error calling eof_received()")

    # Errors and the like

    def _fatal_error(self, exc: BaseException, message: str = "Fatal error on transport") -> None:
        below = self._transport
        self._abort_below(exc)
        if isinstance(exc, OSError):
            if self._loop.get_debug():
                _logger.debug("%r: %s", self, message, exc_info=exc)
        elif not isinstance(exc, asyncio.CancelledError):
            self._loop.call_exception_handler(
                {"message": message, "exception": exc, "transport": below, "protocol": self}
            )

    def _flow_control_failed(self, method: str, exc: BaseException) -> None:
        self._loop.call_exception_handler(
            {
                "message": f"protocol.{method}() failed",
                "exception": exc,
                "transport": self,
                "protocol": self,
            }
        )

    def _warn_lost_write(self) -> None:
        _logger.warning("SSL connection is closed")

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _debug(self, text: str, *args: Any) -> None:
        if self._loop.get_debug():
            _logger.debug(text, self, *args)
