"""The StreamWriters that a server is given, with asyncio's as the oracle: on a loop of ours their
write() and drain() are native, and those of a client call a native _drain_helper()."""

from __future__ import annotations

import asyncio
import collections.abc
import gc
import os
import socket
import unittest
import warnings
from typing import Any
from unittest import mock

from transports import Bounded, TransportCase, until

import coloop

MUCH = b"x" * 10_000_000


class Mixin(Bounded):
    async def connect(self: Any) -> tuple[Any, Any, socket.socket]:
        """What a server's callback is given, and the other end as a plain socket."""
        given = self.loop.create_future()
        name = f"\0coloop-{os.getpid()}-{id(given)}"
        server = await asyncio.start_unix_server(
            lambda reader, writer: given.set_result((reader, writer)), name
        )
        theirs = socket.socket(socket.AF_UNIX)
        theirs.connect(name)
        theirs.setblocking(False)
        reader, writer = await given
        server.close()
        return reader, writer, theirs

    async def end(self, writer: Any, theirs: socket.socket) -> None:
        theirs.close()
        writer.transport.abort()
        await asyncio.wait([asyncio.ensure_future(writer.wait_closed())])

    def run_each(self: Any, main: Any) -> None:
        """With a server's streams, then with a client's."""

        async def client() -> tuple[Any, Any, socket.socket]:
            ours, theirs = socket.socketpair()
            theirs.setblocking(False)
            return (*await asyncio.open_connection(sock=ours), theirs)

        async def whole(connect: Any) -> None:
            reader, writer, theirs = await connect()
            await main(reader, writer, theirs)
            await self.end(writer, theirs)

        for connect in (self.connect, client):
            with self.subTest(connect.__name__):
                self.run_bounded(whole(connect))

    def test_a_writer_stays_what_asyncio_calls_it(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            self.assertIsInstance(writer, asyncio.StreamWriter)
            self.assertRegex(
                repr(writer), r"^<StreamWriter transport=<.*> reader=<StreamReader .*>>$"
            )
            self.assertIsNone(writer.write(b"abc"))
            self.assertIsNone(writer.write(data=b"def"))
            self.assertIsNone(await writer.drain())
            self.assertEqual(theirs.recv(10), b"abcdef")
            for wrong in (None, "text", 5):
                with self.assertRaises(TypeError):
                    writer.write(wrong)
            for arguments in ((), (b"a", b"b")):
                with self.assertRaises(TypeError):
                    writer.write(*arguments)
            with self.assertRaises(TypeError):
                writer.drain(1)

        self.run_each(main)

    def test_drain_is_a_coroutine(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            coroutine = writer.drain()
            self.assertTrue(asyncio.iscoroutine(coroutine))
            self.assertIsInstance(coroutine, collections.abc.Coroutine)
            self.assertEqual(coroutine.__name__, "drain")
            self.assertEqual(coroutine.__qualname__, "StreamWriter.drain")
            await coroutine
            with self.assertRaisesRegex(RuntimeError, "cannot reuse already awaited coroutine"):
                await coroutine
            await asyncio.gather(writer.drain(), asyncio.create_task(writer.drain()))
            coroutine = writer.drain()
            coroutine.close()
            with self.assertRaises(StopIteration) as stop:
                writer.drain().send(None)
            self.assertIsNone(stop.exception.value)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                writer.drain()
                gc.collect()
            self.assertEqual(
                [str(each.message) for each in caught if each.category is RuntimeWarning],
                ["coroutine 'StreamWriter.drain' was never awaited"],
            )

        self.run_each(main)

    def test_drain_waits_for_room(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            helper: Any = writer.transport.get_protocol()
            writer.write(MUCH)
            drains = [asyncio.create_task(writer.drain()) for _ in range(4)]
            await asyncio.sleep(0.01)
            self.assertEqual([each.done() for each in drains], [False] * 4)
            self.assertEqual(len(helper._drain_waiters), 4)
            drains[0].cancel()
            with self.assertRaises(asyncio.CancelledError):
                await drains[0]
            self.assertEqual(len(helper._drain_waiters), 3)

            by_hand = writer.drain()
            self.assertFalse(by_hand.send(None).done())
            self.assertEqual(len(helper._drain_waiters), 4)
            with self.assertRaisesRegex(KeyError, "thrown"):
                by_hand.throw(KeyError("thrown"))
            self.assertEqual(len(helper._drain_waiters), 3)
            by_hand = writer.drain()
            by_hand.send(None)
            by_hand.close()
            self.assertEqual(len(helper._drain_waiters), 3)
            by_hand = writer.drain()
            by_hand.send(None)
            del by_hand
            gc.collect()
            self.assertEqual(len(helper._drain_waiters), 3)

            received = 0
            while received < len(MUCH):
                received += len(await self.loop.sock_recv(theirs, 1 << 20))
            self.assertEqual(await asyncio.gather(*drains[1:]), [None] * 3)
            self.assertEqual(len(helper._drain_waiters), 0)

        self.run_each(main)

    def test_drain_tells_of_a_broken_connection(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            writer.write(MUCH)
            waits = asyncio.create_task(writer.drain())
            await asyncio.sleep(0)
            theirs.close()
            with self.assertRaises((BrokenPipeError, ConnectionResetError)):
                await waits
            await until(lambda: reader.exception() or reader.at_eof())
            with self.assertRaises(ConnectionError):
                await writer.drain()

        self.run_each(main)

    def test_drain_raises_what_the_reader_was_told(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            reader.set_exception(KeyError("of the reader"))
            with self.assertRaisesRegex(KeyError, "of the reader"):
                await writer.drain()

        self.run_each(main)

    def test_drain_of_what_is_closing(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            before = writer.drain()
            writer.close()
            for drain in (before, writer.drain()):
                with self.assertRaisesRegex(ConnectionResetError, "Connection lost"):
                    await drain

        self.run_each(main)

    def test_what_is_patched_is_called(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            async def told(*_: Any) -> str:
                return "patched"

            writer_class = asyncio.StreamWriter
            flow: Any = asyncio.streams.FlowControlMixin  # type: ignore[attr-defined]
            with mock.patch.object(writer_class, "drain", told):
                self.assertEqual(await writer.drain(), "patched")
            with mock.patch.object(writer_class, "write", lambda _, data: data):
                self.assertEqual(writer.write(b"abc"), b"abc")
            helped = mock.AsyncMock()
            with mock.patch.object(flow, "_drain_helper", helped):
                await writer.drain()
            helped.assert_awaited_once()
            protocol = writer.transport.get_protocol()
            with mock.patch.object(protocol, "_drain_helper", helped):
                await writer.drain()
            self.assertEqual(helped.await_count, 2)
            with (
                mock.patch.object(reader, "exception", lambda: KeyError("patched")),
                self.assertRaisesRegex(KeyError, "patched"),
            ):
                await writer.drain()
            writer.write(b"abc")
            await writer.drain()
            self.assertEqual(theirs.recv(10), b"abc")

        self.run_each(main)

    def test_what_is_patched_is_called_as_asyncios(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            kept, plain_drain = writer.write, writer.drain
            with mock.patch.object(asyncio.StreamWriter, "write") as no_function:
                writer.write(b"mocked")
            no_function.assert_called_once_with(b"mocked")
            with mock.patch.object(asyncio.StreamWriter, "write", wraps=kept) as spy:
                writer.write(b"abc")
            spy.assert_called_once_with(b"abc")
            self.assertEqual(theirs.recv(10), b"abc")

            drained = 0

            async def drain(_: Any) -> None:
                nonlocal drained
                drained += 1
                await plain_drain()

            with mock.patch.object(asyncio.StreamWriter, "drain", drain):
                await writer.drain()
            self.assertEqual(drained, 1)

            with (
                mock.patch.object(type(reader), "exception", lambda _: KeyError("of the type")),
                self.assertRaisesRegex(KeyError, "of the type"),
            ):
                await writer.drain()
            flow: Any = type(writer.transport.get_protocol())
            with mock.patch.object(flow, "_drain_helper", mock.AsyncMock()) as helper:
                await writer.drain()
            helper.assert_awaited_once()

            fed: list[bytes] = []
            with mock.patch.object(type(reader), "feed_data", lambda _, data: fed.append(data)):
                theirs.send(b"to the type")
                await until(lambda: fed)
            self.assertEqual(fed, [b"to the type"])
            with mock.patch.object(
                asyncio.StreamReader, "_wait_for_data", mock.AsyncMock()
            ) as wait:
                self.assertEqual(await reader.read(1), b"")
            wait.assert_awaited_once_with("read")

        self.run_each(main)

    def test_the_callback_is_the_programs_own(self: Any) -> None:
        seen: list[bool] = []

        async def main() -> None:
            name = f"\0coloop-{os.getpid()}-{id(seen)}"

            def serve(reader: Any, writer: Any) -> None:
                protocol = writer.transport.get_protocol()
                seen.append(protocol._client_connected_cb is serve)
                del protocol._client_connected_cb
                writer.transport.abort()
                raise KeyError("of the callback")

            server = await asyncio.start_unix_server(serve, name)
            with socket.socket(socket.AF_UNIX) as theirs:
                theirs.connect(name)
                await until(lambda: self.problems)
            server.close()

        self.run_bounded(main())
        self.assertEqual(seen, [True])
        self.assertIsInstance(self.problems[0]["exception"], KeyError)

    def test_debug_mode_tells_where_a_drain_was_made(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", RuntimeWarning)
                writer.drain()
                gc.collect()
            told = [str(each.message) for each in caught if each.category is RuntimeWarning]
            self.assertRegex(
                told[0], "'StreamWriter.drain' was never awaited\nCoroutine created at"
            )

        self.loop.set_debug(True)
        self.run_each(main)

    def test_a_writer_without_a_reader(self: Any) -> None:
        async def main(reader: Any, writer: Any, theirs: socket.socket) -> None:
            writer._reader = None
            writer.write(b"abc")
            await writer.drain()
            self.assertEqual(theirs.recv(10), b"abc")

        self.run_each(main)

    def test_a_callback_that_fails_or_is_patched(self: Any) -> None:
        async def main() -> None:
            def fail(reader: Any, writer: Any) -> None:
                raise KeyError("of the test")

            name = f"\0coloop-{os.getpid()}-{id(fail)}"
            server = await asyncio.start_unix_server(fail, name)
            with socket.socket(socket.AF_UNIX) as theirs:
                theirs.connect(name)
                await until(lambda: self.problems)
            self.assertIsInstance(self.problems[0]["exception"], KeyError)
            server.close()

            class Own(asyncio.StreamWriter):
                pass

            with mock.patch.object(asyncio.streams, "StreamWriter", Own):
                _, writer, theirs = await self.connect()
            self.assertIs(type(writer), Own)
            await self.end(writer, theirs)

        self.run_bounded(main())


class OurWriters(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_what_native_code_stands_for_is_native(self) -> None:
        async def main() -> None:
            _, writer, theirs = await self.connect()
            self.assertEqual(type(writer).__module__, "_coloop")
            self.assertEqual(type(writer.drain()).__name__, "StreamCoroutine")
            await self.end(writer, theirs)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # one that was not awaited
            self.run_bounded(main())


class AsyncioWriters(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
