"""What the tests of datagram transports share."""

from __future__ import annotations

import asyncio
import contextvars
import socket
import sys
from collections.abc import Callable
from typing import Any

from transports import Bounded

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

audits: list[Callable[[Any, Any], None]] = []


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.sendto":
        for look in audits:
            look(*arguments)


sys.addaudithook(audit)  # there is no way to take one out


class Recorder(asyncio.DatagramProtocol):
    """Notes the order in which it is called, and with what."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Any] = []
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.calls.append("made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


class Echo(Recorder):
    transport: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        super().datagram_received(data, addr)
        self.transport.sendto(data, addr)


def plain(family: int = socket.AF_INET, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(10)
    return sock


def link_local() -> tuple[str, int] | None:
    """An address of this machine that needs a zone, and its interface."""
    try:
        with open("/proc/net/if_inet6") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        digits, index, _, scope, *_ = line.split()
        if scope == "20":
            packed = bytes.fromhex(digits)
            return socket.inet_ntop(socket.AF_INET6, packed), int(index, 16)
    return None


async def closed(transport: Any, protocol: Recorder) -> None:
    transport.close()
    await protocol.lost


async def full_pair(loop: Any) -> tuple[Any, Recorder, socket.socket, int]:
    """A transport whose peer takes no more; how many datagrams it has."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setblocking(False)
    ours.setblocking(False)
    # The end of the pair has no name, by which asyncio knows it: it is given one.
    extra = {"peername": "peer"}
    waiter = loop.create_future()
    protocol = Recorder()
    transport = loop._make_datagram_transport(ours, protocol, None, waiter, extra)
    await waiter
    count = 0
    while transport.get_write_buffer_size() == 0:
        transport.sendto(b"%06d" % count + bytes(1000))
        count += 1
    return transport, protocol, theirs, count


async def numbers(loop: Any, sock: socket.socket, count: int) -> list[int]:
    """The numbers of so many datagrams of full_pair."""
    return [int((await loop.sock_recv(sock, 2000))[:6]) for _ in range(count)]


class Endpoints(Bounded):
    async def endpoint(self: Any, make: Any = Recorder, **options: Any) -> tuple[Any, Any]:
        if not options:
            options = {"local_addr": ("127.0.0.1", 0)}
        return await self.loop.create_datagram_endpoint(make, **options)
