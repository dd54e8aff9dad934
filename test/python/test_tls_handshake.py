"""The handshake of TLS, start_tls, and what only our loop does; asyncio's own is the oracle."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import ssl
import sys
import tempfile
import types
import unittest
from typing import Any

from tls_peer import (
    CERTIFICATE,
    KEY,
    RESET,
    Echo,
    Peer,
    client_context,
    connected,
    server_context,
    with_peer,
)
from transports import Bounded, Recorder, TransportCase, until

import coloop


class Mixin(Bounded):
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
                accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
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
            self.assertIs(transport._ssl_protocol._sslcontext, context)
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

    def test_start_tls_on_a_connection_that_is_closed_here(self: Any) -> None:
        async def main(*, before: bool, how: str) -> None:
            ours, theirs = socket.socketpair()
            transport, protocol = await self.loop.create_connection(Recorder, sock=ours)
            close = getattr(transport, how)
            if before:
                close()
            else:
                self.loop.call_later(0.02, close)
            with theirs:
                self.assertIsNone(
                    await self.loop.start_tls(
                        transport, protocol, client_context(), server_hostname="localhost"
                    )
                )

        for before in (True, False):
            for how in ("close", "abort"):
                with self.subTest(before=before, how=how):
                    self.run_bounded(main(before=before, how=how))

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

    def test_the_end_is_not_told_while_reading_is_paused(self) -> None:
        payload = os.urandom(4_000_000)

        # asyncio loses what is left to write then.
        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop)
            transport.pause_reading()
            transport.write(payload)
            await peer.write(b"last")
            peer.sock.shutdown(socket.SHUT_WR)
            self.assertEqual(await peer.read(len(payload)), payload)
            await until(lambda: "resume" in protocol.calls)
            self.assertEqual(protocol.calls, ["made", "pause", "resume"])
            transport.resume_reading()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.data, b"last")
            self.assertEqual(protocol.calls[-2:], ["eof", "lost"])
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

    def test_no_data_after_an_end_that_get_buffer_makes(self) -> None:
        class Closing(Recorder, asyncio.BufferedProtocol):
            def get_buffer(self, _sizehint: int) -> bytearray:
                self.buffer = bytearray(2)
                if self.data:
                    self.transport.pause_reading()
                    self.transport.close()
                return self.buffer

            def buffer_updated(self, nbytes: int) -> None:
                self.data_received(self.buffer[:nbytes])

        async def main() -> None:
            transport, protocol, peer = await with_peer(self.loop, Closing)
            transport.pause_reading()
            await peer.write(b"four")
            peer.sock.close()
            await until(lambda: transport._state == 3)  # flushing
            transport.resume_reading()
            await protocol.lost
            self.assertEqual(protocol.calls, ["made", "data", "eof", "lost"])

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
