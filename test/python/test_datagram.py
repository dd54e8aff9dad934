"""Datagram transports and the sock_* of datagrams, with asyncio's own as the oracle."""

from __future__ import annotations

import array
import asyncio
import contextvars
import errno
import gc
import logging
import os
import socket
import sys
import tempfile
import unittest
import warnings
from collections.abc import Callable
from typing import Any

from transports import Bounded, TransportCase, until

import coloop

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="none")

audits: list[Callable[[Any, Any], None]] = []


def audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "socket.sendto":
        for look in audits:
            look(*arguments)


sys.addaudithook(audit)  # there is no way to take one out


class Recorder(asyncio.DatagramProtocol):
    """Notes the order in which it is called, and with what."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.received: list[tuple[bytes, Any]] = []
        self.errors: list[Any] = []
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.calls.append("made")

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append((data, addr))

    def error_received(self, exc: Exception) -> None:
        self.errors.append(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


class Echo(Recorder):
    transport: Any

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        super().datagram_received(data, addr)
        self.transport.sendto(data, addr)


def plain(family: int = socket.AF_INET, host: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind((host, 0))
    sock.settimeout(10)
    return sock


def link_local() -> tuple[str, int] | None:
    """An address of this machine that needs a zone, and its interface."""
    try:
        with open("/proc/net/if_inet6") as file:
            lines = file.read().splitlines()
    except OSError:
        return None
    for line in lines:
        digits, index, _, scope, *_ = line.split()
        if scope == "20":
            packed = bytes.fromhex(digits)
            return socket.inet_ntop(socket.AF_INET6, packed), int(index, 16)
    return None


async def closed(transport: Any, protocol: Recorder) -> None:
    transport.close()
    await protocol.lost


async def full_pair(loop: Any) -> tuple[Any, Recorder, socket.socket, int]:
    """A transport whose peer takes no more; how many datagrams it has."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    theirs.setblocking(False)
    ours.setblocking(False)
    # The end of the pair has no name, by which asyncio knows it: it is given one.
    extra = {"peername": "peer"}
    waiter = loop.create_future()
    protocol = Recorder()
    transport = loop._make_datagram_transport(ours, protocol, None, waiter, extra)
    await waiter
    count = 0
    while transport.get_write_buffer_size() == 0:
        transport.sendto(b"%06d" % count + bytes(1000))
        count += 1
    return transport, protocol, theirs, count


async def numbers(loop: Any, sock: socket.socket, count: int) -> list[int]:
    """The numbers of so many datagrams of full_pair."""
    return [int((await loop.sock_recv(sock, 2000))[:6]) for _ in range(count)]


class Mixin(Bounded):
    async def endpoint(self: Any, make: Any = Recorder, **options: Any) -> tuple[Any, Any]:
        if not options:
            options = {"local_addr": ("127.0.0.1", 0)}
        return await self.loop.create_datagram_endpoint(make, **options)

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

    # Flow control

    def test_what_finds_no_room_is_kept_and_sent_in_order(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer, count = await full_pair(self.loop)
            self.assertIn("write=<polling", repr(transport))
            while "pause" not in protocol.calls:
                transport.sendto(b"%06d" % count + bytes(1000))
                count += 1
            size = transport.get_write_buffer_size()
            header = 8 if sys.version_info >= (3, 13) else 0
            self.assertEqual(size % (1006 + header), 0)
            self.assertTrue(64 * 1024 < size <= 64 * 1024 + 1006 + header)
            self.assertEqual(await numbers(self.loop, peer, count), list(range(count)))
            self.assertEqual(protocol.calls, ["made", "pause", "resume"])
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_what_waits_is_sent_before_the_end(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer, count = await full_pair(self.loop)
            transport.close()
            transport.sendto(b"%06d" % count + bytes(1000))
            await asyncio.sleep(0)
            self.assertFalse(protocol.lost.done())
            self.assertEqual(await numbers(self.loop, peer, count + 1), list(range(count + 1)))
            self.assertIsNone(await protocol.lost)
            self.assertEqual(protocol.calls[-1], "lost")
            peer.close()

        self.run_bounded(main())

    def test_abort_drops_what_waits(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer, count = await full_pair(self.loop)
            transport.abort()
            transport.abort()
            transport.close()
            self.assertIsNone(await protocol.lost)
            self.assertEqual(await numbers(self.loop, peer, count - 1), list(range(count - 1)))
            with self.assertRaises(BlockingIOError):
                peer.recv(100)
            self.assertEqual(protocol.calls.count("lost"), 1)
            peer.close()

        self.run_bounded(main())

    def test_an_error_of_what_waited_is_told_and_the_rest_is_sent(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer, count = await full_pair(self.loop)
            transport.sendto(bytes(10_000_000))
            transport.sendto(b"%06d" % count)
            self.assertEqual(protocol.errors, [])
            self.assertEqual(await numbers(self.loop, peer, count + 1), list(range(count + 1)))
            self.assertEqual([e.errno for e in protocol.errors], [errno.EMSGSIZE])
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_resume_runs_in_the_context_of_the_call_that_found_no_room(self: Any) -> None:
        contexts: list[str] = []

        class Noting(Recorder):
            def resume_writing(self) -> None:
                contexts.append(variable.get())

            def datagram_received(self, data: bytes, addr: Any) -> None:
                contexts.append(variable.get())
                super().datagram_received(data, addr)

        async def main() -> None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ours.setblocking(False)
            theirs.setblocking(False)
            variable.set("maker")
            waiter = self.loop.create_future()
            protocol = Noting()
            transport = self.loop._make_datagram_transport(
                ours, protocol, None, waiter, {"peername": "peer"}
            )
            await waiter
            transport.set_write_buffer_limits(high=0)
            variable.set("sender")
            while "pause" not in protocol.calls:
                transport.sendto(bytes(1000))
            variable.set("reader")
            while not contexts:
                await self.loop.sock_recv(theirs, 2000)
            theirs.send(b"x")
            await until(lambda: protocol.received)
            self.assertEqual(contexts, ["sender", "maker"])
            transport.abort()
            await protocol.lost
            theirs.close()

        self.run_bounded(main())

    def test_a_full_receiver_of_many_gets_everything(self: Any) -> None:
        # A socket that is connected to nobody is writable, whoever is full.
        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "receiver")
                with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
                    receiver.bind(path)
                    receiver.setblocking(False)
                    transport, protocol = await self.endpoint(
                        family=socket.AF_UNIX, local_addr=os.path.join(folder, "sender")
                    )
                    count = 0
                    while transport.get_write_buffer_size() == 0:
                        transport.sendto(b"%06d" % count, path)
                        count += 1
                    await asyncio.sleep(0.01)
                    got = await numbers(self.loop, receiver, count)
                    self.assertEqual(got, list(range(count)))
                    await closed(transport, protocol)

        self.run_bounded(main())

    # Reading

    def test_nothing_is_given_after_close(self: Any) -> None:
        class Once(Echo):
            def __init__(self, end: str) -> None:
                super().__init__()
                self.end = end

            def datagram_received(self, data: bytes, addr: Any) -> None:
                self.received.append((data, addr))
                getattr(self.transport, self.end)()

        async def main() -> None:
            for end in ("close", "abort"):
                peer = plain()
                transport, protocol = await self.endpoint(lambda end=end: Once(end))
                for number in range(10):
                    peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
                await protocol.lost
                self.assertEqual(protocol.received, [(b"0", peer.getsockname())])
                peer.close()

        self.run_bounded(main())

    def test_a_changed_protocol_gets_what_comes_next(self: Any) -> None:
        async def main() -> None:
            second = Recorder()

            class Handing(Echo):
                def datagram_received(self, data: bytes, addr: Any) -> None:
                    self.received.append((data, addr))
                    self.transport.set_protocol(second)

            peer = plain()
            transport, first = await self.endpoint(Handing)
            for number in range(6):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            await until(lambda: len(second.received) == 5)
            self.assertEqual([data for data, _ in first.received], [b"0"])
            self.assertIs(transport.get_protocol(), second)
            await closed(transport, second)
            peer.close()

        self.run_bounded(main())

    def test_pausing_keeps_what_comes(self: Any) -> None:
        if sys.version_info < (3, 11) and "asyncio" in type(self.loop).__module__:
            self.skipTest("the datagram transports of 3.10 cannot pause")

        class Pausing(Echo):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                self.received.append((data, addr))
                self.transport.pause_reading()

        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint(Pausing)
            for number in range(10):
                peer.sendto(b"%d" % number, transport.get_extra_info("sockname"))
            for number in range(10):
                await until(lambda number=number: len(protocol.received) == number + 1)
                self.assertFalse(transport.is_reading())
                await asyncio.sleep(0.002)
                self.assertEqual(len(protocol.received), number + 1)
                transport.resume_reading()
            self.assertEqual(
                [data for data, _ in protocol.received], [b"%d" % number for number in range(10)]
            )
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_nothing_comes_before_connection_made(self: Any) -> None:
        order: list[str] = []

        class Ordered(Recorder):
            def connection_made(self, transport: Any) -> None:
                order.append("made")

            def datagram_received(self, data: bytes, addr: Any) -> None:
                order.append("received")

        async def main() -> None:
            sock, peer = plain(), plain()
            peer.sendto(b"early", sock.getsockname())
            transport, protocol = await self.endpoint(Ordered, sock=sock)
            await until(lambda: len(order) == 2)
            self.assertEqual(order, ["made", "received"])
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    # The end

    def test_sends_after_the_end_are_counted(self: Any) -> None:
        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint(remote_addr=peer.getsockname())
            transport.close()
            transport.sendto(b"not sent")
            await protocol.lost
            with self.assertLogs("asyncio", logging.WARNING) as logs:
                for _ in range(10):
                    transport.sendto(b"x")
            self.assertIn("socket.send() raised exception.", logs.output[0])
            self.assertEqual(transport._conn_lost, 12)
            peer.settimeout(0)
            with self.assertRaises(BlockingIOError):
                peer.recv(100)
            peer.close()

        self.run_bounded(main())

    def test_one_that_is_dropped_warns_and_closes(self: Any) -> None:
        async def main() -> tuple[Any, Any, Any]:
            transport, protocol = await self.endpoint()
            sock = transport.get_extra_info("socket")
            return transport, protocol, sock

        transport, protocol, sock = self.run_bounded(main())
        text = repr(transport)
        self.loop.close()
        with self.assertWarnsRegex(ResourceWarning, "unclosed transport") as caught:
            del transport, protocol
            gc.collect()
        self.assertEqual(sock.fileno(), -1)
        self.assertIn(text.split()[0].strip("<>"), str(caught.warning))

    def test_connection_lost_may_raise(self: Any) -> None:
        class Raising(Recorder):
            def connection_lost(self, exc: BaseException | None) -> None:
                super().connection_lost(exc)
                raise ValueError("lost")

        async def main() -> None:
            transport, protocol = await self.endpoint(Raising)
            sock = transport.get_extra_info("socket")
            await closed(transport, protocol)
            await until(lambda: self.problems)
            self.assertEqual(str(self.problems[0]["exception"]), "lost")
            self.assertEqual(sock.fileno(), -1)

        self.run_bounded(main())

    def test_debug_mode_logs(self: Any) -> None:
        self.loop.set_debug(True)

        async def main() -> None:
            with self.assertLogs("asyncio", logging.DEBUG) as logs:
                transport, protocol = await self.endpoint()
                await closed(transport, protocol)
            self.assertIn("Datagram endpoint local_addr=", logs.output[-1])

        self.run_bounded(main())

    # sock_*

    def test_sock_calls_of_datagrams(self: Any) -> None:
        if sys.version_info < (3, 11):
            self.skipTest("3.10 has no sock_recvfrom, sock_recvfrom_into and sock_sendto")

        async def main() -> None:
            loop = self.loop
            a, b = plain(), plain()
            a.setblocking(False)
            b.setblocking(False)
            buffer = bytearray(10)
            for _ in range(3):
                waiting = loop.create_task(loop.sock_recvfrom(b, 100))
                await asyncio.sleep(0)
                self.assertEqual(await loop.sock_sendto(a, b"later", b.getsockname()), 5)
                self.assertEqual(await waiting, (b"later", a.getsockname()))
                self.assertEqual(await loop.sock_sendto(a, b"now", b.getsockname()), 3)
                self.assertEqual(await loop.sock_recvfrom_into(b, buffer), (3, a.getsockname()))
                self.assertEqual(bytes(buffer[:3]), b"now")
                into = loop.create_task(loop.sock_recvfrom_into(b, buffer, 2))
                await asyncio.sleep(0)
                await loop.sock_sendto(a, bytearray(b"xyz"), ("localhost", b.getsockname()[1]))
                self.assertEqual(await into, (2, a.getsockname()))
                self.assertEqual(bytes(buffer[:3]), b"xyw")
            await loop.sock_sendto(a, b"", b.getsockname())
            self.assertEqual(await loop.sock_recvfrom(b, 100), (b"", a.getsockname()))
            a.close()
            b.close()

        self.run_bounded(main())

    def test_a_cancelled_sock_recvfrom_takes_nothing(self: Any) -> None:
        if sys.version_info < (3, 11):
            self.skipTest("3.10 has no sock_recvfrom")

        async def main() -> None:
            loop = self.loop
            a, b = plain(), plain()
            b.setblocking(False)
            cancelled = loop.create_task(loop.sock_recvfrom(b, 100))
            await asyncio.sleep(0)
            cancelled.cancel()
            await asyncio.sleep(0)
            a.sendto(b"data", b.getsockname())
            self.assertEqual(await loop.sock_recvfrom(b, 100), (b"data", a.getsockname()))
            a.close()
            b.close()

        self.run_bounded(main())

    def test_sock_calls_of_datagrams_refuse_as_asyncio(self: Any) -> None:
        if sys.version_info < (3, 11):
            self.skipTest("3.10 has no sock_recvfrom, sock_recvfrom_into and sock_sendto")

        async def main() -> None:
            loop = self.loop
            a = plain()
            a.setblocking(False)
            for call, error in (
                (lambda: loop.sock_recvfrom(a, -1), ValueError),
                (lambda: loop.sock_recvfrom(a, "x"), TypeError),
                (lambda: loop.sock_recvfrom_into(a, b"fixed"), (TypeError, BufferError)),
                (lambda: loop.sock_recvfrom_into(a, bytearray(2), 3), ValueError),
                (lambda: loop.sock_recvfrom_into(a, bytearray(2), -1), ValueError),
                (lambda: loop.sock_sendto(a, "text", a.getsockname()), TypeError),
                (lambda: loop.sock_sendto(a, b"x", None), TypeError),
                (lambda: loop.sock_sendto(a, b"x", ("127.0.0.1", 70_000)), OverflowError),
                (lambda: loop.sock_sendto(a, bytes(70_000), a.getsockname()), OSError),
            ):
                with self.assertRaises(error):
                    await call()
            a.close()
            with self.assertRaises(OSError):
                await loop.sock_sendto(a, b"x", ("127.0.0.1", 9))

        self.run_bounded(main())


class OurDatagrams(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def test_it_is_a_datagram_transport(self) -> None:
        async def main() -> None:
            transport, protocol = await self.endpoint()
            self.assertIsInstance(transport, asyncio.DatagramTransport)
            await closed(transport, protocol)
            transport.sendto(b"too late", ("127.0.0.1", 9))

        self.run_bounded(main())

    def test_a_peer_without_a_name_is_sent_to(self) -> None:
        # asyncio asks for the peer's name, and has none.
        async def main() -> None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            transport, protocol = await self.endpoint(sock=ours)
            transport.sendto(b"data")
            self.assertEqual(theirs.recv(100), b"data")
            theirs.send(b"answer")
            await until(lambda: protocol.received)
            self.assertEqual(protocol.received[0][0], b"answer")
            await closed(transport, protocol)
            theirs.close()

        self.run_bounded(main())

    def test_a_repeated_peer_has_one_address_object(self) -> None:
        async def main() -> None:
            peer = plain()
            transport, protocol = await self.endpoint()
            for _ in range(3):
                peer.sendto(b"x", transport.get_extra_info("sockname"))
            await until(lambda: len(protocol.received) == 3)
            addresses = [address for _, address in protocol.received]
            self.assertIs(addresses[0], addresses[1])
            self.assertIs(addresses[0], addresses[2])
            # One that is equal, but written otherwise, is not given to anybody else.
            odd = type("Text", (str,), {})("127.0.0.1")
            transport.sendto(b"x", (odd, peer.getsockname()[1]))
            peer.sendto(b"x", transport.get_extra_info("sockname"))
            await until(lambda: len(protocol.received) == 4)
            self.assertIs(type(protocol.received[3][1][0]), str)
            await closed(transport, protocol)
            peer.close()

        self.run_bounded(main())

    def test_the_loop_may_close_before_it(self) -> None:
        transport, protocol = self.run_bounded(self.endpoint())
        self.loop.close()
        with self.assertRaisesRegex(RuntimeError, "Event loop is closed"):
            transport.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            del transport, protocol
            gc.collect()

    def test_one_that_is_not_initialised_says_so(self) -> None:
        from _erlang_impl._transport import DatagramTransport

        transport = DatagramTransport.__new__(DatagramTransport)
        for call in (
            lambda: transport.sendto(b"x"),
            transport.close,
            transport.abort,
            transport.is_reading,
            transport.get_write_buffer_size,
        ):
            with self.assertRaisesRegex(RuntimeError, "is not initialised"):
                call()
        with self.assertRaisesRegex(TypeError, "an ErlangEventLoop is required"):
            odd: Any = asyncio
            with plain() as sock:
                DatagramTransport.__init__(transport, odd, sock, Recorder)


class AsyncioDatagrams(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
