"""Sockets, servers, TLS and pipes on the owned loop, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
import unittest
from collections.abc import Callable
from typing import Any

import coloop


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: asyncio.Queue[bytes] = asyncio.Queue()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if data.startswith(b"ask"):
            self.transport.sendto(b"answer" + data[3:], addr)
        else:
            self.received.put_nowait(data)


class NetworkCase(unittest.TestCase):
    make: Callable[[], asyncio.AbstractEventLoop]

    def setUp(self) -> None:
        self.loop = type(self).make()
        self.addCleanup(self.loop.close)


class Mixin:
    loop: Any

    def run_bounded(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(coroutine, 30))

    def test_a_megabyte_through_an_echo_server(self) -> None:
        payload = os.urandom(1 << 20)

        async def client(address: Any) -> bytes:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(payload)
            await writer.drain()
            writer.write_eof()
            answer = await reader.readexactly(len(payload))
            writer.close()
            await writer.wait_closed()
            return answer

        async def main() -> list[bytes]:
            server = await self.loop.create_server(Echo, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            answers = await asyncio.gather(*(client(address) for _ in range(5)))
            server.close()
            await server.wait_closed()
            return answers

        self.assertEqual(self.run_bounded(main()), [payload] * 5)

    def test_a_refused_connection(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = free.getsockname()
        with self.assertRaises(ConnectionRefusedError):
            self.run_bounded(asyncio.open_connection(*address))

    def test_names_are_resolved(self) -> None:
        found = self.run_bounded(self.loop.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM))
        self.assertTrue({entry[4][0] for entry in found} & {"127.0.0.1", "::1"})

    def test_unix_sockets(self) -> None:
        async def main(path: str) -> bytes:
            server = await self.loop.create_unix_server(Echo, path)
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"hello\n")
            answer = await reader.readline()
            writer.close()
            await writer.wait_closed()
            await asyncio.sleep(0.01)  # the server's side of the connection closes
            server.close()
            await server.wait_closed()
            return answer

        with tempfile.TemporaryDirectory() as folder:
            answer = self.run_bounded(main(os.path.join(folder, "socket")))
        self.assertEqual(answer, b"hello\n")

    def test_datagrams(self) -> None:
        async def main() -> set[bytes]:
            server, _ = await self.loop.create_datagram_endpoint(
                Datagrams, local_addr=("127.0.0.1", 0)
            )
            client, protocol = await self.loop.create_datagram_endpoint(
                Datagrams, remote_addr=server.get_extra_info("sockname")
            )
            for i in range(10):
                client.sendto(b"ask%d" % i)
            answers = {await protocol.received.get() for _ in range(10)}
            client.close()
            server.close()
            await asyncio.sleep(0)
            return answers

        self.assertEqual(self.run_bounded(main()), {b"answer%d" % i for i in range(10)})

    def test_socket_methods(self) -> None:
        async def main() -> list[bytes]:
            with socket.socket() as listener, socket.socket() as client:
                listener.setblocking(False)
                client.setblocking(False)
                listener.bind(("127.0.0.1", 0))
                listener.listen()
                accepting = asyncio.ensure_future(self.loop.sock_accept(listener))
                await self.loop.sock_connect(client, listener.getsockname())
                accepted, _ = await accepting
                with accepted:
                    first = asyncio.ensure_future(self.loop.sock_recv(accepted, 100))
                    await asyncio.sleep(0.001)
                    await self.loop.sock_sendall(client, b"one")
                    one = await first
                    buffer = bytearray(1000)
                    second = asyncio.ensure_future(self.loop.sock_recv_into(accepted, buffer))
                    await self.loop.sock_sendall(client, b"two")
                    count = await second
                    blocked = asyncio.ensure_future(self.loop.sock_recv(accepted, 100))
                    await asyncio.sleep(0.001)
                    blocked.cancel()
                    await asyncio.gather(blocked, return_exceptions=True)
                    return [one, bytes(buffer[:count])]

        self.assertEqual(self.run_bounded(main()), [b"one", b"two"])

    def test_a_blocking_socket_is_refused_in_debug_mode(self) -> None:
        self.loop.set_debug(True)
        a, b = socket.socketpair()
        with a, b, self.assertRaisesRegex(ValueError, "must be non-blocking"):
            self.run_bounded(self.loop.sock_recv(a, 1))

    def test_pipes(self) -> None:
        async def main() -> bytes:
            r, w = os.pipe()
            reader = asyncio.StreamReader()
            read_transport, _ = await self.loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(r, "rb", 0)
            )
            write_transport, _ = await self.loop.connect_write_pipe(
                asyncio.BaseProtocol, os.fdopen(w, "wb", 0)
            )
            write_transport.write(b"x" * 200_000)  # more than a pipe holds
            write_transport.close()
            data = await reader.read()
            read_transport.close()
            return data

        self.assertEqual(self.run_bounded(main()), b"x" * 200_000)

    def test_a_slow_reader_pauses_the_writer(self) -> None:
        async def main() -> list[str]:
            a, b = socket.socketpair()
            events: list[str] = []

            class Watching(asyncio.Protocol):
                def pause_writing(self) -> None:
                    events.append("pause")

                def resume_writing(self) -> None:
                    events.append("resume")

            transport, _ = await self.loop.create_connection(Watching, sock=a)
            transport.write(b"x" * (4 << 20))
            b.setblocking(False)
            left = 4 << 20
            while left > 0:
                left -= len(await self.loop.sock_recv(b, 1 << 16))
            transport.close()
            b.close()
            return events

        self.assertEqual(self.run_bounded(main()), ["pause", "resume"])

    def test_many_connections_at_once(self) -> None:
        async def one(address: Any, number: int) -> int:
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"%d\n" % number)
            answer = int(await reader.readline())
            writer.close()
            await writer.wait_closed()
            return answer

        async def main() -> list[int]:
            server = await self.loop.create_server(Echo, "127.0.0.1", 0, backlog=1000)
            address = server.sockets[0].getsockname()
            answers = await asyncio.gather(*(one(address, i) for i in range(400)))
            server.close()
            await server.wait_closed()
            return answers

        self.assertEqual(self.run_bounded(main()), list(range(400)))

    def test_executors_and_threads(self) -> None:
        async def main() -> list[Any]:
            loop = asyncio.get_running_loop()
            here = threading.get_ident()
            names = await asyncio.gather(
                *(loop.run_in_executor(None, threading.get_ident) for _ in range(20))
            )
            future = asyncio.run_coroutine_threadsafe(asyncio.sleep(0.001, "slept"), loop)
            slept = await asyncio.to_thread(future.result, 10)
            await loop.shutdown_default_executor()
            return [here in names, slept]

        self.assertEqual(self.run_bounded(main()), [False, "slept"])


class OurLoop(Mixin, NetworkCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioLoop(Mixin, NetworkCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
