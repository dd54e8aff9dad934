"""Flow control and the end of datagram transports, and sock_* calls of datagrams, with asyncio's
own as the oracle.
"""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import socket
import sys
import tempfile
import unittest
import warnings
from typing import Any

from datagrams import (
    Echo,
    Endpoints,
    Recorder,
    closed,
    full_pair,
    numbers,
    plain,
    variable,
)
from transports import TransportCase, until

import coloop


class Mixin(Endpoints):
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

    def test_names_of_arguments_and_odd_limits(self: Any) -> None:
        async def main() -> None:
            transport, protocol = await self.endpoint()
            transport.set_protocol(protocol=protocol)
            with self.assertRaises(TypeError):
                transport.set_protocol(other=protocol)
            transport.set_write_buffer_limits(high=2**70, low=0.5)
            self.assertGreaterEqual(transport.get_write_buffer_limits()[1], 2**60)
            await closed(transport, protocol)

        self.run_bounded(main())

    def test_debug_mode_logs(self: Any) -> None:
        self.loop.set_debug(True)

        async def main() -> None:
            with self.assertLogs("asyncio", logging.DEBUG) as logs:
                transport, protocol = await self.endpoint()
                await closed(transport, protocol)
            made = [text for text in logs.output if "Datagram endpoint local_addr=" in text]
            self.assertEqual(len(made), 1, logs.output)

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

    @unittest.skipIf(
        sys.version_info[:2] == (3, 13),
        "asyncio 3.13 counts a header when it keeps a datagram and not when it sends it",
    )
    def test_resume_runs_in_the_context_of_the_call_that_found_no_room(self) -> None:
        super().test_resume_runs_in_the_context_of_the_call_that_found_no_room()


if __name__ == "__main__":
    unittest.main()
