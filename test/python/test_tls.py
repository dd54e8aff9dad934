"""TLS of the owned loop, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
import struct
import sys
import tempfile
import types
import unittest
import weakref
from typing import Any

from tls_peer import (
    CERTIFICATE,
    KEY,
    Peer,
    client_context,
    connected,
    server_context,
    with_peer,
)
from transports import Bounded, Recorder, TransportCase, until

import coloop

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class Small(asyncio.BufferedProtocol):
    """Its buffer holds less than a record."""

    def __init__(self) -> None:
        self.buffer = bytearray(1000)
        self.data = bytearray()
        self.lost: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self.buffer)

    def buffer_updated(self, nbytes: int) -> None:
        self.data += self.buffer[:nbytes]

    def connection_lost(self, exc: BaseException | None) -> None:
        self.lost.set_result(exc)


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
            self.assertEqual(await peer.read(20), b"before-view-twolines")
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
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
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

    # Handshake

    def test_a_reset_in_the_handshake(self: Any) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                listening.setblocking(False)
                connecting = self.loop.create_task(
                    self.loop.create_connection(
                        Recorder, *listening.getsockname(), ssl=client_context()
                    )
                )
                accepted, _ = await self.loop.sock_accept(listening)
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                accepted.close()
                with self.assertRaises(ConnectionResetError):
                    await connecting

        self.run_bounded(main())

    def test_an_end_in_the_handshake(self: Any) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            theirs.shutdown(socket.SHUT_WR)
            with theirs, self.assertRaises(ConnectionResetError):
                await self.loop.create_connection(
                    Recorder, sock=ours, ssl=client_context(), server_hostname="localhost"
                )

        self.run_bounded(main())

    def test_a_server_that_never_answers(self: Any) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            text = "SSL handshake is taking longer than 0.1 seconds: aborting the connection"
            with theirs, self.assertRaisesRegex(ConnectionAbortedError, f"^{text}$"):
                await self.loop.create_connection(
                    Recorder,
                    sock=ours,
                    ssl=client_context(),
                    server_hostname="localhost",
                    ssl_handshake_timeout=0.1,
                )

        self.run_bounded(main())

    def test_clients_that_never_finish_or_talk_something_else(self: Any) -> None:
        async def main() -> None:
            protocols: list[Recorder] = []

            def factory() -> Recorder:
                protocols.append(Recorder())
                return protocols[-1]

            server = await self.loop.create_server(
                factory, "127.0.0.1", 0, ssl=server_context(), ssl_handshake_timeout=0.2
            )
            for said in (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
                sock = socket.socket()
                sock.setblocking(False)
                await self.loop.sock_connect(sock, server.sockets[0].getsockname())
                await self.loop.sock_sendall(sock, said)
                try:
                    while await self.loop.sock_recv(sock, 1000):
                        pass
                except ConnectionResetError:
                    pass
                sock.close()
            self.assertEqual([protocol.calls for protocol in protocols], [[], [], []])
            self.assertEqual(self.problems, [])
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_in_debug_mode_a_failed_handshake_of_a_client_is_told(self: Any) -> None:
        async def main() -> None:
            self.loop.set_debug(True)
            server = await self.loop.create_server(Recorder, "127.0.0.1", 0, ssl=server_context())
            sock = socket.socket()
            sock.setblocking(False)
            await self.loop.sock_connect(sock, server.sockets[0].getsockname())
            await self.loop.sock_sendall(sock, b"GET / HTTP/1.1\r\n\r\n")
            await until(lambda: self.problems)
            sock.close()
            server.close()
            [problem] = self.problems
            self.assertEqual(
                problem["message"], "Error on transport creation for incoming connection"
            )
            self.assertIsInstance(problem["exception"], ssl.SSLError)
            self.assertIsInstance(problem["protocol"], Recorder)
            self.assertIn("transport", problem)

        logging.getLogger("asyncio").disabled = True
        self.addCleanup(setattr, logging.getLogger("asyncio"), "disabled", False)
        self.run_bounded(main())

    def test_a_certificate_that_is_not_trusted_or_is_anothers(self: Any) -> None:
        async def main() -> None:
            strict = ssl.create_default_context()
            for context, name in ((strict, "localhost"), (client_context(), "other.example")):
                ours, theirs = socket.socketpair()
                peer = Peer(self.loop, theirs)
                connecting = self.loop.create_task(
                    self.loop.create_connection(
                        Recorder, sock=ours, ssl=context, server_hostname=name
                    )
                )
                with theirs, self.assertRaises((ssl.SSLError, ConnectionError)):
                    await peer.do(peer.tls.do_handshake)
                    await peer.do(peer.tls.read, 1)
                with self.assertRaises(ssl.SSLCertVerificationError):
                    await connecting
            self.assertEqual(self.problems, [])

        self.run_bounded(main())

    def test_alpn_sni_and_client_certificates(self: Any) -> None:
        async def main() -> None:
            asked: list[Any] = []
            server_tls, client_tls = server_context(), client_context()
            server_tls.set_alpn_protocols(["h2", "http/1.1"])
            client_tls.set_alpn_protocols(["http/1.1", "h2"])
            server_tls.sni_callback = lambda _tls, name, _context: asked.append(name)
            server_tls.verify_mode = ssl.CERT_REQUIRED
            server_tls.load_verify_locations(CERTIFICATE)
            client_tls.load_cert_chain(CERTIFICATE, KEY)
            ours, theirs = await connected(self.loop, server_tls=server_tls, client_tls=client_tls)
            # The server's handshake ends after the client's.
            await until(lambda: theirs.transport)
            for end in (ours, theirs):
                tls = end.transport.get_extra_info("ssl_object")
                self.assertEqual(tls.selected_alpn_protocol(), "h2")
                subject = end.transport.get_extra_info("peercert")["subject"]
                self.assertIn((("commonName", "localhost"),), subject)
            self.assertEqual(asked, ["localhost"])
            ours.transport.close()
            await ours.lost
            await theirs.lost

        self.run_bounded(main())

    def test_extra_info(self: Any) -> None:
        async def main() -> None:
            context = client_context()
            ours, theirs = await connected(self.loop, client_tls=context)
            transport = ours.transport
            ask = transport.get_extra_info
            self.assertIs(ask("sslcontext"), context)
            self.assertIsInstance(ask("ssl_object"), ssl.SSLObject)
            self.assertEqual(ask("cipher"), ask("ssl_object").cipher())
            self.assertIsNone(ask("compression", "none"))
            self.assertEqual(ask("sockname"), ask("socket").getsockname())
            self.assertEqual(ask("peername"), ask("socket").getpeername())
            self.assertEqual(ask("nothing", 5), 5)
            self.assertIsInstance(transport, asyncio.Transport)
            self.assertIs(transport.get_protocol(), ours)
            transport.close()
            await ours.lost
            self.assertIs(ask("sslcontext"), context)
            self.assertIsNone(ask("socket"))
            await theirs.lost

        self.run_bounded(main())

    def test_bad_arguments(self: Any) -> None:
        async def main() -> None:
            loop = self.loop
            for method in (loop.create_server, loop.create_unix_server):
                with self.assertRaisesRegex(TypeError, "must be an SSLContext or None"):
                    await method(Recorder, None, ssl=True)
            for bad in (0, -1):
                ours, theirs = socket.socketpair()
                text = f"^ssl_handshake_timeout should be a positive number, got {bad}$"
                with ours, theirs, self.assertRaisesRegex(ValueError, text):
                    await loop.create_connection(
                        Recorder,
                        sock=ours,
                        ssl=client_context(),
                        server_hostname="localhost",
                        ssl_handshake_timeout=bad,
                    )
            ours, theirs = socket.socketpair()
            transport, protocol = await loop.create_connection(Recorder, sock=ours)
            for odd in (None, True, "tls"):
                with self.assertRaisesRegex(TypeError, "expected to be an instance of ssl.SSLC"):
                    await loop.start_tls(transport, protocol, odd)
            with self.assertRaisesRegex(TypeError, r"is not supported by start_tls\(\)"):
                await loop.start_tls(object(), protocol, client_context())
            transport.abort()
            await protocol.lost
            theirs.close()

        self.run_bounded(main())

    # start_tls

    def test_start_tls_on_both_sides_and_again_over_tls(self: Any) -> None:
        async def upgrade(client: Recorder, server: Recorder) -> None:
            client.transport, server.transport = await asyncio.gather(
                self.loop.start_tls(
                    client.transport, client, client_context(), server_hostname="localhost"
                ),
                self.loop.start_tls(server.transport, server, server_context(), server_side=True),
            )

        async def main() -> None:
            ours, theirs = socket.socketpair()
            _, client = await self.loop.create_connection(Recorder, sock=ours)
            _, server = await self.loop.connect_accepted_socket(Recorder, theirs)
            client.transport.write(b"STARTTLS")
            await until(lambda: server.data == b"STARTTLS")
            payload = os.urandom(300_000)
            for _ in range(2):
                await upgrade(client, server)
                server.data.clear()
                client.transport.write(payload)
                await until(lambda: len(server.data) == len(payload))
                self.assertEqual(server.data, payload)
            self.assertEqual(client.calls, ["made"])
            server.transport.close()
            self.assertIsNone(await client.lost)
            self.assertIsNone(await server.lost)

        self.run_bounded(main())

    def test_unix_sockets(self: Any) -> None:
        async def main(path: str) -> None:
            server = await self.loop.create_unix_server(Echo, path, ssl=server_context())
            transport, protocol = await self.loop.create_unix_connection(
                Recorder, path, ssl=client_context(), server_hostname="localhost"
            )
            transport.write(b"over a path")
            await until(lambda: protocol.data == b"over a path")
            transport.close()
            self.assertIsNone(await protocol.lost)
            server.close()

        with tempfile.TemporaryDirectory() as folder:
            self.run_bounded(main(os.path.join(folder, "s")))

    def test_an_sslobject_class_of_the_users_is_used(self: Any) -> None:
        seen: list[str] = []

        class Noting(ssl.SSLObject):
            def read(self, *args: Any) -> Any:
                seen.append("read")
                return super().read(*args)

            def write(self, data: Any) -> int:
                seen.append("write")
                return super().write(data)

        async def main() -> None:
            context = client_context()
            context.sslobject_class = Noting
            ours, theirs = await connected(self.loop, server=Echo, client_tls=context)
            payload = os.urandom(200_000)
            ours.transport.write(payload)
            await until(lambda: ours.data == payload)
            self.assertEqual(set(seen), {"read", "write"})
            ours.transport.close()
            await ours.lost
            await theirs.lost

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

    def test_the_peer_is_told_why_its_certificate_was_refused(self) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            peer = Peer(self.loop, theirs)
            connecting = self.loop.create_task(
                self.loop.create_connection(
                    Recorder,
                    sock=ours,
                    ssl=ssl.create_default_context(),
                    server_hostname="localhost",
                )
            )
            with self.assertRaisesRegex(ssl.SSLError, "UNKNOWN_CA"):
                await peer.do(peer.tls.do_handshake)
                await peer.do(peer.tls.read, 1)
            with self.assertRaises(ssl.SSLCertVerificationError):
                await connecting
            theirs.close()

        self.run_bounded(main())

    def test_a_large_write_is_not_encrypted_ahead(self) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            payload = bytes(20_000_000)
            transport.write(payload)
            self.assertEqual(protocol.calls, ["made", "pause"])
            self.assertGreater(transport.get_write_buffer_size(), 15_000_000)
            self.assertEqual(len(await peer.read(len(payload))), len(payload))
            await until(lambda: "resume" in protocol.calls)
            transport.abort()
            await protocol.lost
            peer.sock.close()

        self.run_bounded(main())

    def test_close_ends_what_waits_paused_after_the_peers_end(self) -> None:
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            transport.pause_reading()
            await peer.write(b"not wanted")
            peer.sock.close()
            await until(lambda: transport._state == 3)  # flushing
            transport.close()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.data, b"")

        self.run_bounded(main())

    def test_a_transport_below_that_ends_ends_the_handshake(self) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            transport, protocol = await self.loop.create_connection(Recorder, sock=ours)
            self.loop.call_later(0.02, transport.abort)
            with theirs, self.assertRaisesRegex(ConnectionAbortedError, "not completed"):
                await self.loop.start_tls(
                    transport, protocol, client_context(), server_hostname="localhost"
                )

        self.run_bounded(main())

    def test_a_connection_costs_little(self) -> None:
        async def main() -> None:
            ours, theirs = await connected(self.loop)
            ours.transport.write(b"x" * 1_000_000)
            await until(lambda: len(theirs.data) == 1_000_000)
            theirs.data.clear()
            self.assertLess(self.size_of(ours.transport), 24_000)
            self.assertLess(self.size_of(theirs.transport), 24_000)
            ours.transport.close()
            await ours.lost
            await theirs.lost

        self.run_bounded(main())

    def size_of(self, root: Any) -> int:
        """The bytes of all that it holds, but for what connections share."""
        shared = (type, types.ModuleType, types.FunctionType, types.FrameType, ssl.SSLContext)
        seen: dict[int, Any] = {}
        found = [root]
        while found:
            each = found.pop()
            if id(each) in seen or each is self.loop or isinstance(each, shared):
                continue
            seen[id(each)] = each
            found += gc.get_referents(each)
        return sum(sys.getsizeof(each) for each in seen.values())


@unittest.skipIf(sys.version_info < (3, 11), "asyncio's TLS was another one before 3.11")
class AsyncioTls(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
