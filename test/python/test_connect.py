"""sock_accept, sock_connect, sendfile, checks of sock_*: with asyncio's own loop as the oracle."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import socket
import tempfile
import unittest
import unittest.mock
from typing import Any

from transports import Bounded, TransportCase, pair, until

import coloop


class Mixin(Bounded):
    def test_connections_are_accepted_and_made(self: Any) -> None:
        async def main() -> None:
            for family, address in (
                (socket.AF_INET, ("127.0.0.1", 0)),
                (socket.AF_INET6, ("::1", 0)),
                (socket.AF_UNIX, ""),
            ):
                with socket.socket(family) as server, socket.socket(family) as client:
                    server.bind(address)
                    server.listen()
                    for each in (server, client):
                        each.setblocking(False)
                    accepting = self.loop.create_task(self.loop.sock_accept(server))
                    await asyncio.sleep(0)
                    self.assertIsNone(await self.loop.sock_connect(client, server.getsockname()))
                    accepted, peer = await accepting
                    with accepted:
                        self.assertEqual(accepted.gettimeout(), 0)
                        self.assertEqual(peer, accepted.getpeername())
                        await self.loop.sock_sendall(client, b"through")
                        self.assertEqual(await self.loop.sock_recv(accepted, 10), b"through")

        self.run_bounded(main())

    def test_connections_wait_to_be_accepted(self: Any) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as server, contextlib.ExitStack() as opened:
                server.setblocking(False)
                address = server.getsockname()
                clients = [opened.enter_context(socket.socket()) for _ in range(20)]
                for client in clients:
                    client.setblocking(False)
                connects = [self.loop.sock_connect(client, address) for client in clients]
                await asyncio.gather(*connects)
                found = set()
                for _ in clients:
                    accepted, peer = await self.loop.sock_accept(server)
                    opened.enter_context(accepted)
                    found.add(peer)
                self.assertEqual(found, {client.getsockname() for client in clients})

        self.run_bounded(main())

    def test_a_cancelled_sock_accept_takes_nothing(self: Any) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
                server.setblocking(False)
                client.setblocking(False)
                for _ in range(3):
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(self.loop.sock_accept(server), 0.005)
                accepting = self.loop.create_task(self.loop.sock_accept(server))
                await asyncio.sleep(0)
                await self.loop.sock_connect(client, server.getsockname())
                accepted, peer = await accepting
                self.assertEqual(peer, client.getsockname())
                accepted.close()

        self.run_bounded(main())

    def test_a_cancelled_sock_connect_leaves_no_watch(self: Any) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
                waiting = []
                while not any(task.cancelled() for task in waiting):
                    # The queue of the server is full some time: then they wait.
                    client = socket.socket()
                    self.addCleanup(client.close)
                    client.setblocking(False)
                    connect = self.loop.sock_connect(client, server.getsockname())
                    waiting.append(self.loop.create_task(connect))
                    done, _pending = await asyncio.wait(waiting[-1:], timeout=0.05)
                    if not done:
                        waiting[-1].cancel()
                        await asyncio.wait(waiting[-1:])
                self.assertFalse(self.loop.remove_writer(client))

        self.run_bounded(main())

    def test_errors_of_sock_connect_are_asyncios(self: Any) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as server:
                address = server.getsockname()
            with socket.socket() as client:
                client.setblocking(False)
                with self.assertRaisesRegex(ConnectionRefusedError, "Connect call failed") as told:
                    await self.loop.sock_connect(client, address)
                self.assertIn(str(address), str(told.exception))
            with socket.socket(socket.AF_UNIX) as client:
                client.setblocking(False)
                with self.assertRaises(FileNotFoundError):
                    await self.loop.sock_connect(client, "/nowhere/at/all")
            with socket.socket() as unbound:
                unbound.setblocking(False)
                with self.assertRaises(OSError) as told:
                    await self.loop.sock_accept(unbound)
                self.assertEqual(told.exception.errno, errno.EINVAL)
            with self.assertRaises(OSError) as told:
                await self.loop.sock_accept(unbound)  # closed
            self.assertEqual(told.exception.errno, errno.EBADF)

        self.run_bounded(main())

    def test_in_debug_mode_blocking_sockets_are_refused(self: Any) -> None:
        async def main() -> None:
            with socket.socket() as blocking:
                for call in (
                    self.loop.sock_accept(blocking),
                    self.loop.sock_connect(blocking, ("127.0.0.1", 1)),
                    self.loop.sock_recv(blocking, 1),
                    self.loop.sock_recv_into(blocking, bytearray(1)),
                    self.loop.sock_sendall(blocking, b"x"),
                ):
                    with self.assertRaisesRegex(ValueError, "the socket must be non-blocking"):
                        await call

        self.loop.set_debug(True)
        self.run_bounded(main())

    def test_the_descriptor_of_a_transport_is_taken_for_sock_calls(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            fd = transport.get_extra_info("socket").fileno()
            with socket.socket(fileno=os.dup(fd)) as other:
                other.setblocking(False)
                task = self.loop.create_task(self.loop.sock_recv(other, 1))
                await asyncio.sleep(0)
                task.cancel()
            taken: Any = transport.get_extra_info("socket")._sock
            taken_by = f"^File descriptor {fd} is used by transport"
            with self.assertRaisesRegex(RuntimeError, taken_by):
                await self.loop.sock_recv(taken, 1)
            transport.close()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    def test_files_are_sent_by_the_kernel(self: Any) -> None:
        async def main() -> None:
            payload = os.urandom(3_000_000)
            with tempfile.TemporaryFile() as file:
                file.write(payload)
                file.flush()
                for offset, count in ((0, None), (1000, None), (10, 2_000_000)):
                    transport, protocol, peer = await pair(self.loop)
                    a, b = socket.socketpair()
                    for each in (a, b):
                        each.setblocking(False)
                    wanted = payload[offset:][:count]
                    for sending, end in (
                        (self.loop.sock_sendfile(a, file, offset, count, fallback=False), b),
                        (self.loop.sendfile(transport, file, offset, count, fallback=False), peer),
                    ):
                        task = self.loop.create_task(sending)
                        got = bytearray()
                        while len(got) < len(wanted):
                            got += await self.loop.sock_recv(end, 500_000)
                        self.assertEqual(await task, len(wanted))
                        self.assertTrue(bytes(got) == wanted)
                        self.assertEqual(file.tell(), offset + len(wanted))
                    transport.write(b"after")
                    self.assertEqual(await self.loop.sock_recv(peer, 10), b"after")
                    await self.loop.sock_sendall(peer, b"back")
                    await until(lambda protocol=protocol: protocol.data)
                    self.assertEqual(bytes(protocol.data), b"back")
                    transport.close()
                    await protocol.lost
                    for each in (a, b, peer):
                        each.close()

        self.run_bounded(main())

    def test_what_the_kernel_cannot_send_is_read_and_written(self: Any) -> None:
        async def main() -> None:
            payload = os.urandom(400_000)
            transport, protocol, peer = await pair(self.loop)
            task = self.loop.create_task(self.loop.sendfile(transport, io.BytesIO(payload)))
            got = bytearray()
            while len(got) < len(payload):
                got += await self.loop.sock_recv(peer, 500_000)
            self.assertEqual(await task, len(payload))
            self.assertEqual(bytes(got), payload)
            a, b = socket.socketpair()
            for each in (a, b):
                each.setblocking(False)
            for source in (self.loop.sock_sendfile, self.loop.sendfile):
                target = a if source == self.loop.sock_sendfile else transport
                with self.assertRaises((asyncio.SendfileNotAvailableError, RuntimeError)):
                    await source(target, io.BytesIO(b"x"), fallback=False)
            sending = self.loop.create_task(self.loop.sock_sendfile(a, io.BytesIO(payload)))
            got = bytearray()
            while len(got) < len(payload):
                got += await self.loop.sock_recv(b, 500_000)
            self.assertEqual(await sending, len(payload))
            for arguments in ((io.StringIO("x"), -1), (io.BytesIO(b"x"), 0, 0)):
                with self.assertRaisesRegex(ValueError, "must be a"):
                    await self.loop.sock_sendfile(a, *arguments)
            transport.close()
            await protocol.lost
            for each in (a, b, peer):
                each.close()

        self.run_bounded(main())


class OurCalls(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_a_file_ends_with_its_connection(self) -> None:
        """asyncio's own waits for ever, or gets at who has the descriptor next."""

        async def main() -> None:
            with tempfile.TemporaryFile() as file:
                file.write(bytes(3_000_000))
                for end in ("abort", "close"):
                    transport, protocol, peer = await pair(self.loop)
                    descriptor = transport.get_extra_info("socket").fileno()
                    sending = self.loop.create_task(self.loop.sendfile(transport, file))
                    await until(lambda fd=descriptor: self.loop._watched(fd, True))
                    getattr(transport, end)()
                    await protocol.lost
                    self.assertFalse(self.loop._watched(descriptor, True))
                    with self.assertRaisesRegex(ConnectionError, "^Connection is closed by peer$"):
                        await sending
                    peer.close()

        self.run_bounded(main())
        self.assertEqual(self.problems, [])


class AsyncioCalls(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
