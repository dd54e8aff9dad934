"""sock_recvfrom, sock_recvfrom_into, sock_sendto and sendfile, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import io
import os
import socket
import sys
import tempfile
import unittest
from typing import Any

from transports import Bounded, Recorder, TransportCase, pair, streams, until

import coloop


def udp(family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
    return sock


async def drain(loop: Any, sock: socket.socket) -> bytes:
    """What comes until the peer's end."""
    got = bytearray()
    while chunk := await loop.sock_recv(sock, 65536):
        got += chunk
    return bytes(got)


class Datagrams(Bounded):
    def test_a_datagram_and_who_sent_it(self: Any) -> None:
        async def main() -> None:
            for family in (socket.AF_INET, socket.AF_INET6):
                with udp(family) as a, udp(family) as b:
                    waiting = self.loop.create_task(self.loop.sock_recvfrom(b, 100))
                    await asyncio.sleep(0)
                    self.assertEqual(await self.loop.sock_sendto(a, b"first", b.getsockname()), 5)
                    self.assertEqual(await waiting, (b"first", a.getsockname()))
                    data = bytearray(b"second")
                    self.assertEqual(await self.loop.sock_sendto(a, data, b.getsockname()), 6)
                    buffer = bytearray(100)
                    count, address = await self.loop.sock_recvfrom_into(b, buffer)
                    self.assertEqual((count, address), (6, a.getsockname()))
                    self.assertEqual(buffer[:6], b"second")

        self.run_bounded(main())

    def test_datagrams_that_wait_come_one_by_one(self: Any) -> None:
        async def main() -> None:
            with udp() as a, udp() as b:
                b.connect(a.getsockname())
                buffer = bytearray(10)
                receive: list[Any] = [
                    lambda: self.loop.sock_recvfrom(b, 10),
                    lambda: self.loop.sock_recv(b, 10),
                    lambda: self.loop.sock_recvfrom_into(b, buffer),
                    lambda: self.loop.sock_recv_into(b, buffer),
                ]
                for each in receive:
                    waiting = self.loop.create_task(each())
                    await asyncio.sleep(0)
                    for data in (b"1", b"2", b"3"):
                        a.sendto(data, b.getsockname())
                    got = [await waiting, await each(), await each()]
                    expected = {bytes: [b"1", b"2", b"3"], int: [1, 1, 1]}
                    values = [one[0] if isinstance(one, tuple) else one for one in got]
                    self.assertEqual(values, expected[type(values[0])])

        self.run_bounded(main())

    def test_what_does_not_fit_is_cut_off(self: Any) -> None:
        async def main() -> None:
            with udp() as a, udp() as b:
                for data in (b"0123456789", b"", b"abcdefghij", b"0123456789"):
                    await self.loop.sock_sendto(a, data, b.getsockname())
                self.assertEqual((await self.loop.sock_recvfrom(b, 4))[0], b"0123")
                self.assertEqual((await self.loop.sock_recvfrom(b, 4))[0], b"")
                buffer = bytearray(8)
                self.assertEqual((await self.loop.sock_recvfrom_into(b, buffer, 3))[0], 3)
                self.assertEqual(bytes(buffer), b"abc" + bytes(5))
                self.assertEqual((await self.loop.sock_recvfrom_into(b, buffer))[0], 8)
                self.assertEqual(bytes(buffer), b"01234567")

        self.run_bounded(main())

    def test_a_name_is_looked_up(self: Any) -> None:
        async def main() -> None:
            with udp() as a, udp() as b:
                await self.loop.sock_sendto(a, b"x", ("localhost", b.getsockname()[1]))
                self.assertEqual((await self.loop.sock_recvfrom(b, 10))[0], b"x")

        self.run_bounded(main())

    def test_wrong_arguments_are_what_the_socket_says(self: Any) -> None:
        async def main() -> None:
            with udp() as a:
                here = a.getsockname()
                for error, text, call in (
                    (TypeError, "AF_INET address must be", self.loop.sock_sendto(a, b"x", None)),
                    (TypeError, "AF_INET address must be", self.loop.sock_sendto(a, b"x", "path")),
                    (
                        OverflowError,
                        "port must be",
                        self.loop.sock_sendto(a, b"x", ("127.0.0.1", 65536)),
                    ),
                    (TypeError, "bytes-like", self.loop.sock_sendto(a, "text", here)),
                    (OSError, "too long", self.loop.sock_sendto(a, bytes(70_000), here)),
                    (ValueError, "negative buffersize", self.loop.sock_recvfrom(a, -1)),
                    (TypeError, "", self.loop.sock_recvfrom(a, "10")),
                    (ValueError, "negative", self.loop.sock_recvfrom_into(a, bytearray(4), -1)),
                    (ValueError, "greater than", self.loop.sock_recvfrom_into(a, bytearray(4), 5)),
                    (TypeError, "not bytes", self.loop.sock_recvfrom_into(a, b"read-only")),
                ):
                    with self.subTest(call=call), self.assertRaisesRegex(error, text):
                        await call
            for call in (self.loop.sock_recvfrom(a, 1), self.loop.sock_sendto(a, b"x", here)):
                with self.assertRaisesRegex(OSError, "Bad file descriptor"):
                    await call

        self.run_bounded(main())

    def test_a_cancelled_call_takes_nothing_and_lets_its_buffer_go(self: Any) -> None:
        async def main() -> None:
            with udp() as a, udp() as b:
                buffer = bytearray(10)
                for call in (
                    lambda: self.loop.sock_recvfrom(b, 10),
                    lambda: self.loop.sock_recvfrom_into(b, buffer),
                ):
                    with self.assertRaises(asyncio.TimeoutError):
                        await asyncio.wait_for(call(), 0.005)
                buffer.clear()  # BufferError while it is held
                a.sendto(b"x", b.getsockname())
                self.assertEqual(await self.loop.sock_recvfrom(b, 10), (b"x", a.getsockname()))

        self.run_bounded(main())

    def test_unix_sockets_and_streams(self: Any) -> None:
        async def main() -> None:
            with (
                tempfile.TemporaryDirectory() as folder,
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as a,
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as b,
            ):
                paths = [os.path.join(folder, name) for name in "ab"]
                for sock, path in zip((a, b), paths, strict=True):
                    sock.setblocking(False)
                    sock.bind(path)
                await self.loop.sock_sendto(a, b"x", paths[1])
                self.assertEqual(await self.loop.sock_recvfrom(b, 10), (b"x", paths[0]))
                with self.assertRaises(FileNotFoundError):
                    await self.loop.sock_sendto(a, b"x", os.path.join(folder, "nobody"))
                # Until its receiver has room.
                sent = 0
                with contextlib.suppress(BlockingIOError):
                    while True:
                        a.sendto(b"%d" % sent, paths[1])
                        sent += 1
                waiting = self.loop.create_task(self.loop.sock_sendto(a, b"last", paths[1]))
                await asyncio.sleep(0.01)
                self.assertFalse(waiting.done())
                for i in range(sent):
                    self.assertEqual((await self.loop.sock_recvfrom(b, 10))[0], b"%d" % i)
                self.assertEqual(await waiting, 4)
                self.assertEqual((await self.loop.sock_recvfrom(b, 10))[0], b"last")
            c, d = streams()
            with c, d:
                await self.loop.sock_sendall(c, b"x")
                self.assertEqual(await self.loop.sock_recvfrom(d, 10), (b"x", None))

        self.run_bounded(main())

    def test_many_datagrams_there_and_back(self: Any) -> None:
        async def main() -> None:
            with udp() as a, udp() as b:

                async def echo() -> None:
                    for _ in range(1000):
                        data, address = await self.loop.sock_recvfrom(b, 100)
                        await self.loop.sock_sendto(b, data, address)

                task = self.loop.create_task(echo())
                for i in range(1000):
                    await self.loop.sock_sendto(a, b"%d" % i, b.getsockname())
                    self.assertEqual((await self.loop.sock_recvfrom(a, 100))[0], b"%d" % i)
                await task

        self.run_bounded(main())


class Files(Bounded):
    def file(self: Any, size: int) -> tuple[Any, bytes]:
        """A file that is read from its start, and what is in it."""
        data = os.urandom(size)
        file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the clean-up
        self.addCleanup(file.close)
        file.write(data)
        file.flush()
        file.seek(0)
        return file, data

    async def sent(self: Any, file: Any, *args: Any, **options: Any) -> tuple[int, bytes]:
        a, b = streams()
        with b:
            received = self.loop.create_task(drain(self.loop, b))
            with a:
                count = await self.loop.sock_sendfile(a, file, *args, **options)
            return count, await received

    def test_a_file_or_a_part_of_it(self: Any) -> None:
        async def main() -> None:
            file, data = self.file(3_000_000)
            for offset, count in ((0, None), (1, None), (1_000_000, 1_500_000), (2_999_000, 5_000)):
                for fallback in (False, True):
                    with self.subTest(offset=offset, count=count, fallback=fallback):
                        file.seek(7)
                        end = len(data) if count is None else min(offset + count, len(data))
                        result = await self.sent(file, offset, count, fallback=fallback)
                        self.assertEqual(result, (end - offset, data[offset:end]))
                        self.assertEqual(file.tell(), end)
            file.seek(7)
            self.assertEqual(await self.sent(file, 3_000_000, 10), (0, b""))
            self.assertEqual(file.tell(), 7)
            empty, _data = self.file(0)
            self.assertEqual(await self.sent(empty, fallback=False), (0, b""))

        self.run_bounded(main())

    def test_what_is_no_file_goes_the_other_way_or_not_at_all(self: Any) -> None:
        async def main() -> None:
            data = os.urandom(200_000)
            file = io.BytesIO(data)
            with self.assertRaisesRegex(asyncio.SendfileNotAvailableError, "not a regular file"):
                await self.sent(file, fallback=False)
            self.assertEqual(await self.sent(file, 5, 100_000), (100_000, data[5:100_005]))
            self.assertEqual(file.tell(), 100_005)
            source, sink = os.pipe()
            os.write(sink, b"x")
            os.close(sink)
            with (
                open(source, "rb", buffering=0) as pipe,
                self.assertRaises(asyncio.SendfileNotAvailableError),
            ):
                await self.sent(pipe, 0, 10, fallback=False)

        self.run_bounded(main())

    def test_wrong_arguments(self: Any) -> None:
        async def main() -> None:
            file, _data = self.file(10)
            with open(os.devnull) as text, udp() as datagrams:
                a, b = streams()
                with a, b:
                    for error, args in (
                        (ValueError, (a, text)),
                        (ValueError, (datagrams, file)),
                        (ValueError, (a, file, -1)),
                        (TypeError, (a, file, 1.0)),
                        (ValueError, (a, file, 0, 0)),
                        (TypeError, (a, file, 0, "1")),
                        (OverflowError, (a, file, 1 << 64)),
                    ):
                        with self.subTest(args=args), self.assertRaises(error):
                            await self.loop.sock_sendfile(*args)

        self.run_bounded(main())

    def test_the_peer_closes_in_the_midst_of_it(self: Any) -> None:
        async def main() -> None:
            file, data = self.file(8_000_000)
            a, b = streams()
            with a:
                task = self.loop.create_task(self.loop.sock_sendfile(a, file))
                self.assertEqual(await self.loop.sock_recv(b, 10), data[:10])
                b.close()
                with self.assertRaises(ConnectionError):
                    await task
            self.assertLess(0, file.tell())
            self.assertLess(file.tell(), len(data))

        self.run_bounded(main())

    def test_a_socket_that_is_not_connected(self: Any) -> None:
        async def main() -> None:
            file, _data = self.file(10)
            with socket.socket() as alone:
                alone.setblocking(False)
                with self.assertRaisesRegex(asyncio.SendfileNotAvailableError, "os.sendfile"):
                    await self.loop.sock_sendfile(alone, file, fallback=False)
                with self.assertRaises(OSError):
                    await self.loop.sock_sendfile(alone, file)

        self.run_bounded(main())

    def test_others_have_their_turn(self: Any) -> None:
        async def main() -> None:
            file, data = self.file(30_000_000)
            turns = 0
            received = self.loop.create_task(self.sent(file))
            while not received.done():
                turns += 1
                await asyncio.sleep(0)
            self.assertEqual(await received, (len(data), data))
            self.assertGreater(turns, 20)

        self.run_bounded(main())

    # On a transport

    async def transport_and_received(self: Any) -> tuple[Any, Recorder, Any, socket.socket]:
        transport, protocol, peer = await pair(self.loop)
        return transport, protocol, self.loop.create_task(drain(self.loop, peer)), peer

    def test_a_transport_sends_a_file_between_writes(self: Any) -> None:
        async def main() -> None:
            file, data = self.file(3_000_000)
            transport, protocol, received, peer = await self.transport_and_received()
            head = os.urandom(500_000)
            transport.write(head)
            task = self.loop.create_task(self.loop.sendfile(transport, file, 5, 2_000_000))
            await asyncio.sleep(0)
            with self.assertRaisesRegex(RuntimeError, "sendfile is in progress"):
                transport.write(b"x")
            self.assertFalse(transport.is_reading())
            self.assertEqual(await task, 2_000_000)
            self.assertTrue(transport.is_reading())
            self.assertEqual(file.tell(), 2_000_005)
            transport.write(b"tail")
            await self.loop.sendfile(transport, io.BytesIO(b"other"), fallback=True)
            transport.close()
            await protocol.lost
            self.assertEqual(await received, head + data[5:2_000_005] + b"tailother")
            peer.close()

        self.run_bounded(main())

    def test_a_transport_that_cannot(self: Any) -> None:
        async def main() -> None:
            file, _data = self.file(10)
            transport, protocol, _received, peer = await self.transport_and_received()
            with self.assertRaisesRegex(asyncio.SendfileNotAvailableError, "not a regular file"):
                await self.loop.sendfile(transport, io.BytesIO(b"x"), fallback=False)
            transport.close()
            with self.assertRaisesRegex(RuntimeError, "Transport is closing"):
                await self.loop.sendfile(transport, file)
            await protocol.lost
            peer.close()
            datagrams, _protocol = await self.loop.create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0)
            )
            with self.assertRaisesRegex(RuntimeError, "sendfile is not supported"):
                await self.loop.sendfile(datagrams, file)
            datagrams.close()

        self.run_bounded(main())

    def test_the_transports_peer_closes_in_the_midst_of_it(self: Any) -> None:
        async def main() -> None:
            file, data = self.file(8_000_000)
            transport, protocol, peer = await pair(self.loop)
            task = self.loop.create_task(self.loop.sendfile(transport, file))
            self.assertEqual(await self.loop.sock_recv(peer, 10), data[:10])
            peer.close()
            with self.assertRaises(ConnectionError):
                await task
            self.assertLess(file.tell(), len(data))
            transport.abort()
            await protocol.lost

        self.run_bounded(main())

    def test_a_transport_goes_on_after_a_file_that_was_cancelled(self: Any) -> None:
        async def main() -> None:
            file, _data = self.file(8_000_000)
            transport, protocol, peer = await pair(self.loop)
            task = self.loop.create_task(self.loop.sendfile(transport, file))
            await asyncio.sleep(0.01)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            transport.write(b"tail")
            transport.write_eof()
            received = await drain(self.loop, peer)
            self.assertEqual(received[-4:], b"tail")
            peer.close()
            await until(lambda: "lost" in protocol.calls)

        self.run_bounded(main())


class Connecting(Bounded):
    def test_what_a_refused_connection_raises_is_nobodys(self: Any) -> None:
        async def refused(address: Any) -> BaseException:
            with socket.socket() as sock:
                sock.setblocking(False)
                try:
                    await self.loop.sock_connect(sock, address)
                except OSError as error:
                    return error
            raise AssertionError("it is not refused")

        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as server:
                address = server.getsockname()
            error = await refused(address)
            await asyncio.sleep(0)  # what has told of it is gone
            self.assertEqual(error.args[0], errno.ECONNREFUSED)
            holding = [each for each in gc.get_referrers(error) if isinstance(each, asyncio.Future)]
            self.assertEqual(holding, [])

        self.run_bounded(main())

    def test_a_call_that_was_cancelled_beside_its_event_is_made_again(self: Any) -> None:
        async def main() -> None:
            listener = socket.socket(socket.AF_UNIX)
            path = f"\0coloop-{os.getpid()}-{id(self)}"
            listener.bind(path)
            listener.listen(0)
            with contextlib.ExitStack() as clients:
                full = False
                while not full:
                    client = clients.enter_context(socket.socket(socket.AF_UNIX))
                    client.setblocking(False)
                    full = client.connect_ex(path) == errno.EAGAIN

                async def connect_twice() -> None:
                    with contextlib.suppress(asyncio.CancelledError):
                        await self.loop.sock_connect(client, path)
                    await self.loop.sock_connect(client, path)

                connecting = self.loop.create_task(connect_twice())
                self.loop.call_soon(connecting.cancel)  # which comes beside the poller's event
                await connecting
            listener.close()

        self.run_bounded(main())


class OurConnecting(Connecting, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioConnecting(Connecting, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


class OurDatagrams(Datagrams, TransportCase):
    make = staticmethod(coloop.new_event_loop)


@unittest.skipIf(sys.version_info < (3, 11), "asyncio's own loop has no such methods")
class AsyncioDatagrams(Datagrams, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


class OurDatagramsInDebugMode(OurDatagrams):
    """asyncio's own methods, and before 3.11 what stands for them."""

    def setUp(self) -> None:
        super().setUp()
        self.loop.set_debug(True)


class OurFiles(Files, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_a_cancelled_one_leaves_the_file_after_what_was_sent(self) -> None:
        async def main() -> None:
            file, data = self.file(8_000_000)
            a, b = streams()
            with b:
                with a:
                    task = self.loop.create_task(self.loop.sock_sendfile(a, file))
                    await asyncio.sleep(0.01)
                    task.cancel()
                    with self.assertRaises(asyncio.CancelledError):
                        await task
                received = await drain(self.loop, b)
            self.assertEqual(received, data[: file.tell()])
            self.assertLess(0, len(received))

        self.run_bounded(main())


class AsyncioFiles(Files, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
