"""Servers, descriptors and sock_* of the owned loop, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import resource
import socket
import sys
import tempfile
import unittest
import warnings
from typing import Any

from transports import Bounded, Recorder, TransportCase, pair, until

import coloop


class Mixin(Bounded):
    # Servers and descriptors

    def test_a_socket_that_was_closed_while_it_was_watched(self: Any) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            self.loop.add_reader(ours, print)
            ours.close()
            theirs.close()
            self.assertTrue(self.loop.remove_reader(ours))
            with self.assertRaisesRegex(ValueError, "Invalid file descriptor: -1"):
                self.loop.remove_reader(ours)

        self.run_bounded(main())

    def test_a_transport_is_what_asyncio_says(self: Any) -> None:
        async def main() -> None:
            accepted: list[Any] = []

            def factory() -> Recorder:
                protocol = Recorder()
                accepted.append(protocol)
                return protocol

            server = await self.loop.create_server(factory, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            transport, protocol = await self.loop.create_connection(Recorder, *address)
            await until(lambda: accepted and accepted[0].transport)
            other = accepted[0].transport
            for each in (transport, other):
                self.assertIsInstance(each, asyncio.Transport)
                sock = each.get_extra_info("socket")
                self.assertIsInstance(sock, asyncio.trsock.TransportSocket)
                self.assertEqual(sock.getsockname(), each.get_extra_info("sockname"))
                self.assertEqual(sock.getpeername(), each.get_extra_info("peername"))
                self.assertEqual(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), 1)
                self.assertEqual(each.get_extra_info("nothing", 3), 3)
                self.assertIn(f"fd={sock.fileno()}", repr(each))
            self.assertEqual(transport.get_extra_info("peername"), other.get_extra_info("sockname"))
            with self.assertRaisesRegex(RuntimeError, "is used by transport"):
                self.loop.add_reader(sock.fileno(), print)
            transport.close()
            await protocol.lost
            await accepted[0].lost
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_connection_lost_can_ask_for_the_socket_first(self: Any) -> None:
        names: list[Any] = []

        class Late(Recorder):
            def connection_lost(self, exc: BaseException | None) -> None:
                names.append(self.transport.get_extra_info("socket").getsockname())
                super().connection_lost(exc)

        async def main() -> None:
            server = await self.loop.create_server(Late, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            transport, protocol = await self.loop.create_connection(Recorder, *address)
            transport.close()
            await protocol.lost
            await until(lambda: names)
            self.assertEqual(names, [address])
            self.assertEqual(self.problems, [])
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_the_descriptor_of_a_datagram_transport_is_taken(self: Any) -> None:
        async def main() -> None:
            transport, _protocol = await self.loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            fd = transport.get_extra_info("socket").fileno()
            with self.assertRaisesRegex(RuntimeError, "is used by transport"):
                self.loop.add_reader(fd, print)
            transport.close()

        self.run_bounded(main())

    @unittest.skipIf(sys.version_info < (3, 13), "create_server() has keep_alive from 3.13 on")
    def test_connections_of_a_server_are_kept_alive(self: Any) -> None:
        async def main() -> None:
            for keep_alive in True, False:
                accepted: asyncio.Queue[Any] = asyncio.Queue()

                class Server(Recorder):
                    def connection_made(self, transport: Any, to: Any = accepted) -> None:
                        super().connection_made(transport)
                        to.put_nowait(transport)

                server = await self.loop.create_server(
                    Server, "127.0.0.1", 0, keep_alive=keep_alive
                )
                transport, protocol = await self.loop.create_connection(
                    Recorder, *server.sockets[0].getsockname()
                )
                sock = (await accepted.get()).get_extra_info("socket")
                option = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                self.assertEqual(bool(option), keep_alive)
                transport.close()
                await protocol.lost
                server.close()
                await server.wait_closed()

        self.run_bounded(main())

    def test_a_transport_has_its_descriptor_from_the_start(self: Any) -> None:
        refused: list[str] = []

        def try_to_use(transport: Any) -> None:
            number = transport.get_extra_info("socket").fileno()
            for use in (
                lambda: self.loop.add_reader(number, print),
                lambda: self.loop.add_writer(number, print),
                lambda: self.loop.remove_reader(number),
            ):
                with self.assertRaisesRegex(RuntimeError, "is used by transport"):
                    use()
            refused.append(type(transport).__name__)

        class Stream(Recorder):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                try_to_use(transport)

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: Any) -> None:
                try_to_use(transport)

        async def main() -> None:
            ours, theirs = socket.socketpair()
            stream, protocol = await self.loop.create_connection(Stream, sock=ours)
            datagrams, _ = await self.loop.create_datagram_endpoint(
                Datagrams, local_addr=("127.0.0.1", 0)
            )
            self.assertEqual((len(refused), self.problems), (2, []))
            number = stream.get_extra_info("socket").fileno()
            for transport in stream, datagrams:
                transport.close()
            await protocol.lost
            self.assertFalse(self.loop.remove_reader(number))  # nobody's any more
            theirs.close()

        self.run_bounded(main())

    def test_what_was_there_before_the_transport_comes_after_it(self: Any) -> None:
        async def main() -> None:
            for busy in range(40):  # the loop looks at descriptors now after one, now after more
                ours, theirs = socket.socketpair()
                theirs.send(b"early")
                for _ in range(busy):
                    await asyncio.sleep(0)
                _transport, protocol = await self.loop.create_connection(Recorder, sock=ours)
                self.assertEqual(protocol.calls, ["made"])
                theirs.close()
                await protocol.lost
                self.assertEqual(protocol.data, b"early")

        self.run_bounded(main())

    def test_a_transport_that_is_closed_as_it_is_made(self: Any) -> None:
        class Closing(Recorder):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                transport.write(b"bye")
                transport.close()

        async def main() -> None:
            ours, theirs = socket.socketpair()
            number = ours.fileno()
            _transport, protocol = await self.loop.create_connection(Closing, sock=ours)
            await protocol.lost
            self.assertEqual((protocol.calls, theirs.recv(10)), (["made", "lost"], b"bye"))
            theirs.close()
            ours, theirs = socket.socketpair()  # the same number again
            self.assertEqual(ours.fileno(), number)
            seen = self.loop.create_future()
            self.loop.add_reader(ours, seen.set_result, None)
            theirs.send(b"x")
            await seen
            self.loop.remove_reader(ours)
            ours.close()
            theirs.close()

        self.run_bounded(main())

    def test_a_unix_server_names_no_peer(self: Any) -> None:
        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "socket")
                accepted: asyncio.Queue[Any] = asyncio.Queue()

                class Server(Recorder):
                    def connection_made(self, transport: Any) -> None:
                        super().connection_made(transport)
                        accepted.put_nowait(self)

                server = await self.loop.create_unix_server(Server, path)
                transport, protocol = await self.loop.create_unix_connection(Recorder, path)
                other = await accepted.get()
                self.assertEqual(other.transport.get_extra_info("sockname"), path)
                self.assertEqual(other.transport.get_extra_info("peername"), "")
                self.assertEqual(transport.get_extra_info("peername"), path)
                transport.close()
                await protocol.lost
                await other.lost
                server.close()
                await server.wait_closed()

        self.run_bounded(main())

    def test_a_protocol_factory_that_raises_costs_only_its_connection(self: Any) -> None:
        async def main() -> None:
            first = True

            def factory() -> Recorder:
                nonlocal first
                if first:
                    first = False
                    raise ValueError("no protocol")
                return Recorder()

            server = await self.loop.create_server(factory, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            with contextlib.suppress(ConnectionError), warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # asyncio drops the socket
                self.assertEqual(await reader.read(), b"")
            writer.close()
            transport, protocol = await self.loop.create_connection(Recorder, *address)
            transport.write(b"x")
            transport.close()
            await protocol.lost
            server.close()

        self.run_bounded(main())

    def test_out_of_descriptors_the_server_waits_and_goes_on(self: Any) -> None:
        async def main() -> None:
            served: list[Recorder] = []

            def factory() -> Recorder:
                served.append(Recorder())
                return served[-1]

            server = await self.loop.create_server(factory, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            client = socket.socket()
            client.setblocking(False)
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            spare = os.dup(0)
            resource.setrlimit(resource.RLIMIT_NOFILE, (spare, hard))
            os.close(spare)
            taken: list[int] = []
            try:
                with contextlib.suppress(OSError):
                    while True:
                        taken.append(os.dup(0))
                with contextlib.suppress(BlockingIOError):
                    client.connect(address)
                await until(lambda: self.problems)
            finally:
                for fd in taken:
                    os.close(fd)
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            self.assertEqual(self.problems[0]["exception"].errno, errno.EMFILE)
            self.assertEqual(self.problems[0]["message"], "socket.accept() out of system resource")
            await until(lambda: served and served[0].transport)
            client.close()
            await served[0].lost
            server.close()

        self.run_bounded(main())

    def test_connections_by_the_thousand_leave_nothing(self: Any) -> None:
        async def main() -> None:
            lost = 0

            class Counted(asyncio.Protocol):
                def connection_lost(self, exc: BaseException | None) -> None:
                    nonlocal lost
                    lost += 1

            server = await self.loop.create_server(Counted, "127.0.0.1", 0, backlog=500)
            address = server.sockets[0].getsockname()
            before = len(os.listdir("/proc/self/fd"))
            for total in range(100, 1001, 100):
                clients = [socket.create_connection(address) for _ in range(100)]
                for client in clients:
                    client.close()
                await until(lambda total=total: lost == total)
            self.assertEqual(len(os.listdir("/proc/self/fd")), before)
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_an_unclosed_transport_is_told_and_closed(self: Any) -> None:
        async def main() -> tuple[int, socket.socket]:
            transport, _protocol, peer = await pair(self.loop)
            return transport.get_extra_info("socket").fileno(), peer

        fd, peer = self.run_bounded(main())
        self.loop.close()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        self.assertTrue(any("unclosed transport" in str(each.message) for each in told))
        with self.assertRaises(OSError):
            os.fstat(fd)
        peer.close()

    def test_context_variables_are_those_of_the_connection(self: Any) -> None:
        import contextvars

        variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

        async def main() -> None:
            variable.set("of the connection")
            transport, protocol, peer = await pair(self.loop)
            variable.set("later")
            seen: list[str] = []
            protocol.data_received = lambda data: seen.append(variable.get())
            await self.loop.sock_sendall(peer, b"x")
            await until(lambda: seen)
            self.assertEqual(seen, ["of the connection"])
            transport.close()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    # sock_*

    def test_sock_sendall_and_recv_of_megabytes(self: Any) -> None:
        async def main() -> None:
            a, b = socket.socketpair()
            a.setblocking(False)
            b.setblocking(False)
            payload = os.urandom(5_000_000)

            async def send() -> None:
                for i in range(0, len(payload), 1_000_000):
                    await self.loop.sock_sendall(a, memoryview(payload)[i : i + 1_000_000])
                a.shutdown(socket.SHUT_WR)

            task = self.loop.create_task(send())
            got = bytearray()
            buffer = bytearray(70_000)
            while True:
                chunk = await self.loop.sock_recv(b, 300_000)
                got += chunk
                count = await self.loop.sock_recv_into(b, buffer)
                got += buffer[:count]
                if not count:
                    break
            await task
            self.assertEqual(bytes(got), payload)
            self.assertEqual(await self.loop.sock_recv(b, 10), b"")
            a.close()
            b.close()

        self.run_bounded(main())

    def test_a_cancelled_sock_recv_takes_nothing(self: Any) -> None:
        async def main() -> None:
            a, b = socket.socketpair()
            a.setblocking(False)
            b.setblocking(False)
            for _ in range(3):
                with self.assertRaises(asyncio.TimeoutError):
                    await asyncio.wait_for(self.loop.sock_recv(b, 10), 0.005)
            await self.loop.sock_sendall(a, b"one")
            self.assertEqual(await self.loop.sock_recv(b, 10), b"one")
            task = self.loop.create_task(self.loop.sock_recv(b, 10))
            await asyncio.sleep(0)
            a.send(b"two")
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(await self.loop.sock_recv(b, 10), b"two")
            a.close()
            b.close()

        self.run_bounded(main())

    def test_a_descriptor_number_that_is_used_again_is_another_socket(self: Any) -> None:
        async def main() -> None:
            numbers = set()
            for i in range(20):
                a, b = socket.socketpair()
                numbers.add((a.fileno(), b.fileno()))
                a.setblocking(False)
                b.setblocking(False)
                waiting = self.loop.create_task(self.loop.sock_recv(b, 10))
                await asyncio.sleep(0)
                await self.loop.sock_sendall(a, b"%d" % i)
                self.assertEqual(await waiting, b"%d" % i)
                # What follows is a transport, a watch, or sock_* again.
                if i % 3 == 0:
                    transport, protocol = await self.loop.create_connection(Recorder, sock=b)
                    await self.loop.sock_sendall(a, b"to the transport")
                    await until(lambda protocol=protocol: protocol.data)
                    self.assertEqual(bytes(protocol.data), b"to the transport")
                    transport.close()
                    await protocol.lost
                elif i % 3 == 1:
                    seen: list[bytes] = []
                    self.loop.add_reader(b, lambda b=b, seen=seen: seen.append(b.recv(1)))
                    await self.loop.sock_sendall(a, b"abc")
                    await until(lambda seen=seen: len(seen) == 3)
                    self.assertTrue(self.loop.remove_reader(b))
                a.close()
                b.close()
            self.assertLess(len(numbers), 20)

        self.run_bounded(main())

    def test_errors_of_sock_calls_are_the_sockets(self: Any) -> None:
        async def main() -> None:
            a, b = socket.socketpair()
            a.setblocking(False)
            b.setblocking(False)
            b.close()
            self.assertEqual(await self.loop.sock_recv(a, 10), b"")
            with self.assertRaises(BrokenPipeError):
                await self.loop.sock_sendall(a, b"x")
            with self.assertRaises(TypeError):
                await self.loop.sock_sendall(a, "text")
            with self.assertRaises(ValueError):
                await self.loop.sock_recv(a, -1)
            with self.assertRaisesRegex(
                TypeError, "must be read-write bytes-like object, not bytes"
            ):
                await self.loop.sock_recv_into(a, b"read-only")
            a.close()
            with self.assertRaises((OSError, ValueError)):
                await self.loop.sock_recv(a, 10)

        self.run_bounded(main())


class OurSockets(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_calls_of_one_socket_are_served_in_order(self) -> None:
        async def main() -> None:
            a, b = socket.socketpair()
            a.setblocking(False)
            b.setblocking(False)
            tasks = [self.loop.create_task(self.loop.sock_recv(b, 1)) for _ in range(4)]
            await asyncio.sleep(0)
            tasks[1].cancel()
            await self.loop.sock_sendall(a, b"xyz")
            self.assertEqual([await tasks[i] for i in (0, 2, 3)], [b"x", b"y", b"z"])
            a.close()
            b.close()

        self.run_bounded(main())


class AsyncioSockets(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
