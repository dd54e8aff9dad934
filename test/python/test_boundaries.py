"""Reads that end before what is there does, and sockets that go away under a transport, with
asyncio's own loop as the oracle."""

from __future__ import annotations

import array
import asyncio
import errno
import gc
import os
import pty
import socket
import struct
import termios
import unittest
import warnings
from typing import Any

from transports import Bounded, Recorder, TransportCase, connected, pair, until

import coloop


class Buffered(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self.data = bytearray()
        self.room = bytearray(4096)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.room

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.room[:nbytes]


def send_descriptor(sock: socket.socket, data: bytes) -> None:
    rights = array.array("i", [sock.fileno()])
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])


def send_credentials(sock: socket.socket, data: bytes) -> None:
    own = struct.pack("iii", os.getpid(), os.getuid(), os.getgid())
    sock.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, own)])


def send_urgent(sock: socket.socket) -> None:
    sock.send(b"abc")
    sock.send(b"X", socket.MSG_OOB)
    sock.send(b"def")


class Mixin(Bounded):
    async def check_read(self: Any, protocol: Any, far: Any, send: Any, expected: bytes) -> None:
        for _ in range(2):
            protocol.data.clear()
            send(far)
            await until(lambda: len(protocol.data) >= len(expected))
            self.assertEqual(bytes(protocol.data), expected)

    async def check_receive(self: Any, near: Any, far: Any, send: Any, expected: bytes) -> None:
        near.setblocking(False)
        for _ in range(2):
            waiting = self.loop.create_task(self.loop.sock_recv(near, 100))
            await asyncio.sleep(0)
            send(far)
            got = await waiting
            while len(got) < len(expected):
                got += await self.loop.sock_recv(near, 100)
            self.assertEqual(got, expected)

    def check_all_is_read(self: Any, ours: Any, send: Any, expected: bytes) -> None:
        """All that `send` has sent before the loop looks is read, and what comes later."""
        near, far = ours()
        with near, far:
            self.run_bounded(self.check_receive(near, far, send, expected))
        for factory in (Recorder, Buffered):
            with self.subTest(factory.__name__):
                near, far = ours()

                async def main(near: Any, far: Any, factory: Any) -> None:
                    transport, protocol = await self.loop.create_connection(factory, sock=near)
                    await self.check_read(protocol, far, send, expected)
                    transport.abort()
                    far.close()

                self.run_bounded(main(near, far, factory))

    def test_urgent_data(self: Any) -> None:
        self.check_all_is_read(connected, send_urgent, b"abcdef")

    def test_descriptors_that_come_along(self: Any) -> None:
        def send(far: socket.socket) -> None:
            far.send(b"one")
            send_descriptor(far, b"two")
            far.send(b"three")
            send_descriptor(far, b"four")
            far.send(b"five")

        self.check_all_is_read(socket.socketpair, send, b"onetwothreefourfive")

    def test_credentials_that_come_along(self: Any) -> None:
        def ours() -> tuple[socket.socket, socket.socket]:
            near, far = socket.socketpair()
            near.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
            return near, far

        def send(far: socket.socket) -> None:
            far.send(b"one")
            send_credentials(far, b"two")
            send_descriptor(far, b"three")
            far.send(b"four")

        self.check_all_is_read(ours, send, b"onetwothreefour")

    def check_all_is_served(self: Any, family: int, address: Any, send: Any, data: bytes) -> None:
        async def main() -> None:
            served: asyncio.Future[Recorder] = self.loop.create_future()

            class Serving(Recorder):
                def connection_made(self, transport: Any) -> None:
                    super().connection_made(transport)
                    served.set_result(self)

            listener = socket.socket(family)
            listener.bind(address)
            serve: Any = self.loop.create_unix_server
            if family == socket.AF_INET:
                serve = self.loop.create_server
            server = await serve(Serving, sock=listener)
            far = socket.socket(family)
            far.connect(listener.getsockname())
            protocol = await served
            await self.check_read(protocol, far, send, data)
            far.close()
            await protocol.lost
            server.close()

        self.run_bounded(main())

    def test_what_comes_along_to_a_server(self: Any) -> None:
        def descriptors(far: socket.socket) -> None:
            far.send(b"one")
            send_descriptor(far, b"two")
            far.send(b"three")

        self.check_all_is_served(socket.AF_INET, ("127.0.0.1", 0), send_urgent, b"abcdef")
        name = f"\0coloop-{os.getpid()}-{id(self)}"
        self.check_all_is_served(socket.AF_UNIX, name, descriptors, b"onetwothree")

    def test_what_nobody_has_is_closed(self: Any) -> None:
        """A program that forgets close() is helped by the garbage collector."""

        async def main(pauses: bool) -> None:
            async def serve(reader: Any, writer: Any) -> None:
                await reader.read(1)
                writer.write(b"x" * 3_000_000)
                await writer.drain()
                if pauses:
                    writer.transport.pause_reading()
                served.set_result(None)

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            before = len(os.listdir("/proc/self/fd"))
            for _ in range(5):
                served = self.loop.create_future()
                far = socket.socket()
                far.setblocking(False)
                await self.loop.sock_connect(far, server.sockets[0].getsockname())
                await self.loop.sock_sendall(far, b"x")
                while not served.done():
                    await self.loop.sock_recv(far, 1 << 20)
                far.close()
            del serve

            def closed() -> bool:
                gc.collect()
                return len(os.listdir("/proc/self/fd")) <= before

            await until(closed)
            server.close()

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            self.run_bounded(main(False))
            self.run_bounded(main(True))

    def read_pipe(self: Any, reading: Any, send: Any, expected: bytes) -> None:
        async def main() -> None:
            transport, protocol = await self.loop.connect_read_pipe(Recorder, reading)
            send()
            await until(lambda: len(protocol.data) >= len(expected))
            self.assertEqual(bytes(protocol.data), expected)
            transport.close()
            await protocol.lost

        self.run_bounded(main())

    def test_packets_of_a_socket(self: Any) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            self.read_pipe(
                near, lambda: [far.send(b"one"), far.send(b"two"), far.send(b"3")], b"onetwo3"
            )

    def test_packets_of_a_pipe(self: Any) -> None:
        near, far = os.pipe2(os.O_DIRECT)
        with os.fdopen(far, "wb", 0) as pipe:
            self.read_pipe(
                os.fdopen(near, "rb", 0),
                lambda: [pipe.write(each) for each in (b"one", b"two", b"3")],
                b"onetwo3",
            )

    def test_lines_of_a_terminal(self: Any) -> None:
        master, slave = pty.openpty()
        attributes: list[Any] = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        with os.fdopen(master, "r+b", 0) as typed:
            self.read_pipe(
                os.fdopen(slave, "rb", 0),
                lambda: typed.write(b"one\ntwo\nthree\n"),
                b"one\ntwo\nthree\n",
            )

    # A socket that its owner closes under the transport: the number is another one's then.

    def test_nothing_is_written_to_another_connection(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            sock = transport.get_extra_info("socket")._sock
            number = sock.fileno()
            sock.close()
            other, other_peer = socket.socketpair()
            self.assertEqual(other.fileno(), number)
            other_peer.setblocking(False)
            transport.write(b"secret")
            lost: Any = await protocol.lost
            self.assertEqual(lost.errno, errno.EBADF)
            with self.assertRaises(BlockingIOError):
                other_peer.recv(100)
            for each in (peer, other, other_peer):
                each.close()

        self.run_bounded(main())

    def test_a_datagram_goes_out_from_no_other_socket(self: Any) -> None:
        async def main() -> None:
            target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            target.bind(("127.0.0.1", 0))
            target.setblocking(False)
            errors: list[OSError] = []

            class Noting(asyncio.DatagramProtocol):
                def error_received(self, exc: Any) -> None:
                    errors.append(exc)

            transport, _ = await self.loop.create_datagram_endpoint(
                Noting, local_addr=("127.0.0.1", 0)
            )
            sock = transport.get_extra_info("socket")._sock
            number = sock.fileno()
            sock.close()
            other = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.assertEqual(other.fileno(), number)
            transport.sendto(b"secret", target.getsockname())
            self.assertEqual([error.errno for error in errors], [errno.EBADF])
            with self.assertRaises(BlockingIOError):
                target.recv(100)
            transport.abort()
            await asyncio.sleep(0)
            other.close()
            target.close()

        self.run_bounded(main())

    def test_the_end_is_met_again_after_an_interrupt(self: Any) -> None:
        class Interrupted(Recorder):
            def eof_received(self) -> bool | None:
                super().eof_received()
                if self.calls.count("eof") == 1:
                    raise KeyboardInterrupt("of the test")
                return None

        ours, theirs = socket.socketpair()

        async def main() -> Any:
            _, protocol = await self.loop.create_connection(Interrupted, sock=ours)
            return protocol

        protocol = self.run_bounded(main())
        theirs.close()
        with self.assertRaisesRegex(KeyboardInterrupt, "of the test"):
            self.loop.run_until_complete(asyncio.wait_for(protocol.lost, 10))

        async def rest() -> None:
            self.assertIsNone(await protocol.lost)

        if protocol.lost.cancelled():
            protocol.lost = self.loop.create_future()
        self.run_bounded(rest())
        self.assertEqual(protocol.calls, ["made", "eof", "eof", "lost"])


class OurBoundaries(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioBoundaries(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
