"""What tools/stress.mjs calls, on the hosted loop: connections by the thousands, good and bad."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from typing import Any, ClassVar

ACCEPTED = "socket.accept() out of system resource"
GREETINGS = (b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n")  # none is whole


class Echo(asyncio.Protocol):
    open = 0
    transports: ClassVar[set[Any]] = set()

    def connection_made(self, transport: Any) -> None:
        Echo.open += 1
        Echo.transports.add(transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        Echo.open -= 1
        Echo.transports.discard(self.transport)


async def until(condition: Callable[[], Any], seconds: float = 30) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        if loop.time() > end:
            raise TimeoutError(f"{condition} never held")
        await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def serving(factory: Callable[[], Any] = Echo, **options: Any) -> AsyncIterator[Any]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0, backlog=4096, **options)
    try:
        yield server.sockets[0].getsockname()
    finally:
        server.close()
        await server.wait_closed()
        await until(lambda: Echo.open == 0)


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


async def open_and_close(count: int, at_once: int) -> int:
    """Each connection answers once; some end by a reset, some by half-closing first."""
    loop = asyncio.get_running_loop()
    answered = 0
    left = iter(range(count))

    async with serving() as address:

        async def lane() -> None:
            nonlocal answered
            for number in left:
                if number % 3 == 0:
                    reader, writer = await asyncio.open_connection(*address)
                    writer.write(b"stream")
                    writer.write_eof()
                    answer = await reader.read()
                    answered += answer == b"stream"
                    writer.close()
                    await writer.wait_closed()
                    continue
                with socket.socket() as sock:
                    sock.setblocking(False)
                    await loop.sock_connect(sock, address)
                    await loop.sock_sendall(sock, b"socket")
                    answer = await loop.sock_recv(sock, 100)
                    answered += answer == b"socket"
                    if number % 3 == 1:
                        reset(sock)

        await asyncio.gather(*(lane() for _ in range(at_once)))
    return answered


def most_connections(wanted: int) -> int:
    """How many connections, both ends here, the limit of descriptors allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * wanted + 500
    if hard == resource.RLIM_INFINITY or hard >= needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
        return wanted
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return (hard - 500) // 2


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


async def hold(count: int) -> tuple[int, float]:
    """So many at once, each used; returns how many answered, and memory for each (both ends)."""
    loop = asyncio.get_running_loop()
    before = resident()
    answers: list[bytes] = []

    class Client(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            answers.append(data)

    async with serving() as address:
        clients = []
        for begun in range(0, count, 100):
            size = min(100, count - begun)
            batch = (loop.create_connection(Client, *address) for _ in range(size))
            clients += [transport for transport, _ in await asyncio.gather(*batch)]
        await until(lambda: Echo.open == len(clients))
        memory = (resident() - before) / len(clients)
        for transport in clients:
            transport.write(b"x")
        await until(lambda: len(answers) == len(clients))
        for transport in clients:
            transport.abort()
    return len(answers), memory


def allow_connections(count: int) -> bool:
    """Whether so many may be open, with one end here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = count + 500
    if hard != resource.RLIM_INFINITY and hard < needed:
        return False
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, needed), hard))
    return True


async def hold_as_server(
    count: int, connect: Callable[[int], Any], use: Callable[[], Any]
) -> tuple[int, float]:
    """The other ends are another process's: `connect` begins them, `use` says how many answered."""
    async with serving() as address:
        before = resident()
        await connect(address[1])
        await until(lambda: Echo.open == count)
        memory = (resident() - before) / count
        answered = await use()
        for transport in list(Echo.transports):
            transport.abort()
    return answered, memory


async def hold_as_client(count: int, port: int) -> tuple[int, float]:
    loop = asyncio.get_running_loop()
    answers = ended = 0

    class Client(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            nonlocal answers
            answers += 1

        def connection_lost(self, exc: BaseException | None) -> None:
            nonlocal ended
            ended += 1

    before = resident()
    clients: list[Any] = []
    for begun in range(0, count, 100):
        batch = range(min(100, count - begun))
        made = (loop.create_connection(Client, "127.0.0.1", port) for _ in batch)
        clients += [transport for transport, _ in await asyncio.gather(*made)]
    memory = (resident() - before) / count
    for transport in clients:
        transport.write(b"x")
    await until(lambda: answers == count)
    for transport in clients:
        transport.abort()
    await until(lambda: ended == count)
    return answers, memory


class Source(asyncio.Protocol):
    """Writes as long as it may."""

    def __init__(self) -> None:
        self.paused = self.ended = False
        self.written = 0

    def connection_made(self, transport: Any) -> None:
        Echo.open += 1
        self.transport = transport
        self.resume_writing()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        while not self.paused and not self.transport.is_closing() and self.written < 1 << 25:
            self.written += 1 << 16
            self.transport.write(b"s" * (1 << 16))
        if self.written >= 1 << 25:
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        Echo.open -= 1
        self.ended = True


async def slow_readers(count: int) -> tuple[int, int]:
    """Readers that stop: every writer is paused with little in its buffer. Then all is read."""
    sources: list[Source] = []

    def factory() -> Source:
        sources.append(Source())
        return sources[-1]

    async with serving(factory) as address:
        streams = [await asyncio.open_connection(*address, limit=1024) for _ in range(count)]
        await until(lambda: len(sources) == count and all(each.paused for each in sources))
        buffered = max(each.transport.get_write_buffer_size() for each in sources)

        async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
            total = 0
            while data := await reader.read(1 << 20):
                total += len(data)
            writer.close()
            return total

        totals = await asyncio.gather(*(read(*each) for each in streams))
        await until(lambda: all(each.ended for each in sources))
    return buffered, sum(total == 1 << 25 for total in totals)


async def dead_peers(count: int) -> int:
    """Writes go on after the peer has reset: ignored, counted, and the end is told once."""
    ended: list[Any] = []

    class Stubborn(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            Echo.open += 1
            self.transport = transport
            self.write()

        def write(self) -> None:
            self.transport.write(b"w" * 1000)
            if self not in ended:
                asyncio.get_running_loop().call_later(0.001, self.write)
            else:
                self.transport.write(b"after the end")

        def connection_lost(self, exc: BaseException | None) -> None:
            Echo.open -= 1
            ended.append(self)

    async with serving(Stubborn) as address:
        for _ in range(count):
            reset(socket.create_connection(address))
            await asyncio.sleep(0)
        await until(lambda: len(ended) == count)
        await asyncio.sleep(0.01)
    return len(set(ended))


async def unfinished_handshakes(count: int, cert: str, key: str) -> int:
    """Peers that connect to a TLS server and say nothing, half a greeting, or nonsense."""
    loop = asyncio.get_running_loop()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    before = descriptors()
    made: list[Any] = []

    class Never(asyncio.Protocol):
        def connection_made(self, transport: Any) -> None:
            made.append(transport)

    quiet = loop.get_exception_handler()
    loop.set_exception_handler(lambda *_: None)  # the failed handshakes
    try:
        async with serving(Never, ssl=context, ssl_handshake_timeout=0.3) as address:
            peers = [socket.create_connection(address) for _ in range(count)]
            for number, peer in enumerate(peers):
                with contextlib.suppress(OSError):
                    peer.sendall(GREETINGS[number % 3])
            for peer in peers:
                peer.setblocking(False)
                await asyncio.wait_for(read_to_end(peer), 20)  # the server gives up
                peer.close()
        await until(lambda: descriptors() <= before)
    finally:
        loop.set_exception_handler(quiet)
    return len(made)


async def read_to_end(sock: socket.socket) -> None:
    with contextlib.suppress(ConnectionError):
        while await asyncio.get_running_loop().sock_recv(sock, 4096):
            pass


async def exhausted(waiting: int) -> tuple[int, int]:
    """No descriptor is left: accepting pauses, is told of once a second at most, and goes on."""
    loop = asyncio.get_running_loop()
    told: list[str] = []
    quiet = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: told.append(context["message"]))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    async with serving() as address:
        peers = [socket.socket() for _ in range(waiting)]
        for peer in peers:
            peer.setblocking(False)
        try:
            highest = max(map(int, os.listdir("/proc/self/fd")))
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 4, hard))
            with contextlib.suppress(OSError):
                while True:
                    held.append(os.open("/dev/null", os.O_RDONLY))
            for peer in peers:
                with contextlib.suppress(BlockingIOError):
                    peer.connect(address)
            await until(lambda: ACCEPTED in told)
            await asyncio.sleep(0.3)
            failures = len(told)
        finally:
            for fd in held:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            loop.set_exception_handler(quiet)
        answered = 0
        for peer in peers:
            await loop.sock_sendall(peer, b"late")
            answered += await asyncio.wait_for(loop.sock_recv(peer, 100), 20) == b"late"
            peer.close()
    return failures, answered
