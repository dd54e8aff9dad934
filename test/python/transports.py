"""What the tests of transports share."""

from __future__ import annotations

import asyncio
import socket
import unittest
from collections.abc import Callable, Coroutine
from typing import Any


class Recorder(asyncio.Protocol):
    """Notes the order in which it is called."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.data = bytearray()
        self.transport: Any = None
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.calls.append("data")

    def eof_received(self) -> bool | None:
        self.calls.append("eof")
        return None

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


def streams() -> tuple[socket.socket, socket.socket]:
    a, b = socket.socketpair()
    a.setblocking(False)
    b.setblocking(False)
    return a, b


def connected() -> tuple[socket.socket, socket.socket]:
    """The two ends of a TCP connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    return near, far


async def pair(loop: Any) -> tuple[Any, Recorder, socket.socket]:
    """A transport with its protocol, and the other end as a plain socket."""
    ours, theirs = socket.socketpair()
    transport, protocol = await loop.create_connection(Recorder, sock=ours)
    theirs.setblocking(False)
    return transport, protocol, theirs


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


class TransportCase(unittest.TestCase):
    make: Callable[[], asyncio.AbstractEventLoop]

    def setUp(self) -> None:
        self.loop: Any = type(self).make()
        self.addCleanup(self.loop.close)
        self.problems: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _loop, context: self.problems.append(context))


class Bounded:
    loop: Any
    problems: list[dict[str, Any]]

    def run_bounded(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 10))


class StreamPairs(Bounded):
    """A stream with the other end as a plain socket."""

    async def connect(self, **options: Any) -> tuple[Any, Any, socket.socket]:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours, **options)
        theirs.setblocking(False)
        return reader, writer, theirs

    async def end(self, writer: Any, theirs: socket.socket) -> None:
        writer.close()
        await writer.wait_closed()
        theirs.close()
