"""Datagram transports and the sock_* of datagrams, with asyncio's own as the oracle."""

from __future__ import annotations

import array
import asyncio
import errno
import os
import socket
import sys
import tempfile
import unittest
from typing import Any

from datagrams import Echo, Endpoints, Recorder, audits, closed, link_local, plain
from transports import TransportCase, until

import coloop


class Mixin(Endpoints):
    # What it is

    def test_it_is_what_asyncio_says(self: Any) -> None:
        async def main() -> None:
            transport, protocol = await self.endpoint()
            peer = transport.get_extra_info("sockname")
            other, other_protocol = await self.endpoint(remote_addr=peer)
            sock = transport.get_extra_info("socket")
            self.assertIsInstance(sock, asyncio.trsock.TransportSocket)
            self.assertEqual(sock.getsockname(), peer)
            self.assertIsNone(transport.get_extra_info("peername"))
            self.assertEqual(other.get_extra_info("peername"), peer)
            self.assertEqual(transport.get_extra_info("nothing", 7), 7)
            self.assertIn(f"fd={sock.fileno()}", repr(transport))
            self.assertIn("read=polling write=<idle, bufsize=0>", repr(transport))
            self.assertIs(transport.get_protocol(), protocol)
            self.assertEqual(transport.get_write_buffer_limits(), (16 * 1024, 64 * 1024))
            self.assertFalse(transport.is_closing())
            with self.assertRaisesRegex(RuntimeError, "is used by transport"):
                self.loop.add_reader(sock.fileno(), print)
            await closed(transport, protocol)
            await closed(other, other_protocol)
            self.assertIn("closed", repr(transport))
            self.assertEqual(sock.fileno(), -1)

        self.run_bounded(main())

    def test_options_reach_the_socket(self: Any) -> None:
        async def main() -> None:
            first, first_protocol = await self.endpoint(
                local_addr=("127.0.0.1", 0), reuse_port=True, allow_broadcast=True
            )
            address = first.get_extra_info("sockname")
            second, second_protocol = await self.endpoint(local_addr=address, reuse_port=True)
            sock = first.get_extra_info("socket")
            self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST), 1)
            self.assertEqual(sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT), 1)
            with self.assertRaises(OSError) as raised:
                await self.endpoint(local_addr=address)
            self.assertEqual(raised.exception.errno, errno.EADDRINUSE)
            await closed(first, first_protocol)
            await closed(second, second_protocol)

        self.run_bounded(main())

    # Both ways

    def test_an_echo_answers_many_peers_in_order(self: Any) -> None:
        async def main() -> None:
            transport, protocol = await self.endpoint(Echo)
            to = transport.get_extra_info("sockname")
            peers = [plain() for _ in range(100)]  # more than are remembered
            for turn in range(5):
                for number, peer in enumerate(peers):
                    peer.sendto(b"%d %d" % (number, turn), to)
                want = len(peers) * (turn + 1)
                await until(lambda want=want: len(protocol.received) == want)
            for number, peer in enumerate(peers):
                for turn in range(5):
                    self.assertEqual(peer.recvfrom(100), (b"%d %d" % (number, turn), to))
                peer.close()
            names = {addr for _, addr in protocol.received}
            self.assertEqual(len(names), len(peers))
            self.assertEqual(protocol.errors, [])
            await closed(transport, protocol)

        self.run_bounded(main())

    def test_a_connected_one_talks_to_its_peer_only(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint(remote_addr=peer.getsockname())
            transport.sendto(b"to the peer")
            transport.sendto(b"by its name", peer.getsockname())
            with self.assertRaisesRegex(ValueError, "Invalid address: must be None or"):
                transport.sendto(b"elsewhere", ("127.0.0.1", 1))
            data, name = peer.recvfrom(100)
            self.assertEqual((data, peer.recv(100)), (b"to the peer", b"by its name"))
            self.assertEqual(name, transport.get_extra_info("sockname"))
            peer.sendto(b"answer", name)
            await until(lambda: protocol.received)
            self.assertEqual(protocol.received, [(b"answer", peer.getsockname())])
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_one_with_an_address_but_no_connection_sends_there(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            stranger = plain()
            transport, protocol = await self.endpoint(
                remote_addr=peer.getsockname(), allow_broadcast=True
            )
            transport.sendto(b"data")
            data, name = peer.recvfrom(100)
            stranger.sendto(b"strange", ("127.0.0.1", name[1]))
            await until(lambda: protocol.received)
            self.assertEqual(data, b"data")
            self.assertEqual(protocol.received, [(b"strange", stranger.getsockname())])
            with self.assertRaises(ValueError):
                transport.sendto(b"back", stranger.getsockname())
            await closed(transport, protocol)
            peer.close()
            stranger.close()

        self.run_bounded(main())

    def test_addresses_of_every_form_are_understood(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            port = peer.getsockname()[1]
            transport, protocol = await self.endpoint()
            for host in ("127.0.0.1", "localhost", "127.1", type("Name", (str,), {})("127.0.0.1")):
                for _ in range(2):
                    transport.sendto(host.encode(), (host, port))
                    self.assertEqual(peer.recv(100), host.encode())
            self.assertEqual(protocol.errors, [])
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_ipv6_has_four_parts(self: Any) -> None:
        async def main() -> None:
            peer = plain(socket.AF_INET6, "::1")
            transport, protocol = await self.endpoint(Echo, local_addr=("::1", 0))
            to = transport.get_extra_info("sockname")
            self.assertEqual(to[0], "::1")
            self.assertEqual(len(to), 4)
            for count, data in enumerate((b"a", b"b"), 1):
                peer.sendto(data, to)
                await until(lambda count=count: len(protocol.received) == count)
                self.assertEqual(peer.recvfrom(100), (data, to))
            for address in (peer.getsockname()[:2], ("0:0::1", peer.getsockname()[1], 0)):
                transport.sendto(b"short", address)
                self.assertEqual(peer.recvfrom(100), (b"short", to))
            self.assertEqual(protocol.received[0], (b"a", peer.getsockname()))
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_a_zone_is_the_scope_and_no_part_of_the_host(self: Any) -> None:
        found = link_local()
        if found is None:
            self.skipTest("this machine has no link-local IPv6 address")
        host, interface = found

        async def main() -> None:
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            sock.bind((host, 0, 0, interface))
            transport, protocol = await self.endpoint(Echo, sock=sock)
            peer = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            peer.bind((host, 0, 0, interface))
            peer.settimeout(10)
            to = transport.get_extra_info("sockname")
            self.assertEqual((to[0], to[3]), (host, interface))
            peer.sendto(b"data", to)
            await until(lambda: protocol.received)
            self.assertEqual(protocol.received, [(b"data", peer.getsockname())])
            self.assertEqual(protocol.received[0][1][3], interface)
            self.assertEqual(peer.recvfrom(100), (b"data", to))
            name = socket.if_indextoname(interface)
            transport.sendto(b"by name", (f"{host}%{name}", peer.getsockname()[1]))
            transport.sendto(b"by number", (host, peer.getsockname()[1], 0, interface))
            self.assertEqual((peer.recv(100), peer.recv(100)), (b"by name", b"by number"))
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_a_full_receiver_that_goes_away(self: Any) -> None:
        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "receiver")
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
                    receiver.bind(path)
                    transport, protocol = await self.endpoint(
                        family=socket.AF_UNIX, local_addr=os.path.join(folder, "sender")
                    )
                    while transport.get_write_buffer_size() == 0:
                        transport.sendto(b"x", path)
                    for _ in range(3):
                        transport.sendto(b"x", path)
                # Not for an empty buffer: asyncio's of 3.13.0 does not count what an error took.
                await until(lambda: len(protocol.errors) == 4)
                errors = [type(error) for error in protocol.errors]
                self.assertEqual(errors, [ConnectionRefusedError] * 4)
                await closed(transport, protocol)

        self.run_bounded(main())

    def test_unix_datagrams(self: Any) -> None:
        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "server")
                transport, protocol = await self.endpoint(
                    Echo, family=socket.AF_UNIX, local_addr=path
                )
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                    peer.bind(os.path.join(folder, "peer"))
                    peer.settimeout(10)
                    for size in (1, 1000, 100_000):
                        peer.sendto(bytes(size), path)
                        await until(lambda size=size: len(protocol.received[-1:]) == 1)
                        await until(lambda size=size: len(protocol.received[-1][0]) == size)
                        self.assertEqual(peer.recvfrom(200_000), (bytes(size), path))
                    self.assertEqual(protocol.received[0][1], peer.getsockname())
                client, client_protocol = await self.endpoint(
                    family=socket.AF_UNIX, local_addr=f"\0coloop-{os.getpid()}", remote_addr=path
                )
                client.sendto(b"abstract")
                await until(lambda: client_protocol.received)
                self.assertEqual(client_protocol.received, [(b"abstract", path)])
                self.assertEqual(client.get_extra_info("peername"), path)
                await closed(client, client_protocol)
                await closed(transport, protocol)

        self.run_bounded(main())

    def test_a_sender_without_a_name_has_none(self: Any) -> None:
        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "server")
                transport, protocol = await self.endpoint(family=socket.AF_UNIX, local_addr=path)
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                    peer.sendto(b"data", path)
                await until(lambda: protocol.received)
                self.assertEqual(protocol.received, [(b"data", None)])
                await closed(transport, protocol)

        self.run_bounded(main())

    def test_empty_datagrams_arrive_and_are_sent_where_python_sends_them(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint()
            to = transport.get_extra_info("sockname")
            peer.sendto(b"", to)
            await until(lambda: protocol.received)
            self.assertEqual(protocol.received, [(b"", peer.getsockname())])
            transport.sendto(b"", peer.getsockname())
            transport.sendto(bytearray(), peer.getsockname())
            transport.sendto(b"end", peer.getsockname())
            got = [peer.recv(100)]
            while got[-1] != b"end":
                got.append(peer.recv(100))
            sent = [b"", b""] if sys.version_info >= (3, 13) else []
            self.assertEqual(got, [*sent, b"end"])
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_the_largest_datagrams_are_whole(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint(Echo)
            data = os.urandom(65_507)
            for _ in range(3):
                peer.sendto(data, transport.get_extra_info("sockname"))
                self.assertEqual(await self.loop.run_in_executor(None, peer.recv, 100_000), data)
            self.assertEqual([len(data) for data, _ in protocol.received], [65_507] * 3)
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_data_of_every_bytes_like_kind(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint(remote_addr=peer.getsockname())
            numbers = array.array("i", [1, 2, 3])
            for data in (b"x", bytearray(b"yy"), memoryview(b"zzz")[1:], memoryview(numbers)):
                transport.sendto(data)
                self.assertEqual(peer.recv(100), bytes(data))
            transport.sendto(data=b"named", addr=None)
            self.assertEqual(peer.recv(100), b"named")
            for wrong in ("text", None, 7, [b"x"], numbers):
                with self.assertRaisesRegex(TypeError, "data argument must be a bytes-like object"):
                    transport.sendto(wrong)
            for call in (
                lambda: transport.sendto(),
                lambda: transport.sendto(b"", None, 3),
                lambda: transport.sendto(b"", wrong=1),
                lambda: transport.sendto(b"", None, addr=None),
            ):
                with self.assertRaises(TypeError):
                    call()
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_each_send_is_audited_and_a_hook_may_send_elsewhere(self: Any) -> None:
        async def main() -> None:
            peer, other = plain(), plain()
            transport, protocol = await self.endpoint()
            seen: list[Any] = []

            def look(sock: Any, address: Any) -> None:
                seen.append(address)
                if address == peer.getsockname():
                    transport.sendto(b"from the hook", other.getsockname())

            audits.append(look)
            try:
                transport.sendto(b"data", peer.getsockname())
            finally:
                audits.clear()
            self.assertEqual(seen, [peer.getsockname(), other.getsockname()])
            self.assertEqual((peer.recv(100), other.recv(100)), (b"data", b"from the hook"))
            await closed(transport, protocol)
            peer.close()
            other.close()

        self.run_bounded(main())

    # Errors

    def test_a_refused_datagram_is_an_error_and_no_end(self: Any) -> None:
        async def main() -> None:
            gone = plain()
            address = gone.getsockname()
            gone.close()
            transport, protocol = await self.endpoint(remote_addr=address)
            for count in (1, 2):
                transport.sendto(b"x")
                await until(lambda count=count: len(protocol.errors) >= count)
            self.assertTrue(all(isinstance(e, ConnectionRefusedError) for e in protocol.errors))
            with plain() as peer:
                # Nothing of it stays behind: what comes later is received.
                transport.sendto(b"x")
                await until(lambda: len(protocol.errors) >= 3)
                del peer
            self.assertFalse(transport.is_closing())
            await closed(transport, protocol)
            self.assertEqual(protocol.calls, ["made", "lost"])

        self.run_bounded(main())

    def test_an_error_between_datagrams_loses_none(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            address = peer.getsockname()
            transport, protocol = await self.endpoint(remote_addr=address)
            name = transport.get_extra_info("sockname")
            for count in range(1, 21):
                peer.sendto(b"before", name)
                peer.close()
                transport.sendto(b"x")  # refused: an error in the queue behind the datagram
                peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                peer.bind(address)
                peer.sendto(b"after", name)
                await until(lambda count=count: len(protocol.received) == 2 * count)
                await until(lambda count=count: len(protocol.errors) == count)
            self.assertEqual([data for data, _ in protocol.received], [b"before", b"after"] * 20)
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_a_datagram_that_is_too_long_is_an_error(self: Any) -> None:
        async def main() -> None:
            transport, protocol = await self.endpoint(remote_addr=("127.0.0.1", 9))
            transport.sendto(bytes(70_000))
            self.assertEqual([e.errno for e in protocol.errors], [errno.EMSGSIZE])
            self.assertEqual(transport.get_write_buffer_size(), 0)
            await closed(transport, protocol)

        self.run_bounded(main())

    def test_an_address_of_another_kind_is_fatal(self: Any) -> None:
        async def main() -> None:
            for wrong in (None, "host", ("127.0.0.1",), ("127.0.0.1", 70_000), (1, 2), ["", 1]):
                transport, protocol = await self.endpoint()
                transport.sendto(b"x", wrong)
                self.assertTrue(transport.is_closing())
                error = await protocol.lost
                self.assertIsInstance(error, (TypeError, OverflowError))
                self.assertIs(self.problems[-1]["exception"], error)
                message = "Fatal write error on datagram transport"
                self.assertEqual(self.problems[-1]["message"], message)
                self.assertIs(self.problems[-1]["transport"], transport)

        self.run_bounded(main())

    def test_what_a_protocol_raises_is_reported_and_the_rest_arrives(self: Any) -> None:
        class Raising(Recorder):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                super().datagram_received(data, addr)
                raise ValueError(data)

            def error_received(self, exc: Exception) -> None:
                super().error_received(exc)
                raise KeyError("told")

        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint(Raising)
            for number in range(20):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            await until(lambda: len(self.problems) == 20)
            self.assertEqual(
                [problem["exception"].args[0] for problem in self.problems],
                [b"%d" % number for number in range(20)],
            )
            with self.assertRaisesRegex(KeyError, "told"):
                transport.sendto(bytes(70_000), peer.getsockname())
            self.assertFalse(transport.is_closing())
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())


class OurDatagrams(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioDatagrams(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
