"""Stream transports of the owned loop, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import threading
import unittest
from typing import Any

from transports import Bounded, Recorder, TransportCase, pair, until

import _coloop
import coloop


class Mixin(Bounded):
    # Writing

    def test_what_was_written_before_close_arrives_and_then_the_end(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            payload = os.urandom(3_000_000)
            transport.write(payload)
            transport.close()
            self.assertTrue(transport.is_closing())
            got = bytearray()
            while chunk := await self.loop.sock_recv(peer, 100_000):
                got += chunk
            self.assertEqual(bytes(got), payload)
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls[0], "made")
            self.assertEqual(protocol.calls[-1], "lost")
            peer.close()

        self.run_bounded(main())

    def test_closed_by_connection_made_everything_arrives(self: Any) -> None:
        payload = os.urandom(3_000_000)

        class Once(Recorder):
            def connection_made(self, transport: Any) -> None:
                super().connection_made(transport)
                transport.write(payload)
                transport.close()

        async def main() -> None:
            ours, peer = socket.socketpair()
            peer.setblocking(False)
            _transport, protocol = await self.loop.create_connection(Once, sock=ours)
            got = bytearray()
            while chunk := await self.loop.sock_recv(peer, 100_000):
                got += chunk
            self.assertEqual(bytes(got), payload)
            self.assertIsNone(await protocol.lost)
            peer.close()

        self.run_bounded(main())

    def test_the_size_of_the_write_buffer_is_what_the_kernel_did_not_take(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            transport.write(b"x" * 100)
            self.assertEqual(transport.get_write_buffer_size(), 0)
            self.assertEqual(peer.recv(1000), b"x" * 100)
            transport.write(b"y" * 10_000_000)
            left = transport.get_write_buffer_size()
            self.assertGreater(left, 1_000_000)
            self.assertEqual(protocol.calls, ["made", "pause"])
            total = 0
            while total < 10_000_000:
                total += len(await self.loop.sock_recv(peer, 1_000_000))
            await until(lambda: "resume" in protocol.calls)
            self.assertEqual(transport.get_write_buffer_size(), 0)
            transport.abort()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    def test_abort_drops_what_is_not_sent(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            transport.write(b"x" * 10_000_000)
            transport.abort()
            self.assertIsNone(await protocol.lost)
            total = 0
            while chunk := await self.loop.sock_recv(peer, 1_000_000):
                total += len(chunk)
            self.assertLess(total, 10_000_000)
            peer.close()

        self.run_bounded(main())

    def test_writes_of_every_bytes_like_kind_keep_their_order_and_value(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            changing = bytearray(b"bb")
            transport.write(b"a")
            transport.write(changing)
            changing[:] = b"XX"
            transport.write(memoryview(b"_cc_")[1:3])
            transport.writelines([b"d", bytearray(b"e"), memoryview(b"f")])
            transport.write(b"")
            transport.write_eof()
            got = b""
            while chunk := await self.loop.sock_recv(peer, 1000):
                got += chunk
            self.assertEqual(got, b"abbccdef")
            with self.assertRaisesRegex(RuntimeError, r"Cannot call write\(\) after write_eof\(\)"):
                transport.write(b"g")
            for wrong in ("text", None, 7, [b"x"]):
                with self.assertRaises(TypeError):
                    transport.write(wrong)
            transport.close()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    def test_arguments_may_be_named(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            transport.write(data=b"one ")
            transport.writelines(list_of_data=[b"two ", b"three"])
            for wrong in ({}, {"lines": []}, {"data": b"", "list_of_data": []}):
                for method in (transport.write, transport.writelines, transport.set_protocol):
                    with self.assertRaises(TypeError):
                        method(**wrong)
            with self.assertRaises(TypeError):
                transport.write(b"one", data=b"two")
            successor = Recorder()
            transport.set_protocol(protocol=successor)
            self.assertIs(transport.get_protocol(), successor)
            transport.close()
            await successor.lost
            self.assertFalse(protocol.lost.done())
            self.assertEqual(peer.recv(100), b"one two three")
            peer.close()

        self.run_bounded(main())

    def test_a_dead_peer_loses_the_connection_and_writes_are_only_counted(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            peer.close()
            transport.write(b"x")
            await protocol.lost
            with self.assertLogs("asyncio", logging.WARNING) as logs:
                for _ in range(10):
                    transport.write(b"y")
            self.assertIn("socket.send() raised exception.", logs.output[0])

        self.run_bounded(main())

    def test_flow_control_limits_are_checked(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            self.assertEqual(transport.get_write_buffer_limits(), (16 * 1024, 64 * 1024))
            transport.set_write_buffer_limits(high=10)
            self.assertEqual(transport.get_write_buffer_limits(), (2, 10))
            with self.assertRaises(ValueError):
                transport.set_write_buffer_limits(high=1, low=2)
            for odd in ("1", [1], 1j):
                with self.assertRaises(TypeError):
                    transport.set_write_buffer_limits(high=odd)
            transport.set_write_buffer_limits(high=2.5, low=0.5)
            low, high = transport.get_write_buffer_limits()
            self.assertEqual((int(low), int(high)), (0, 2))
            for endless in (float("inf"), 2**70, 10**400):
                transport.set_write_buffer_limits(high=endless, low=0)
                self.assertGreaterEqual(transport.get_write_buffer_limits()[1], sys.maxsize)
                transport.write(bytes(1 << 20))
                self.assertGreater(transport.get_write_buffer_size(), 0)
            self.assertEqual(protocol.calls, ["made"])
            transport.abort()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    # Reading

    def test_nothing_is_lost_while_reading_is_paused(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            self.assertTrue(transport.is_reading())
            transport.pause_reading()
            transport.pause_reading()
            await self.loop.sock_sendall(peer, b"x" * 100_000)
            peer.close()
            for _ in range(5):
                await asyncio.sleep(0.002)
            self.assertEqual(protocol.calls, ["made"])
            transport.resume_reading()
            await protocol.lost
            self.assertEqual(len(protocol.data), 100_000)
            self.assertEqual(protocol.calls[-2:], ["eof", "lost"])

        self.run_bounded(main())

    def test_a_protocol_that_pauses_in_data_received_gets_the_rest_later(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            seen: list[int] = []

            def data_received(data: bytes) -> None:
                seen.append(len(data))
                transport.pause_reading()
                self.loop.call_later(0.001, transport.resume_reading)

            protocol.data_received = data_received
            await self.loop.sock_sendall(peer, b"z" * 2_000_000)
            await until(lambda: sum(seen) == 2_000_000)
            self.assertGreater(len(seen), 1)
            transport.close()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    def test_half_closed_by_the_peer_it_still_writes(self: Any) -> None:
        class KeepsOpen(Recorder):
            def eof_received(self) -> bool:
                super().eof_received()
                return True

        async def main() -> None:
            ours, peer = socket.socketpair()
            peer.setblocking(False)
            transport, protocol = await self.loop.create_connection(KeepsOpen, sock=ours)
            await self.loop.sock_sendall(peer, b"question")
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: "eof" in protocol.calls)
            self.assertFalse(transport.is_closing())
            transport.write(b"answer")
            self.assertEqual(await self.loop.sock_recv(peer, 100), b"answer")
            transport.write(b"w" * 3_000_000)  # room for it comes later, with events
            received = 0
            while received < 3_000_000:
                received += len(await self.loop.sock_recv(peer, 100_000))
            transport.close()
            await protocol.lost
            self.assertEqual(protocol.calls.count("eof"), 1)
            peer.close()

        self.run_bounded(main())

    def test_an_exception_of_the_protocol_ends_the_transport(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            failure = ValueError("in data_received")

            def data_received(data: bytes) -> None:
                raise failure

            protocol.data_received = data_received
            await self.loop.sock_sendall(peer, b"x")
            self.assertIs(await protocol.lost, failure)
            (problem,) = self.problems
            self.assertIs(problem["exception"], failure)
            self.assertIs(problem["transport"], transport)
            self.assertEqual(
                problem["message"], "Fatal error: protocol.data_received() call failed."
            )
            peer.close()

        self.run_bounded(main())

    def test_a_buffered_protocol_reads_into_its_own_buffer(self: Any) -> None:
        class Buffered(asyncio.BufferedProtocol):
            def __init__(self) -> None:
                self.buffer = bytearray(7)
                self.got = bytearray()
                self.ended = asyncio.get_running_loop().create_future()

            def get_buffer(self, sizehint: int) -> bytearray:
                return self.buffer

            def buffer_updated(self, nbytes: int) -> None:
                self.got += self.buffer[:nbytes]

            def connection_lost(self, exc: BaseException | None) -> None:
                self.ended.set_result(exc)

        async def main() -> None:
            ours, peer = socket.socketpair()
            peer.setblocking(False)
            _transport, protocol = await self.loop.create_connection(Buffered, sock=ours)
            payload = os.urandom(100_000)
            await self.loop.sock_sendall(peer, payload)
            peer.close()
            self.assertIsNone(await protocol.ended)
            self.assertEqual(bytes(protocol.got), payload)

        self.run_bounded(main())

    def test_an_empty_buffer_is_an_error(self: Any) -> None:
        class Empty(asyncio.BufferedProtocol):
            def __init__(self) -> None:
                self.ended = asyncio.get_running_loop().create_future()

            def get_buffer(self, sizehint: int) -> bytearray:
                return bytearray()

            def connection_lost(self, exc: BaseException | None) -> None:
                self.ended.set_result(exc)

        async def main() -> None:
            ours, peer = socket.socketpair()
            peer.setblocking(False)
            _transport, protocol = await self.loop.create_connection(Empty, sock=ours)
            await self.loop.sock_sendall(peer, b"x")
            exc = await protocol.ended
            self.assertIsInstance(exc, RuntimeError)
            self.assertEqual(str(exc), "get_buffer() returned an empty buffer")
            peer.close()

        self.run_bounded(main())


class OurTransport(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_writes_of_one_callback_arrive_together(self) -> None:
        async def main() -> None:
            # A packet for each system call.
            ours, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            protocol = Recorder()
            transport = self.loop._make_socket_transport(ours, protocol)
            transport.write(b"head")
            self.assertEqual(peer.recv(100), b"head")  # at once
            transport.write(b"body")
            transport.writelines([b"1", b"2"])
            await asyncio.sleep(0)
            self.assertEqual(peer.recv(100), b"body12")
            # It writes more than once in a callback, so the first waits for the others.
            transport.write(b"head")
            transport.write(b"body")
            await asyncio.sleep(0)
            self.assertEqual(peer.recv(100), b"headbody")
            transport.write(b"head")
            transport.write(b"body")
            self.assertFalse(transport.is_closing())  # drain() asks that
            self.assertEqual(peer.recv(100), b"headbody")
            await asyncio.sleep(0)
            transport.write(b"one")
            await asyncio.sleep(0)
            self.assertEqual(peer.recv(100), b"one")
            transport.write(b"one")
            self.assertEqual(peer.recv(100), b"one")
            await asyncio.sleep(0)
            transport.writelines([b"all ", b"of ", b"them"])
            self.assertEqual(peer.recv(100), b"all of them")
            transport.close()
            await protocol.lost
            peer.close()

        self.run_bounded(main())

    def test_a_transport_that_was_not_initialised_says_so(self) -> None:
        from _erlang_impl._transport import StreamTransport

        transport: Any = StreamTransport.__new__(StreamTransport)
        for call in (transport.close, transport.get_protocol, transport.is_reading):
            with self.assertRaisesRegex(RuntimeError, "not initialised"):
                call()
        other: Any = asyncio.new_event_loop()
        self.addCleanup(other.close)
        a, b = socket.socketpair()
        with a, b, self.assertRaisesRegex(TypeError, "ErlangEventLoop"):
            StreamTransport(other, a, asyncio.Protocol())

    def test_a_transport_that_lost_its_protocol_takes_what_is_asked_of_it(self) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            transport.write(b"x" * 10_000_000)
            transport._call_connection_lost(None)
            await protocol.lost
            transport.set_write_buffer_limits(high=0)
            transport._maybe_pause_protocol()
            transport._call_connection_lost(None)
            transport.write(b"y")
            transport.write_eof()
            transport.resume_reading()
            transport.abort()
            transport.close()
            self.assertEqual(transport.get_write_buffer_size(), 0)
            peer.close()

        self.run_bounded(main())

    def test_a_transport_is_initialised_once_even_while_it_asks_for_the_descriptor(self) -> None:
        from _erlang_impl._transport import StreamTransport

        class Nosy:
            def __init__(self, sock: socket.socket) -> None:
                self.sock = sock

            def fileno(self) -> int:
                if transport._sock_fd < 0:
                    StreamTransport.__init__(transport, loop, self.sock, asyncio.Protocol())
                return self.sock.fileno()

            def close(self) -> None:
                self.sock.close()

        loop = self.loop
        ours, theirs = socket.socketpair()
        transport = StreamTransport.__new__(StreamTransport)
        sock: Any = Nosy(ours)
        with theirs, self.assertRaisesRegex(RuntimeError, "is initialised"):
            StreamTransport.__init__(transport, loop, sock, asyncio.Protocol())
        transport.abort()
        self.run_bounded(asyncio.sleep(0.01))
        self.assertEqual(ours.fileno(), -1)

    def test_an_acceptor_makes_transports_of_ours_only(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            for odd in (int, object, 5, None):
                with self.assertRaisesRegex(TypeError, "a subclass of Stream"):
                    kind: Any = odd
                    _coloop.Acceptor(self.loop, listening.fileno(), asyncio.Protocol, kind, None, 1)

    def test_writes_from_another_thread_arrive(self) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)
            thread = threading.Thread(target=lambda: [transport.write(b"x") for _ in range(1000)])
            thread.start()
            got = b""
            while len(got) < 1000:
                got += await self.loop.sock_recv(peer, 1000)
            thread.join()
            self.assertEqual(got, b"x" * 1000)
            transport.close()
            await protocol.lost
            peer.close()

        self.run_bounded(main())


class AsyncioTransport(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
