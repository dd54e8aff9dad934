"""What the tests of TLS share: contexts, pairs of connections, and TLS by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transports import Recorder

_FOLDER = Path(__file__).parent.parent / "fixtures" / "tls"
CERTIFICATE = str(_FOLDER / "cert.pem")
KEY = str(_FOLDER / "key.pem")


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    return context


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=CERTIFICATE)


async def connected(
    loop: Any,
    client: Callable[[], Any] = Recorder,
    server: Callable[[], Any] = Recorder,
    *,
    server_tls: ssl.SSLContext | None = None,
    client_tls: ssl.SSLContext | None = None,
    **options: Any,
) -> tuple[Any, Any]:
    """The protocols of two ends on one loop."""
    made: asyncio.Future[Any] = loop.create_future()

    def factory() -> Any:
        protocol = server()
        made.set_result(protocol)
        return protocol

    listening = await loop.create_server(
        factory, "127.0.0.1", 0, ssl=server_tls or server_context()
    )
    port = listening.sockets[0].getsockname()[1]
    options.setdefault("server_hostname", "localhost")
    try:
        _, ours = await loop.create_connection(
            client, "127.0.0.1", port, ssl=client_tls or client_context(), **options
        )
        return ours, await made
    finally:
        listening.close()


class Peer:
    """A server of TLS by hand: what it sends, and when, is the test's."""

    def __init__(self, loop: Any, sock: socket.socket) -> None:
        self.loop = loop
        self.sock = sock
        self.sock.setblocking(False)
        self.incoming = ssl.MemoryBIO()
        self.outgoing = ssl.MemoryBIO()
        self.tls = server_context().wrap_bio(self.incoming, self.outgoing, server_side=True)

    async def flush(self) -> None:
        data = self.outgoing.read()
        if data:
            await self.loop.sock_sendall(self.sock, data)

    async def do(self, operation: Callable[..., Any], *args: Any) -> Any:
        """A call of the SSLObject, with what it has to send and to receive."""
        while True:
            try:
                result = operation(*args)
            except ssl.SSLWantReadError:
                await self.flush()
                data = await self.loop.sock_recv(self.sock, 65536)
                if data:
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            except ssl.SSLError:
                await self.flush()
                raise
            else:
                await self.flush()
                return result

    async def read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = await self.do(self.tls.read, 65536)
            if not piece:
                break
            data += piece
        return bytes(data)

    async def write(self, data: bytes) -> None:
        view = memoryview(data)
        for start in range(0, len(view), 65536):
            await self.do(self.tls.write, view[start : start + 65536])


async def with_peer(loop: Any, client: Callable[[], Any] = Recorder) -> Any:
    """A client's transport and protocol, and its server by hand."""
    ours, theirs = socket.socketpair()
    peer = Peer(loop, theirs)
    connecting = loop.create_task(
        loop.create_connection(client, sock=ours, ssl=client_context(), server_hostname="localhost")
    )
    await peer.do(peer.tls.do_handshake)
    transport, protocol = await connecting
    return transport, protocol, peer


RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class Small(asyncio.BufferedProtocol):
    """Its buffer holds less than a record."""

    def __init__(self) -> None:
        self.buffer = bytearray(1000)
        self.data = bytearray()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)
