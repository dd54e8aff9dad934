"""StreamReader and StreamReaderProtocol on transports of the loop, with asyncio's as the oracle.

On the loop of ours their most used methods are native; nothing but the speed is to show.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import socket
import unittest
from typing import Any
from unittest import mock

from transports import StreamPairs, TransportCase, until

import coloop


class Mixin(StreamPairs):
    # Reading

    def test_a_reader_stays_what_asyncio_calls_it(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            self.assertIsInstance(reader, asyncio.StreamReader)
            self.assertIsInstance(writer.transport.get_protocol(), asyncio.StreamReaderProtocol)
            self.assertRegex(repr(reader), r"^<StreamReader transport=<.*>>$")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_read_gives_what_is_there_up_to_the_limit(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            waiting = asyncio.ensure_future(reader.read(3))
            await asyncio.sleep(0)
            theirs.send(b"abcdefg")
            self.assertEqual(await waiting, b"abc")
            self.assertEqual(await reader.read(n=2), b"de")
            self.assertEqual(await reader.read(0), b"")
            self.assertEqual(await reader.read(True), b"f")
            self.assertEqual(await reader.read(2**200), b"g")
            theirs.send(b"the rest")
            theirs.shutdown(socket.SHUT_WR)
            self.assertEqual(await reader.read(), b"the rest")
            self.assertEqual(await reader.read(10), b"")
            self.assertTrue(reader.at_eof())
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_what_was_read_is_bytes_of_its_own(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            theirs.send(b"abc")
            data = await reader.read(10)
            theirs.send(b"xyz")
            self.assertEqual(await reader.read(10), b"xyz")
            self.assertEqual((type(data), data), (bytes, b"abc"))
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_the_other_methods_wait_for_what_they_need(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect(limit=64)

            async def send(*parts: bytes) -> None:
                for part in parts:
                    await asyncio.sleep(0.001)
                    theirs.send(part)

            parts = (b"on", b"e\ntw", b"o\n0123", b"456789;", b"x" * 100)
            sending = asyncio.ensure_future(send(*parts))
            self.assertEqual(await reader.readline(), b"one\n")
            self.assertEqual(await reader.readuntil(b"\n"), b"two\n")
            self.assertEqual(await reader.readexactly(8), b"01234567")
            self.assertEqual(await reader.readuntil(b";"), b"89;")
            with self.assertRaises(ValueError):
                await reader.readline()
            await sending
            theirs.send(b"ab\ncd")
            theirs.close()
            self.assertEqual([line async for line in reader], [b"ab\n", b"cd"])
            with self.assertRaises(asyncio.IncompleteReadError):
                await reader.readexactly(1)
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_slow_reader_stops_the_transport_and_starts_it_again(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect(limit=1000)
            payload = os.urandom(1_000_000)
            sending = asyncio.ensure_future(self.loop.sock_sendall(theirs, payload))
            await until(lambda: reader._paused)
            self.assertFalse(writer.transport.is_reading())
            self.assertGreater(len(reader._buffer), 2000)
            got = bytearray()
            while len(got) < len(payload):
                got += await reader.read(700)
                self.assertTrue(reader._paused or len(reader._buffer) <= 2000)
            self.assertEqual(bytes(got), payload)
            await sending
            self.assertTrue(writer.transport.is_reading())
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_more_than_the_limit_can_be_waited_for(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect(limit=10)
            sending = asyncio.ensure_future(self.loop.sock_sendall(theirs, b"x" * 100_000))
            self.assertEqual(await reader.readexactly(100_000), b"x" * 100_000)
            await sending
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_limit_that_is_no_int(self: Any) -> None:
        async def main() -> None:
            for limit in (math.inf, 1e3, 2**70, True):
                reader, writer, theirs = await self.connect(limit=limit)
                theirs.send(b"x" * 5000)
                self.assertEqual(await reader.readexactly(5000), b"x" * 5000)
                await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_few_turns_of_the_loop_bring_what_is_there(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            for _ in range(20):
                theirs.send(b"x")
                for _ in range(4):
                    await asyncio.sleep(0)
                self.assertEqual(reader._buffer, b"x")
                await reader.read(1)
            for _ in range(1000):  # nothing comes for long
                await asyncio.sleep(0)
            theirs.send(b"x")
            for _ in range(300):
                await asyncio.sleep(0)
            self.assertEqual(reader._buffer, b"x")
            fired = asyncio.ensure_future(asyncio.sleep(1e-6))
            for _ in range(300):
                await asyncio.sleep(0)
            self.assertTrue(fired.done())
            await self.end(writer, theirs)

        self.run_bounded(main())

    # Several at once, and ends in the midst

    def test_only_one_may_wait(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            first = asyncio.ensure_future(reader.read(10))
            await asyncio.sleep(0)
            for method, call in (
                ("read", lambda: reader.read(1)),
                ("readexactly", lambda: reader.readexactly(1)),
                ("readuntil", lambda: reader.readline()),
            ):
                text = rf"^{method}\(\) called while another coroutine is already waiting"
                with self.assertRaisesRegex(RuntimeError, text):
                    await call()
            theirs.send(b"one")
            self.assertEqual(await first, b"one")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_cancelled_read_loses_nothing(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(reader.read(10), 0.01)
            self.assertIsNone(reader._waiter)
            task = asyncio.ensure_future(reader.read(10))
            await asyncio.sleep(0)
            reader.feed_data(b"data")  # the task is woken, and does not come to run
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            self.assertEqual(await reader.read(10), b"data")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_an_error_reaches_who_waits_and_who_comes_later(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            task = asyncio.ensure_future(reader.read(10))
            await asyncio.sleep(0)
            reader.set_exception(OSError("broken"))
            for _ in range(2):
                with self.assertRaisesRegex(OSError, "broken"):
                    await task
            with self.assertRaisesRegex(OSError, "broken"):
                await reader.read(10)
            self.assertIsInstance(reader.exception(), OSError)
            reader._exception = LookupError  # a class, as raise takes one
            with self.assertRaises(LookupError):
                await reader.read(10)
            reader._exception = OSError("broken")
            with self.assertRaisesRegex(OSError, "broken"):
                await writer.drain()
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_read_in_the_midst_of_a_broken_connection(self: Any) -> None:
        async def main() -> None:
            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1)
                sock = writer.get_extra_info("socket")
                linger = b"\1\0\0\0\0\0\0\0"
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"x")
            with self.assertRaises(ConnectionResetError):
                await reader.read(10)
            writer.close()
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    # Bad input

    def test_wrong_arguments(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            for wrong in ("x", 1.5, b""):
                theirs.send(b"xx")
                await until(lambda: reader._buffer)
                with self.assertRaises(TypeError):
                    await reader.read(wrong)
            call: Any
            for call in (lambda: reader.read(1, 2), lambda: reader.read(m=1)):
                with self.assertRaisesRegex(TypeError, r"read\(\)"):
                    call()
            for call in (reader.feed_data, lambda: reader.feed_data(b"", 1)):
                with self.assertRaisesRegex(TypeError, r"feed_data\(\)"):
                    call()
            with self.assertRaises(TypeError):
                reader.feed_data(5)
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_what_is_fed_by_hand(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            reader.feed_data(b"")
            reader.feed_data(bytearray(b"a"))
            reader.feed_data(memoryview(b"b"))
            reader.feed_data(data=b"c")
            self.assertEqual(await reader.read(10), b"abc")
            reader.feed_eof()
            with self.assertRaisesRegex(AssertionError, "feed_data after feed_eof"):
                reader.feed_data(b"x")
            with self.assertRaisesRegex(AssertionError, "_wait_for_data after EOF"):
                await reader._wait_for_data("read")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_an_exported_buffer_is_an_error_and_loses_nothing(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            reader.feed_data(b"abc")
            with memoryview(reader._buffer):
                with self.assertRaises(BufferError):
                    reader.feed_data(b"x")
                for count in (2, 10):
                    with self.assertRaises(BufferError):
                        await reader.read(count)
            self.assertEqual(await reader.read(10), b"abc")
            await self.end(writer, theirs)

        self.run_bounded(main())

    # What others have changed

    def test_a_protocol_and_a_reader_of_ones_own(self: Any) -> None:
        class Reader(asyncio.StreamReader):
            def feed_data(self, data: Any) -> None:
                super().feed_data(data.upper())

        class Protocol(asyncio.StreamReaderProtocol):
            def data_received(self, data: bytes) -> None:
                super().data_received(data + b"!")

        async def main() -> None:
            for make_reader, make_protocol, expected in (
                (Reader, asyncio.StreamReaderProtocol, b"ABC"),
                (asyncio.StreamReader, Protocol, b"abc!"),
                (Reader, Protocol, b"ABC!"),
            ):
                ours, theirs = socket.socketpair()
                reader = make_reader()
                protocol = make_protocol(reader)
                transport, _ = await self.loop.create_connection(lambda it=protocol: it, sock=ours)
                self.assertIs(type(reader), make_reader if expected != b"abc!" else type(reader))
                theirs.send(b"abc")
                self.assertEqual(await reader.read(10), expected)
                transport.abort()
                theirs.close()

        self.run_bounded(main())

    def test_what_is_patched_is_called(self: Any) -> None:
        async def main() -> None:
            calls: list[bytes] = []
            plain = asyncio.StreamReader.feed_data

            def feed(reader: asyncio.StreamReader, data: Any) -> None:
                calls.append(data)
                plain(reader, data)

            with mock.patch.object(asyncio.StreamReader, "feed_data", feed):
                reader, writer, theirs = await self.connect()
                theirs.send(b"abc")
                self.assertEqual(await reader.read(10), b"abc")
            await self.end(writer, theirs)
            reader, writer, theirs = await self.connect()
            reader.feed_data = lambda data: feed(reader, data)
            theirs.send(b"xyz")
            self.assertEqual(await reader.read(10), b"xyz")
            self.assertEqual(calls, [b"abc", b"xyz"])
            del reader.feed_data
            with mock.patch.object(asyncio.StreamReader, "feed_data", feed):
                theirs.send(b"later")
                self.assertEqual(await reader.read(10), b"later")
            self.assertEqual(calls[2:], [b"later"])
            with mock.patch.object(asyncio.StreamReader, "read", mock.AsyncMock(return_value=b"m")):
                self.assertEqual(await reader.read(10), b"m")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_data_for_a_reader_that_is_gone_is_dropped(self: Any) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            transport = writer.transport
            protocol = transport.get_protocol()
            del reader
            writer._reader = None
            gc.collect()
            theirs.send(b"nobody")
            await asyncio.sleep(0.01)
            protocol.data_received(b"nobody")
            theirs.shutdown(socket.SHUT_WR)
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_streams_over_pipes(self: Any) -> None:
        async def main() -> None:
            readable, writable = os.pipe()
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            with os.fdopen(readable, "rb", 0) as file:
                await self.loop.connect_read_pipe(lambda: protocol, file)
                os.write(writable, b"line\nrest")
                os.close(writable)
                self.assertEqual(await reader.readline(), b"line\n")
                self.assertEqual(await reader.read(), b"rest")

        self.run_bounded(main())


class OurStreams(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_what_native_code_stands_for_is_native(self) -> None:
        async def main() -> None:
            reader, writer, theirs = await self.connect()
            self.assertEqual(type(reader).__module__, "_coloop")
            self.assertEqual(type(writer.transport.get_protocol()).__module__, "_coloop")
            await self.end(writer, theirs)

        self.run_bounded(main())

    def test_a_protocol_without_its_init_is_left_alone(self) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            unfinished = asyncio.StreamReaderProtocol.__new__(asyncio.StreamReaderProtocol)
            unfinished.connection_made = lambda _: None  # type: ignore[method-assign]
            transport, _ = await self.loop.create_connection(lambda: unfinished, sock=ours)
            self.assertIs(type(unfinished), asyncio.StreamReaderProtocol)
            transport.abort()
            theirs.close()

        self.run_bounded(main())


class AsyncioStreams(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
