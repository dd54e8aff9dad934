"""Names and sockets: `getaddrinfo`, `getnameinfo` and `sock_*` of the loop, over the native half.

In debug mode, and for subclasses of `socket.socket`, they are asyncio's own, with its checks.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import _coloop

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def _has_zone(host: Any) -> bool:
    """A numeric address with a zone: for it getaddrinfo() asks the kernel, and no server."""
    if not isinstance(host, str) or "%" not in host:
        return False
    try:
        socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    except (OSError, ValueError):
        return False
    return True


class SocketLoop(_coloop.Loop, asyncio.SelectorEventLoop):
    """asyncio's loop with the native half before it."""

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,  # noqa: A002 - asyncio's name
        proto: int = 0,
        flags: int = 0,
    ) -> Any:
        """asyncio's; of a numeric host and port the answer is known, nobody has to be asked."""
        if not self._debug:
            known = _coloop.resolve_literal(host, port, family, type, proto, flags)
            if known is not None:
                return known
            if _has_zone(host) and (port is None or isinstance(port, int)):
                return socket.getaddrinfo(host, port, family, type, proto, flags)
        return await super().getaddrinfo(
            host, port, family=family, type=type, proto=proto, flags=flags
        )

    async def getnameinfo(self, sockaddr: Any, flags: int = 0) -> Any:
        """asyncio's; if it is to stay numeric, nobody has to be asked."""
        if not self._debug and isinstance(flags, int) and flags & _NUMERIC == _NUMERIC:
            return socket.getnameinfo(sockaddr, flags)
        return await super().getnameinfo(sockaddr, flags)

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recv(sock, n)
        data = _coloop.sock_recv(self, sock, n)
        return data if isinstance(data, bytes) else await data

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recv_into(sock, buf)
        count = _coloop.sock_recv_into(self, sock, buf)
        return count if isinstance(count, int) else await count

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_sendall(sock, data)
        sent = _coloop.sock_sendall(self, sock, data)
        return None if sent is None else await sent

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_accept(sock)
        accepted = _coloop.sock_accept(self, sock)
        if isinstance(accepted, tuple):
            return accepted
        try:
            return await accepted
        except asyncio.CancelledError:
            if accepted.done() and not accepted.cancelled() and accepted.exception() is None:
                accepted.result()[0].close()  # nobody gets it any more
            raise

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_connect(sock, address)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            inherited: Any = self
            resolved = await inherited._ensure_resolved(
                address, family=sock.family, type=sock.type, proto=sock.proto, loop=self
            )
            address = resolved[0][4]
        try:
            return sock.connect(address)
        except (BlockingIOError, InterruptedError):
            connected = _coloop.sock_connected(self, sock, address)
        return None if connected is None else await connected
