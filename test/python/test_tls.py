"""TLS of the owned loop, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
import sys
import unittest
import weakref
from typing import Any

from tls_peer import RESET, Echo, Peer, Small, client_context, connected, with_peer
from transports import Bounded, Recorder, TransportCase, until

import coloop


class Mixin(Bounded):
    # Data

    def test_megabytes_both_ways(self: Any) -> None:
        async def main() -> None:
            ours, theirs = await connected(self.loop, server=Echo)
            payload = os.urandom(5_000_000)
            ours.transport.write(payload)
            await until(lambda: len(ours.data) == len(payload))
            self.assertEqual(ours.data, payload)
            ours.transport.close()
            self.assertIsNone(await ours.lost)
            self.assertIsNone(await theirs.lost)

        self.run_bounded(main())

    def test_a_buffered_protocol_smaller_than_a_record(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop, Small)
            payload = os.urandom(300_500)
            await peer.write(payload)
            await until(lambda: len(protocol.data) == len(payload))
            self.assertEqual(protocol.data, payload)
            transport.abort()
            self.assertIsNone(await protocol.lost)
            peer.sock.close()

        self.run_bounded(main())

    def test_records_that_come_byte_by_byte(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            peer.tls.write(b"slow")
            peer.tls.write(b"ly")
            for byte in peer.outgoing.read():
                await self.loop.sock_sendall(peer.sock, bytes([byte]))
                await asyncio.sleep(0)
            await until(lambda: protocol.data == b"slowly")
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_what_is_written_is_taken_as_it_is_then(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            changing = bytearray(b"before")
            transport.write(changing)
            changing[:] = b"after!"
            transport.write(memoryview(b"-view-"))
            transport.write(b"")
            transport.writelines([b"two", bytearray(b"lines")])
            transport.write(data=b"-by-")
            transport.writelines(list_of_data=[b"na", b"me"])
            transport.set_protocol(protocol=protocol)
            self.assertEqual(await peer.read(28), b"before-view-twolines-by-name")
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_what_is_no_data_is_refused(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            for odd, name in (("text", "str"), (5, "int"), (None, "NoneType")):
                with self.assertRaisesRegex(
                    TypeError, f"^data: expecting a bytes-like instance, got {name}$"
                ):
                    transport.write(odd)
            self.assertFalse(transport.can_write_eof())
            with self.assertRaises(NotImplementedError):
                transport.write_eof()
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    # The end

    def test_what_was_written_before_close_arrives_and_then_the_end(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            payload = os.urandom(3_000_000)
            transport.write(payload)
            transport.close()
            transport.close()
            self.assertTrue(transport.is_closing())
            self.assertEqual(await peer.read(len(payload)), payload)
            self.assertEqual(await peer.do(peer.tls.read, 1), b"")  # its close_notify
            await peer.do(peer.tls.unwrap)
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls[-1], "lost")
            peer.sock.close()

        self.run_bounded(main())

    def test_the_peers_close_notify_is_the_end_of_both_directions(self: Any) -> None:
        class Stays(Recorder):
            def eof_received(self) -> bool:
                super().eof_received()
                return True

        async def main() -> None:
            with self.assertLogs("asyncio", logging.WARNING) as logs:
                transport, protocol, peer = await with_peer(self.loop, Stays)
                await peer.write(b"last words")
                await peer.do(peer.tls.unwrap)  # returns when ours has come
                self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls, ["made", "data", "eof", "lost"])
            self.assertTrue(transport.is_closing())
            self.assertEqual(
                [record.getMessage() for record in logs.records],
                ["returning true from eof_received() has no effect when using ssl"],
            )
            peer.sock.close()

        self.run_bounded(main())

    def test_an_end_without_close_notify_is_an_end(self: Any) -> None:
        async def main() -> None:
            _, protocol, peer = await with_peer(self.loop)
            await peer.write(b"cut")
            peer.sock.close()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls, ["made", "data", "eof", "lost"])

        self.run_bounded(main())

    def test_a_peer_that_ended_its_half_gets_what_was_written_for_it(self: Any) -> None:
        class Answers(Recorder):
            def eof_received(self) -> None:
                super().eof_received()

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.transport.write(payload)

        payload = os.urandom(4_000_000)

        async def main() -> None:
            _, protocol, peer = await with_peer(self.loop, Answers)
            await peer.write(b"all of it")
            peer.sock.shutdown(socket.SHUT_WR)
            await until(lambda: protocol.data)
            self.assertEqual(await peer.read(len(payload)), payload)
            self.assertIsNone(await protocol.lost)
            peer.sock.close()

        self.run_bounded(main())

    def test_a_peer_that_does_not_answer_close_notify_is_given_up(self: Any) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            peer = Peer(self.loop, theirs)
            below, protocol = await self.loop.create_connection(Recorder, sock=ours)
            upgrading = self.loop.create_task(
                self.loop.start_tls(
                    below,
                    protocol,
                    client_context(),
                    server_hostname="localhost",
                    ssl_shutdown_timeout=0.1,
                )
            )
            await peer.do(peer.tls.do_handshake)
            (await upgrading).close()
            with self.assertRaisesRegex(asyncio.TimeoutError, "^SSL shutdown timed out$"):
                raise await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_abort_ends_at_once(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            transport.write(b"x" * 5_000_000)
            transport.abort()
            transport.abort()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls.count("lost"), 1)
            self.assertTrue(transport.is_closing())
            transport.close()
            peer.sock.close()

        self.run_bounded(main())

    def test_writes_after_the_end_are_counted_and_said(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            transport.abort()
            with self.assertLogs("asyncio", logging.WARNING) as logs:
                for _ in range(7):
                    transport.write(b"lost")
                await protocol.lost
                transport.write(b"lost")
            texts = {record.getMessage() for record in logs.records}
            self.assertEqual(texts, {"SSL connection is closed"})
            peer.sock.close()

        self.run_bounded(main())

    def test_a_reset_is_told(self: Any) -> None:
        async def main() -> None:
            ours, theirs = await connected(self.loop)
            await until(lambda: theirs.transport)
            sock = theirs.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            theirs.transport.abort()
            self.assertIsInstance(await ours.lost, ConnectionResetError)
            self.assertNotIn("eof", ours.calls)

        self.run_bounded(main())

    def test_a_record_that_was_changed_ends_the_connection(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            peer.tls.write(b"good")
            peer.tls.write(b"bad")
            record = bytearray(peer.outgoing.read())
            record[-1] ^= 1
            await self.loop.sock_sendall(peer.sock, record)
            self.assertIsInstance(await protocol.lost, ssl.SSLError)
            self.assertTrue(transport.is_closing())
            self.assertEqual(self.problems, [])
            peer.sock.close()

        self.run_bounded(main())

    def test_what_a_protocol_raises_ends_the_connection_and_is_told(self: Any) -> None:
        class Raises(Recorder):
            def data_received(self, data: bytes) -> None:
                raise ZeroDivisionError("in data_received")

        async def main() -> None:
            _, protocol, peer = await with_peer(self.loop, Raises)
            await peer.write(b"x")
            self.assertIsInstance(await protocol.lost, ZeroDivisionError)
            self.assertEqual(
                [problem["message"] for problem in self.problems], ["Fatal error on SSL protocol"]
            )
            peer.sock.close()

        self.run_bounded(main())

    # Flow

    def test_paused_reading_holds_little_and_loses_nothing(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            transport.pause_reading()
            transport.pause_reading()
            self.assertFalse(transport.is_reading())
            payload = os.urandom(5_000_000)
            writing = self.loop.create_task(peer.write(payload))
            high = transport.get_read_buffer_limits()[1]
            await until(lambda: transport.get_read_buffer_size() >= high)
            for _ in range(50):
                await asyncio.sleep(0)
            self.assertLess(transport.get_read_buffer_size(), 1_000_000)
            self.assertEqual(protocol.data, b"")
            self.assertFalse(writing.done())
            transport.resume_reading()
            self.assertTrue(transport.is_reading())
            await until(lambda: len(protocol.data) == len(payload))
            self.assertEqual(protocol.data, payload)
            await writing
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_a_protocol_that_pauses_in_data_received(self: Any) -> None:
        class Pauses(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                self.transport.pause_reading()
                asyncio.get_running_loop().call_soon(self.transport.resume_reading)

        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop, Pauses)
            payload = os.urandom(2_000_000)
            await peer.write(payload)
            await until(lambda: len(protocol.data) == len(payload))
            self.assertEqual(protocol.data, payload)
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_a_slow_peer_pauses_the_writer(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            transport.set_write_buffer_limits(high=100_000, low=20_000)
            self.assertEqual(transport.get_write_buffer_limits(), (20_000, 100_000))
            piece = os.urandom(50_000)
            count = 0
            while "pause" not in protocol.calls:
                transport.write(piece)
                count += 1
                await asyncio.sleep(0)
            self.assertGreaterEqual(transport.get_write_buffer_size(), 100_000)
            self.assertEqual(await peer.read(count * len(piece)), piece * count)
            await until(lambda: "resume" in protocol.calls)
            self.assertEqual(protocol.calls, ["made", "pause", "resume"])
            self.assertEqual(transport.get_write_buffer_size(), 0)
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_limits_that_make_no_sense(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            for call in (transport.set_write_buffer_limits, transport.set_read_buffer_limits):
                text = r"^high \(1\) must be >= low \(2\) must be >= 0$"
                with self.assertRaisesRegex(ValueError, text):
                    call(high=1, low=2)
                call(high=float("inf"), low=0)
            self.assertGreaterEqual(transport.get_write_buffer_limits()[1], sys.maxsize)
            transport.set_read_buffer_limits(high=8000)
            self.assertEqual(transport.get_read_buffer_limits(), (2000, 8000))
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    # Leaks

    def test_nothing_keeps_what_has_ended(self: Any) -> None:
        async def main() -> weakref.ref[Any]:
            context = client_context()
            ours, theirs = await connected(self.loop, client_tls=context)
            ours.transport.close()
            await ours.lost
            await theirs.lost
            return weakref.ref(context)

        context = self.run_bounded(main())
        gc.collect()
        self.assertIsNone(context())

    def test_a_cancelled_handshake_leaves_nothing(self: Any) -> None:
        async def main() -> weakref.ref[Any]:
            context = client_context()
            ours, theirs = socket.socketpair()
            connecting = self.loop.create_connection(
                Recorder, sock=ours, ssl=context, server_hostname="localhost"
            )
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(connecting, 0.05)
            theirs.setblocking(False)
            while await self.loop.sock_recv(theirs, 1000):
                pass
            theirs.close()
            return weakref.ref(context)

        context = self.run_bounded(main())
        self.run_bounded(asyncio.sleep(0.01))
        gc.collect()
        self.assertIsNone(context())


class OurTls(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)


@unittest.skipIf(sys.version_info < (3, 11), "asyncio's TLS was another one before 3.11")
class AsyncioTls(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
