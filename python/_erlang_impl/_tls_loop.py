"""The part of the loop that makes TLS transports; a Python may be without ssl."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ._transport import StreamTransport

if TYPE_CHECKING:
    import ssl

    from ._tls import SSLTransport


def _transport_class(refusal: str) -> type[SSLTransport]:
    try:
        from ._tls import SSLTransport
    except ImportError:
        raise RuntimeError(refusal) from None
    return SSLTransport


class TlsLoop:
    """Mixed into ErlangEventLoop: what `ssl=` and `start_tls()` make."""

    def _make_ssl_transport(
        self: Any,
        rawsock: socket.socket,
        protocol: Any,
        sslcontext: ssl.SSLContext | None,
        waiter: asyncio.Future[None] | None = None,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        extra: dict[str, Any] | None = None,
        server: Any = None,
        **timeouts: Any,
    ) -> SSLTransport:
        self._ensure_new_transport(rawsock)
        make = _transport_class("stdlib ssl module not available")
        tls = make(self, protocol, sslcontext, waiter, server_side, server_hostname, **timeouts)
        StreamTransport(self, rawsock, tls, extra=extra, server=server)
        return tls

    def _tls_protocol_factory(
        self: Any,
        protocol_factory: Callable[[], Any],
        sslcontext: ssl.SSLContext,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> Callable[[], SSLTransport]:
        """What a server's accepted connections get as their protocol."""
        make = _transport_class("stdlib ssl module not available")

        def make_protocol() -> SSLTransport:
            return make(
                self,
                protocol_factory(),
                sslcontext,
                server_side=True,
                ssl_handshake_timeout=ssl_handshake_timeout,
                ssl_shutdown_timeout=ssl_shutdown_timeout,
                on_failure=self._connect_failed,
            )

        return make_protocol

    async def start_tls(
        self: Any,
        transport: Any,
        protocol: Any,
        sslcontext: ssl.SSLContext,
        *,
        server_side: bool = False,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
    ) -> SSLTransport | None:
        """The transport that the protocol shall use from then on.

        As asyncio's, None if the connection was closed here before the handshake ended.
        """
        make = _transport_class("Python ssl module is not available")
        import ssl

        if not isinstance(sslcontext, ssl.SSLContext):
            raise TypeError(
                f"sslcontext is expected to be an instance of ssl.SSLContext, got {sslcontext!r}"
            )
        if not getattr(transport, "_start_tls_compatible", False):
            raise TypeError(f"transport {transport!r} is not supported by start_tls()")
        waiter = self.create_future()
        tls = make(
            self,
            protocol,
            sslcontext,
            waiter,
            server_side,
            server_hostname,
            call_connection_made=False,
            ssl_handshake_timeout=ssl_handshake_timeout,
            ssl_shutdown_timeout=ssl_shutdown_timeout,
        )
        # Nothing is read before connection_made() was called.
        transport.pause_reading()
        transport.set_protocol(tls)
        steps = (
            self.call_soon(tls.connection_made, transport),
            self.call_soon(transport.resume_reading),
        )
        try:
            await waiter
        except BaseException:
            transport.close()
            for step in steps:
                step.cancel()
            raise
        return None if tls._protocol is None else tls
