"""Pipe transports of the owned loop, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import pty
import socket
import tempfile
import unittest
import warnings
from typing import Any

from transports import Bounded, Recorder, TransportCase, until

import coloop


class Failing(Recorder):
    """Raises at the first data."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.calls.count("data") == 1:
            raise ValueError("of the protocol")


class Mixin(Bounded):
    async def reader(self: Any, factory: Any = Recorder) -> tuple[Any, Any, int]:
        """The transport and protocol of a pipe's reading end, and the other end."""
        r, w = os.pipe()
        return *await self.loop.connect_read_pipe(factory, os.fdopen(r, "rb", 0)), w

    async def writer(self: Any) -> tuple[Any, Any, int]:
        r, w = os.pipe()
        os.set_blocking(r, False)
        return *await self.loop.connect_write_pipe(Recorder, os.fdopen(w, "wb", 0)), r

    # Reading

    def test_what_is_written_arrives_and_then_the_end(self: Any) -> None:
        async def main() -> None:
            transport, protocol, w = await self.reader()
            payload = os.urandom(1_000_000)
            task = self.loop.run_in_executor(None, self.write_all, w, payload)
            self.assertIsNone(await protocol.lost)
            await task
            self.assertEqual(bytes(protocol.data), payload)
            self.assertEqual(protocol.calls[0], "made")
            self.assertEqual(protocol.calls[-2:], ["eof", "lost"])
            self.assertTrue(transport.is_closing())
            await self.loop.shutdown_default_executor()

        self.run_bounded(main())

    @staticmethod
    def write_all(fd: int, data: bytes) -> None:
        with os.fdopen(fd, "wb") as file:
            file.write(data)

    def test_what_is_there_before_the_end_is_read_first(self: Any) -> None:
        async def main() -> None:
            r, w = os.pipe()
            os.write(w, b"before")
            os.close(w)
            _transport, protocol = await self.loop.connect_read_pipe(Recorder, os.fdopen(r, "rb"))
            await protocol.lost
            self.assertEqual(bytes(protocol.data), b"before")
            self.assertEqual(protocol.calls, ["made", "data", "eof", "lost"])

        self.run_bounded(main())

    def test_reading_can_pause(self: Any) -> None:
        async def main() -> None:
            transport, protocol, w = await self.reader()
            # asyncio's pipes of 3.10 do not tell.
            tells = type(transport).is_reading is not asyncio.ReadTransport.is_reading
            self.assertTrue(not tells or transport.is_reading())
            transport.pause_reading()
            transport.pause_reading()
            self.assertFalse(tells and transport.is_reading())
            os.write(w, b"one")
            for _ in range(5):
                await asyncio.sleep(0)
            self.assertEqual(bytes(protocol.data), b"")
            transport.resume_reading()
            transport.resume_reading()
            await until(lambda: protocol.data)
            transport.pause_reading()
            os.write(w, b"two")
            os.close(w)
            transport.resume_reading()
            await protocol.lost
            self.assertEqual(bytes(protocol.data), b"onetwo")

        self.run_bounded(main())

    def test_closing_stops_reading_and_closes_the_pipe(self: Any) -> None:
        async def main() -> None:
            transport, protocol, w = await self.reader()
            pipe = transport.get_extra_info("pipe")
            os.write(w, b"x")
            transport.close()
            transport.close()
            self.assertTrue(transport.is_closing())
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls, ["made", "lost"])
            await until(lambda: pipe.closed)
            with self.assertRaises(BrokenPipeError):
                os.write(w, b"x")
            os.close(w)

        self.run_bounded(main())

    def test_a_protocol_that_raises_goes_on(self: Any) -> None:
        async def main() -> None:
            _transport, protocol, w = await self.reader(Failing)
            os.write(w, b"one")
            await until(lambda: self.problems)
            self.assertIsInstance(self.problems[0]["exception"], ValueError)
            os.write(w, b"two")
            os.close(w)
            await protocol.lost
            self.assertEqual(bytes(protocol.data), b"onetwo")

        self.run_bounded(main())

    def test_a_terminal_whose_other_side_closes_is_an_error_that_is_not_told(self: Any) -> None:
        async def main() -> None:
            primary, secondary = pty.openpty()
            file = os.fdopen(primary, "rb", 0)
            _transport, protocol = await self.loop.connect_read_pipe(Recorder, file)
            os.write(secondary, b"text")
            await until(lambda: protocol.data)
            os.close(secondary)
            self.assertEqual((await protocol.lost).errno, errno.EIO)
            self.assertEqual(bytes(protocol.data), b"text")
            self.assertEqual(self.problems, [])

        self.run_bounded(main())

    def test_a_socket_can_be_either_end(self: Any) -> None:
        async def main() -> None:
            a, b = socket.socketpair()
            reader, r = await self.loop.connect_read_pipe(Recorder, a)
            writer, w = await self.loop.connect_write_pipe(Recorder, b)
            writer.write(b"through")
            await until(lambda: r.data)
            reader.close()
            self.assertIsNone(await r.lost)
            self.assertIsNone(await w.lost)  # its reader has gone
            self.assertEqual(bytes(r.data), b"through")

        self.run_bounded(main())

    def test_another_protocol_gets_what_comes_next(self: Any) -> None:
        async def main() -> None:
            transport, first, w = await self.reader()
            os.write(w, b"one")
            await until(lambda: first.data)
            second = Recorder()
            transport.set_protocol(second)
            self.assertIs(transport.get_protocol(), second)
            os.write(w, b"two")
            os.close(w)
            await second.lost
            self.assertEqual((bytes(first.data), bytes(second.data)), (b"one", b"two"))

        self.run_bounded(main())

    # Writing

    def test_writes_are_seen_at_once(self: Any) -> None:
        async def main() -> None:
            transport, protocol, r = await self.writer()
            transport.write(b"one")
            transport.write(bytearray(b"two"))
            transport.write(memoryview(b"three")[1:])
            transport.writelines([b"4", b"5"])
            transport.write(data=b"6")
            transport.set_protocol(protocol=protocol)
            self.assertEqual(os.read(r, 100), b"onetwohree456")
            self.assertEqual(transport.get_write_buffer_size(), 0)
            transport.close()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(os.read(r, 100), b"")
            os.close(r)

        self.run_bounded(main())

    def test_what_does_not_fit_waits_and_close_waits_for_it(self: Any) -> None:
        async def main() -> None:
            transport, protocol, r = await self.writer()
            payload = os.urandom(500_000)
            transport.write(payload)
            self.assertEqual(protocol.calls, ["made", "pause"])
            left = transport.get_write_buffer_size()
            self.assertTrue(0 < left < len(payload))
            transport.write_eof()
            transport.write(b"too late")
            self.assertTrue(transport.is_closing())
            self.assertEqual(transport.get_write_buffer_size(), left)
            got = bytearray()
            while len(got) < len(payload):
                try:
                    got += os.read(r, 100_000)
                except BlockingIOError:
                    await asyncio.sleep(0)
            self.assertIsNone(await protocol.lost)
            self.assertEqual(bytes(got), payload)
            self.assertEqual(os.read(r, 10), b"")
            self.assertEqual(protocol.calls, ["made", "pause", "resume", "lost"])
            os.close(r)

        self.run_bounded(main())

    def test_the_reader_goes_away(self: Any) -> None:
        async def main() -> None:
            transport, protocol, r = await self.writer()
            os.close(r)
            self.assertIsNone(await protocol.lost)
            self.assertTrue(transport.is_closing())
            self.assertEqual(self.problems, [])

        self.run_bounded(main())

    def test_the_reader_goes_away_before_it_has_all(self: Any) -> None:
        async def main() -> None:
            for closing in (False, True):
                transport, protocol, r = await self.writer()
                transport.write(b"x" * 500_000)
                if closing:
                    transport.close()
                os.close(r)
                self.assertIsInstance(await protocol.lost, BrokenPipeError)
                self.assertEqual(transport.get_write_buffer_size(), 0)
            self.assertEqual(self.problems, [])

        self.run_bounded(main())

    def test_a_write_without_a_reader_ends_it_and_later_ones_are_dropped(self: Any) -> None:
        async def main() -> None:
            transport, protocol, r = await self.writer()
            os.close(r)
            with self.assertLogs("asyncio", logging.WARNING) as logs:
                for _ in range(6):
                    transport.write(b"x")
            self.assertEqual(len(logs.output), 1)
            self.assertIn("pipe closed by peer or os.write(pipe, data) raised", logs.output[0])
            self.assertIsInstance(await protocol.lost, BrokenPipeError)

        self.run_bounded(main())

    def test_abort_drops_what_is_not_written(self: Any) -> None:
        async def main() -> None:
            transport, protocol, r = await self.writer()
            transport.write(b"x" * 500_000)
            transport.abort()
            self.assertIsNone(await protocol.lost)
            total = 0
            while chunk := os.read(r, 100_000):
                total += len(chunk)
            self.assertLess(total, 500_000)
            os.close(r)

        self.run_bounded(main())

    def test_devices_can_be_written_to(self: Any) -> None:
        async def main() -> None:
            file = os.fdopen(os.open("/dev/null", os.O_WRONLY), "wb", 0)
            transport, protocol = await self.loop.connect_write_pipe(Recorder, file)
            transport.write(b"x" * 100_000)
            self.assertEqual(transport.get_write_buffer_size(), 0)
            transport.close()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(self.problems, [])

        self.run_bounded(main())

    def test_a_terminal_that_is_full_is_waited_for_and_its_input_is_not_read(self: Any) -> None:
        async def main() -> None:
            primary, secondary = pty.openpty()
            os.set_blocking(secondary, False)
            file = os.fdopen(primary, "wb", 0)
            transport, protocol = await self.loop.connect_write_pipe(Recorder, file)
            os.write(secondary, b"input")
            lines = [b"%06d\n" % i for i in range(20_000)]
            transport.writelines(lines)
            self.assertGreater(transport.get_write_buffer_size(), 0)
            got = 0
            while got < len(lines):
                try:
                    got += os.read(secondary, 100_000).count(b"\n")
                except BlockingIOError:
                    await asyncio.sleep(0)
            self.assertEqual(protocol.calls, ["made", "pause", "resume"])
            transport.close()
            self.assertIsNone(await protocol.lost)
            os.close(secondary)

        self.run_bounded(main())

    # Both

    def test_what_is_no_pipe_is_refused(self: Any) -> None:
        async def main() -> None:
            with tempfile.TemporaryFile() as file:
                with self.assertRaisesRegex(ValueError, "Pipe transport is for pipes/sockets only"):
                    await self.loop.connect_read_pipe(Recorder, file)
                with self.assertRaisesRegex(
                    ValueError, "Pipe transport is only for pipes, sockets and character devices"
                ):
                    await self.loop.connect_write_pipe(Recorder, file)
                self.assertFalse(file.closed)

        self.run_bounded(main())

    def test_what_they_are(self: Any) -> None:
        async def main() -> None:
            reader, r, w = await self.reader()
            writer, p, other = await self.writer()
            self.assertIsInstance(reader, asyncio.ReadTransport)
            self.assertNotIsInstance(reader, asyncio.WriteTransport)
            self.assertFalse(hasattr(reader, "write"))
            self.assertIsInstance(writer, asyncio.WriteTransport)
            self.assertTrue(writer.can_write_eof())
            for transport in (reader, writer):
                pipe = transport.get_extra_info("pipe")
                self.assertFalse(os.get_blocking(pipe.fileno()))
                self.assertIn(f"fd={pipe.fileno()} ", repr(transport))
                self.assertIsNone(transport.get_extra_info("socket"))
                self.assertEqual(transport.get_extra_info("nothing", 3), 3)
            self.assertIn("polling", repr(reader))
            self.assertIn("idle bufsize=0", repr(writer))
            writer.set_write_buffer_limits(high=10)
            self.assertEqual(writer.get_write_buffer_limits(), (2, 10))
            with self.assertRaises(AssertionError):
                writer.write("text")
            reader.close()
            writer.close()
            self.assertIn("closing", repr(reader))
            await r.lost
            await p.lost
            await asyncio.sleep(0)
            self.assertIn("closed", repr(writer))
            os.close(w)
            os.close(other)

        self.run_bounded(main())

    def test_unclosed_ones_are_told_and_closed(self: Any) -> None:
        async def main() -> tuple[Any, int, Any, int]:
            reader, _r, w = await self.reader()
            writer, _p, r = await self.writer()
            return reader.get_extra_info("pipe"), w, writer.get_extra_info("pipe"), r

        a, w, b, r = self.run_bounded(main())
        self.loop.close()
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always", ResourceWarning)
            gc.collect()
        unclosed = [each for each in told if "unclosed transport" in str(each.message)]
        self.assertEqual(len(unclosed), 2)
        self.assertTrue(a.closed and b.closed)
        os.close(w)
        os.close(r)

    def test_in_debug_mode_the_peers_end_is_logged(self: Any) -> None:
        async def main() -> None:
            _transport, protocol, w = await self.reader()
            _other, written, r = await self.writer()
            os.close(w)
            os.close(r)
            await protocol.lost
            await written.lost

        self.loop.set_debug(True)
        with self.assertLogs("asyncio", logging.INFO) as logs:
            self.run_bounded(main())
        self.assertEqual(sum("was closed by peer" in line for line in logs.output), 2)


class OurPipes(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_a_closed_file_is_refused(self) -> None:
        async def main() -> None:
            r, w = os.pipe()
            file = os.fdopen(r, "rb")
            file.close()
            with self.assertRaises(ValueError):
                await self.loop.connect_read_pipe(Recorder, file)
            os.close(w)

        self.run_bounded(main())

    def test_they_are_counted(self) -> None:
        async def main() -> None:
            _reader, r, w = await self.reader()
            self.assertEqual(self.loop.metrics()["handles"]["pipes"], 1)
            os.close(w)
            await r.lost
            self.assertEqual(self.loop.metrics()["handles"]["pipes"], 0)

        self.run_bounded(main())


class AsyncioPipes(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
