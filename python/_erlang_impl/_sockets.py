"""Names and sockets: `getaddrinfo`, `getnameinfo` and `sock_*` of the loop, over the native half.

In debug mode, and for subclasses of `socket.socket`, they are asyncio's own, with its checks.
"""

from __future__ import annotations

import asyncio
import functools
import io
import os
import socket
import ssl
import sys
from typing import Any, cast

import _coloop

_unix_events: Any = asyncio.unix_events
_like_asyncio: Any = functools.wraps(asyncio.SelectorEventLoop.create_server)

# The number, which `socket.family` makes an enumeration's member of at a multiple of its cost.
_family: Any = cast("Any", socket.SocketType).family.__get__
_NUMBERED = frozenset(map(int, (socket.AF_INET, socket.AF_INET6)))
_ADDRESSED = _NUMBERED | {int(socket.AF_UNIX)}  # whose addresses the native half makes
_TO_THE_END = sys.maxsize

_NUMERIC = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


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

    @_like_asyncio
    async def create_server(self, *args: Any, **options: Any) -> asyncio.Server:
        """asyncio's, which leaves out sockets that cannot be made, and gives a server of none."""
        try:
            server = await super().create_server(*args, **options)
        except OSError as error:
            if error.errno is None:  # from 3.13 on, for the same reason
                socket.socket().close()
            raise
        if not server.sockets:
            socket.socket().close()  # raises why
        return server

    async def sock_recv(self, sock: socket.socket, n: int) -> bytes:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recv(sock, n)
        data = _coloop.sock_recv(self, sock, n)
        if isinstance(data, bytes):
            return data
        try:
            return await data
        except BaseException:
            _coloop.sock_forget(self, sock, data)
            del data  # it has the exception, whose traceback has this frame
            raise

    async def sock_recv_into(self, sock: socket.socket, buf: Any) -> int:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_recv_into(sock, buf)
        count = _coloop.sock_recv_into(self, sock, buf)
        if isinstance(count, int):
            return count
        try:
            return await count
        except BaseException:
            _coloop.sock_forget(self, sock, count)
            del count
            raise

    async def sock_recvfrom(self, sock: socket.socket, bufsize: int) -> tuple[bytes, Any]:
        if self._debug or type(sock) is not socket.socket or _family(sock) not in _ADDRESSED:
            return await self._asyncio_call("recvfrom", sock, bufsize)
        return await self._outcome(sock, _coloop.sock_recvfrom(self, sock, bufsize))

    async def sock_recvfrom_into(
        self, sock: socket.socket, buf: Any, nbytes: int = 0
    ) -> tuple[int, Any]:
        if self._debug or type(sock) is not socket.socket or _family(sock) not in _ADDRESSED:
            return await self._asyncio_call("recvfrom_into", sock, buf, nbytes or len(buf))
        size = nbytes or len(buf)
        return await self._outcome(sock, _coloop.sock_recvfrom_into(self, sock, buf, size))

    async def sock_sendall(self, sock: socket.socket, data: Any) -> None:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_sendall(sock, data)
        sent = _coloop.sock_sendall(self, sock, data)
        if sent is None:
            return
        try:
            await sent
        except BaseException:
            _coloop.sock_forget(self, sock, sent)
            del sent
            raise

    async def sock_sendto(self, sock: socket.socket, data: Any, address: Any) -> int:
        # A UNIX socket is writable whether or not its peer has room: asyncio's own asks again.
        if not self._debug and type(sock) is socket.socket:
            family = _family(sock)
            if family in _NUMBERED:
                sent = _coloop.sock_sendto(self, sock, family, data, address)
                if sent is not NotImplemented:
                    return await self._outcome(sock, sent)
        return await self._asyncio_call("sendto", sock, data, address)

    async def _asyncio_call(self, name: str, sock: socket.socket, *args: Any) -> Any:
        """asyncio's own `sock_` method of that name; or as it would, where it has none (3.10)."""
        own = getattr(super(), f"sock_{name}", None)
        if own is not None:
            return await own(sock, *args)
        if isinstance(sock, ssl.SSLSocket):
            raise TypeError("Socket cannot be of type SSLSocket")
        if self._debug and sock.gettimeout() != 0:
            raise ValueError("the socket must be non-blocking")
        sends = name == "sendto"
        while True:
            try:
                return getattr(sock, name)(*args)
            except (BlockingIOError, InterruptedError):
                pass
            ready = self.create_future()
            descriptor = sock.fileno()
            (self.add_writer if sends else self.add_reader)(descriptor, _wake, ready)
            try:
                await ready
            finally:
                (self.remove_writer if sends else self.remove_reader)(descriptor)

    async def _sock_sendfile_native(
        self, sock: socket.socket, file: Any, offset: int, count: int | None
    ) -> int:
        kernel = hasattr(_unix_events.os, "sendfile")  # not where a program has taken it away
        loop: Any = self
        _, lent = loop._lent.get(self._channel(sock.fileno()), (-1, None))
        if not kernel or (
            lent is None and (self._debug or type(sock) is not socket.socket or self._serves(sock))
        ):
            inherited: Any = super()
            return await inherited._sock_sendfile_native(sock, file, offset, count)
        try:
            descriptor = file.fileno()
        except (AttributeError, io.UnsupportedOperation):
            raise asyncio.SendfileNotAvailableError("not a regular file") from None
        try:
            size = os.fstat(descriptor).st_size
        except OSError:
            raise asyncio.SendfileNotAvailableError("not a regular file") from None
        if not (count or size):
            return 0
        if lent is not None:
            block = count or size
            loop._sock_sendfile_native_impl(lent, None, sock, descriptor, offset, count, block, 0)
            return await lent
        sent = _coloop.sock_sendfile(self, sock, descriptor, offset, count or _TO_THE_END)
        return await self._outcome(sock, sent)

    def _take_back(self, transport: Any) -> None:
        """Its connection is gone, and with it the descriptor that sendfile() used."""
        loop: Any = self
        descriptor, sent = loop._lent.pop(transport, (-1, None))
        if sent is None:
            return
        loop._remove_writer(descriptor)  # it may be somebody else's next
        if not sent.done():
            sent.set_exception(ConnectionError("Connection is closed by peer"))

    def _serves(self, sock: socket.socket) -> bool:
        """Whether a transport has the socket; what it lends must stay its own."""
        return isinstance(self._channel(sock.fileno()), _coloop.Stream)

    async def _outcome(self, sock: socket.socket, outcome: Any) -> Any:
        if not isinstance(outcome, asyncio.Future):
            return outcome
        try:
            return await outcome
        except BaseException:
            _coloop.sock_forget(self, sock, outcome)
            del outcome
            raise

    async def sock_accept(self, sock: socket.socket) -> tuple[socket.socket, Any]:
        if self._debug or type(sock) is not socket.socket:
            return await super().sock_accept(sock)
        accepted = _coloop.sock_accept(self, sock)
        if isinstance(accepted, tuple):
            return accepted
        try:
            return await accepted
        except BaseException:
            _coloop.sock_forget(self, sock, accepted)
            if accepted.done() and not accepted.cancelled() and accepted.exception() is None:
                accepted.result()[0].close()  # nobody gets it any more
            del accepted
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
            pass
        await self._outcome(sock, _coloop.sock_connected(self, sock, address))
