"""The Python server of `npm run bench:loop`, the same file whatever the loop.

`python server.py asyncio|uvloop KIND …` runs it in a plain interpreter; inside Node.js host.mjs
imports it. `{"address": …}` is printed when it listens; it serves until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import sys
from collections.abc import Callable
from typing import Any

_CHUNK = 256 * 1024  # as much as asyncio reads at once
_BACKLOG = 1024
_kept: list[Any] = []  # what must live as long as the process


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class BufferedEcho(asyncio.BufferedProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.buffer = memoryview(bytearray(_CHUNK))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        # A transport may keep what it is given until it is sent.
        self.transport.write(bytes(self.buffer[:nbytes]))


class DatagramEcho(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.transport.sendto(data, addr)


async def _stream_echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _socket_echo(connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := await loop.sock_recv(connection, _CHUNK):
                await loop.sock_sendall(connection, data)
        except ConnectionError:
            pass  # the client has ended


async def _accept(listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(listener)
        task = loop.create_task(_socket_echo(connection))
        _kept.append(task)


def _port(server: Any) -> str:
    return str(server.sockets[0].getsockname()[1])


async def _protocol(factory: Callable[[], Any], **options: Any) -> str:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, backlog=_BACKLOG, **options)
    _kept.append(server)
    return _port(server)


async def _unix(path: str) -> str:
    loop = asyncio.get_running_loop()
    _kept.append(await loop.create_unix_server(Echo, path, backlog=_BACKLOG))
    return path


async def _datagram() -> str:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(DatagramEcho, local_addr=("127.0.0.1", 0))
    _kept.append(transport)
    return str(transport.get_extra_info("sockname")[1])


async def _streams() -> str:
    server = await asyncio.start_server(
        _stream_echo, "127.0.0.1", 0, limit=_CHUNK, backlog=_BACKLOG
    )
    _kept.append(server)
    return _port(server)


async def _sockets() -> str:
    listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    listener.setblocking(False)
    _kept.append(asyncio.get_running_loop().create_task(_accept(listener)))
    return str(listener.getsockname()[1])


async def _tls(folder: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem"))
    return await _protocol(Echo, ssl=context)


async def listen(kind: str, argument: str) -> None:
    """Starts a server of a kind on the running loop and says where; `argument` is a path."""
    starts: dict[str, Callable[[], Any]] = {
        "protocol": lambda: _protocol(Echo),
        "buffered": lambda: _protocol(BufferedEcho),
        "streams": _streams,
        "sockets": _sockets,
        "unix": lambda: _unix(argument),
        "udp": _datagram,
        "tls": lambda: _tls(argument),
    }
    address = await starts[kind]()
    print(json.dumps({"address": address}), flush=True)


def serve(new_loop: Callable[[], asyncio.AbstractEventLoop], kind: str, argument: str) -> None:
    """The same on a loop of its own, for ever."""
    loop = new_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(listen(kind, argument))
    loop.run_forever()


def plain_loop(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The loops of the plain interpreter, by name."""
    if name == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.SelectorEventLoop


if __name__ == "__main__":
    serve(plain_loop(sys.argv[1]), sys.argv[2], sys.argv[3])
