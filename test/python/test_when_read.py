"""When the loop reads: not before what was queued by then, and not in vain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import pty
import socket
import tty
import unittest
from typing import Any

from transports import Bounded, Recorder, TransportCase, connected, pair, until

import coloop


class Order(Bounded):
    """With asyncio's own loop as the oracle."""

    def test_what_was_queued_goes_before_what_comes_later(self: Any) -> None:
        async def main() -> None:
            transport, protocol, peer = await pair(self.loop)

            def send() -> None:
                self.loop.call_soon(protocol.calls.append, "queued")
                peer.send(b"answer")

            for _ in range(4):  # not only for a peer that has not been quick before
                protocol.calls.clear()
                self.loop.call_soon(send)
                transport.write(b"question")
                await until(lambda: "data" in protocol.calls)
                self.assertEqual(protocol.calls, ["queued", "data"])

                protocol.calls.clear()
                peer.send(b"another")
                transport.write(b"question")
                await asyncio.sleep(0)
                self.assertEqual(protocol.calls, [])
                await until(lambda: protocol.calls)
            transport.abort()
            peer.close()

        self.run_bounded(main())

    def check_queued_goes_first(self: Any, connect: Any, send: Any, message: bytes) -> None:
        """What comes while a callback runs is not read before what that has queued."""

        class Answering(Recorder):
            def received(self) -> None:
                self.calls.append("data")
                if self.calls.count("data") == 1:
                    asyncio.get_running_loop().call_soon(self.queue)

            def data_received(self, data: bytes) -> None:
                self.received()

            def datagram_received(self, data: bytes, addr: Any) -> None:
                self.received()

            def queue(self) -> None:
                asyncio.get_running_loop().call_soon(self.calls.append, "queued")
                send(message)

        async def main() -> None:
            transport, protocol = await connect(Answering)
            for _ in range(4):
                protocol.calls.clear()
                send(message)
                await until(lambda: protocol.calls.count("data") == 2)
                self.assertEqual(protocol.calls, ["data", "queued", "data"])
            transport.close()
            await protocol.lost

        self.run_bounded(main())

    def test_what_was_queued_goes_before_what_comes_by_a_pipe(self: Any) -> None:
        near, far = os.pipe()
        with os.fdopen(far, "wb", 0) as pipe:
            reading = os.fdopen(near, "rb", 0)
            self.check_queued_goes_first(
                lambda factory: self.loop.connect_read_pipe(factory, reading), pipe.write, b"one"
            )

    def test_what_was_queued_goes_before_what_a_terminal_says(self: Any) -> None:
        master, slave = pty.openpty()
        with os.fdopen(master, "r+b", 0) as typed:
            reading = os.fdopen(slave, "rb", 0)
            self.check_queued_goes_first(
                lambda factory: self.loop.connect_read_pipe(factory, reading), typed.write, b"one\n"
            )

    def test_what_was_queued_goes_before_the_next_message(self: Any) -> None:
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with far:
            reading = near
            self.check_queued_goes_first(
                lambda factory: self.loop.connect_read_pipe(factory, reading), far.send, b"one"
            )
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with far:
            self.check_queued_goes_first(
                lambda factory: self.loop.create_datagram_endpoint(factory, sock=near),
                far.send,
                b"one",
            )

    def test_what_was_queued_goes_before_what_follows_urgent_data(self: Any) -> None:
        near, far = connected()
        with far:
            far.send(b"X", socket.MSG_OOB)
            self.check_queued_goes_first(
                lambda factory: self.loop.create_connection(factory, sock=near), far.send, b"one"
            )

    def check_resumed(self: Any, connect: Any, send: Any) -> None:
        class Noting(Recorder):
            def datagram_received(self, data: bytes, addr: Any) -> None:
                self.calls.append("data")

        async def main() -> None:
            transport, protocol = await connect(Noting)
            transport.pause_reading()
            send(b"x")
            await asyncio.sleep(0.001)  # which looks at the descriptors
            protocol.calls.clear()

            def resume() -> None:
                transport.resume_reading()
                self.loop.call_soon(protocol.calls.append, "queued")

            self.loop.call_soon(resume)
            await until(lambda: len(protocol.calls) == 2)
            self.assertEqual(protocol.calls, ["queued", "data"])
            transport.close()
            await protocol.lost

        self.run_bounded(main())

    def test_what_is_queued_beside_a_resumption_goes_before_what_waited(self: Any) -> None:
        for name, (near, far) in {
            "TCP": connected(),
            "UNIX": socket.socketpair(),
            "datagrams": socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        }.items():
            create: Any = self.loop.create_connection
            if name == "datagrams":
                create = self.loop.create_datagram_endpoint
            with self.subTest(name), far:
                self.check_resumed(
                    lambda factory, create=create, near=near: create(factory, sock=near), far.send
                )
        reading, writing = os.pipe()
        with self.subTest("pipe"), os.fdopen(writing, "wb", 0) as pipe:
            self.check_resumed(
                lambda factory: self.loop.connect_read_pipe(factory, os.fdopen(reading, "rb", 0)),
                pipe.write,
            )


class Terminal(Bounded):
    """What writes to a terminal leaves reading from it, by the same descriptor, to others."""

    def setUp(self: Any) -> None:
        super().setUp()
        self.master, slave = pty.openpty()
        tty.setraw(slave)
        self.slave = os.fdopen(slave, "r+b", 0)
        os.set_blocking(slave, False)
        self.addCleanup(self.slave.close)

    async def fill(self: Any) -> Any:
        loop: Any = asyncio.get_running_loop()
        transport, _ = await loop.connect_write_pipe(
            asyncio.BaseProtocol, os.fdopen(self.master, "wb", 0)
        )
        transport.write(b"o" * 100_000)
        self.assertGreater(transport.get_write_buffer_size(), 0)
        return transport

    def test_a_loop_that_is_closed_meanwhile_leaves_nothing_open(self: Any) -> None:
        before = os.listdir("/proc/self/fd")
        loop = type(self).make()
        transport = loop.run_until_complete(self.fill())
        loop.close()
        self.assertEqual(len(os.listdir("/proc/self/fd")), len(before))
        with self.assertWarns(ResourceWarning):
            del transport
            gc.collect()

    async def empty(self: Any, transport: Any) -> None:
        while transport.get_write_buffer_size() > 0:
            self.slave.read(65536)
            await asyncio.sleep(0)

    def test_a_transport_reads_from_it(self: Any) -> None:
        async def main() -> None:
            reading, protocol = await self.loop.connect_read_pipe(
                Recorder, os.fdopen(self.master, "rb", 0, closefd=False)
            )
            writing = await self.fill()
            self.slave.write(b"one")
            await until(lambda: protocol.data == b"one")
            await self.empty(writing)
            self.slave.write(b"two")
            await until(lambda: protocol.data == b"onetwo")
            reading.close()
            await protocol.lost
            writing.close()

        self.run_bounded(main())

    def test_a_reader_reads_from_it(self: Any) -> None:
        async def main() -> None:
            got: list[bytes] = []
            writing = await self.fill()
            self.loop.add_reader(self.master, lambda: got.append(os.read(self.master, 1)))
            self.slave.write(b"one")
            await until(lambda: b"".join(got) == b"one")
            await self.empty(writing)
            self.slave.write(b"two")
            await until(lambda: b"".join(got) == b"onetwo")
            self.loop.remove_reader(self.master)
            writing.close()

        self.run_bounded(main())


class OurOrder(Order, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioOrder(Order, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


class OurTerminal(Terminal, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioTerminal(Terminal, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


class Vain(Bounded, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    async def turns(self) -> int:
        """How often the loop runs something in a while in which there is nothing to run."""
        before = self.loop.metrics()["iterations"]
        await asyncio.sleep(0.05)
        after: int = self.loop.metrics()["iterations"]
        return after - before

    def test_messages_that_are_not_read_do_not_keep_the_loop_busy(self) -> None:
        class Receiver(asyncio.DatagramProtocol):
            def __init__(self) -> None:
                self.received: list[bytes] = []

            def datagram_received(self, data: bytes, addr: Any) -> None:
                self.received.append(data)

        async def main(create: Any, send: Any) -> None:
            transport, protocol = await create(Receiver)
            transport.pause_reading()
            send(b"one")
            self.assertLess(await self.turns(), 10)
            transport.resume_reading()
            await until(lambda: protocol.received == [b"one"])
            send(b"two")
            await until(lambda: protocol.received == [b"one", b"two"])
            send(b"three")
            transport.pause_reading()
            self.assertLess(await self.turns(), 10)
            transport.close()

        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with far:
            self.run_bounded(
                main(lambda make: self.loop.create_datagram_endpoint(make, sock=near), far.send)
            )

    def test_a_pipe_that_is_not_read_does_not_keep_the_loop_busy(self) -> None:
        async def main() -> None:
            near, far = os.pipe()
            with os.fdopen(far, "wb", 0) as pipe:
                transport, protocol = await self.loop.connect_read_pipe(
                    Recorder, os.fdopen(near, "rb", 0)
                )
                transport.pause_reading()
                pipe.write(b"one")
                self.assertLess(await self.turns(), 10)
                transport.resume_reading()
                await until(lambda: protocol.data == b"one")
                transport.pause_reading()
                pipe.write(b"two")
            self.assertLess(await self.turns(), 10)
            transport.resume_reading()
            await protocol.lost
            self.assertEqual(protocol.data, b"onetwo")

        self.run_bounded(main())

    def test_what_is_not_read_does_not_keep_the_loop_busy(self) -> None:
        class KeptOpen(Recorder):
            def eof_received(self) -> bool:
                return True

        async def main() -> None:
            ours, peer = socket.socketpair()
            transport, protocol = await self.loop.create_connection(KeptOpen, sock=ours)
            few = 10
            transport.pause_reading()
            peer.send(b"not read")
            self.assertLess(await self.turns(), few)
            transport.resume_reading()
            await until(lambda: protocol.data)
            peer.send(b", but now")
            await until(lambda: protocol.data == b"not read, but now")
            transport.write(b"x" * 10_000_000)
            transport.pause_reading()
            peer.send(b"x")
            self.assertLess(await self.turns(), few)
            transport.resume_reading()
            peer.shutdown(socket.SHUT_WR)
            await until(lambda: protocol.data.endswith(b"x"))
            self.assertLess(await self.turns(), few)
            transport.close()  # what is left to write keeps it
            self.assertLess(await self.turns(), few)
            peer.close()
            await protocol.lost

        self.run_bounded(main())

    def test_a_short_read_is_not_followed_by_a_vain_one(self) -> None:
        depths: list[int] = []

        class Sink(Recorder):
            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                loop: Any = asyncio.get_running_loop()
                loop.call_soon(lambda: depths.append(loop.metrics()["ready_depth"]))

        async def send(address: Any, connect: Any) -> None:
            _, protocol = await connect(Recorder, *address)
            before = len(depths)
            for count in (1, 2):
                protocol.transport.write(b"x")
                await until(lambda count=count: len(depths) == before + count)
            protocol.transport.close()
            await protocol.lost

        async def main() -> None:
            server = await self.loop.create_server(Sink, "127.0.0.1", 0)
            await send(server.sockets[0].getsockname(), self.loop.create_connection)
            server.close()
            name = f"\0coloop-{os.getpid()}-vain"
            server = await self.loop.create_unix_server(Sink, name)
            await send((name,), self.loop.create_unix_connection)
            server.close()

        self.run_bounded(main())
        self.assertEqual(depths, [0, 0, 0, 0])

    def test_what_no_call_asks_for_does_not_keep_the_loop_busy(self) -> None:
        async def main() -> None:
            near, far = connected()
            near.setblocking(False)
            with near, far:
                receiving = self.loop.create_task(self.loop.sock_recv(near, 1))
                await asyncio.sleep(0)
                far.send(b"ab")
                self.assertEqual(await receiving, b"a")
                self.assertLess(await self.turns(), 10)
                self.assertEqual(await self.loop.sock_recv(near, 1), b"b")

        self.run_bounded(main())

    def test_what_no_call_asks_for_beside_a_writer_does_not_keep_the_loop_busy(self) -> None:
        async def main(near: Any, far: Any) -> None:
            receiving = self.loop.create_task(self.loop.sock_recv(near, 1))
            await asyncio.sleep(0)
            far.send(b"a")
            self.assertEqual(await receiving, b"a")
            with self.assertRaises(BlockingIOError):
                while True:
                    near.send(bytes(4096))
            room = asyncio.Event()
            self.loop.add_writer(near, room.set)
            receiving = self.loop.create_task(self.loop.sock_recv(near, 1))
            await asyncio.sleep(0)
            far.send(b"bc")
            self.assertEqual(await receiving, b"b")
            self.assertLess(await self.turns(), 10)
            far.shutdown(socket.SHUT_WR)
            self.assertLess(await self.turns(), 10)
            self.assertFalse(room.is_set())
            while not room.is_set():
                with contextlib.suppress(BlockingIOError):
                    far.recv(1 << 20)
                await asyncio.sleep(0)
            self.loop.remove_writer(near)
            self.assertEqual(await self.loop.sock_recv(near, 1), b"c")
            self.assertEqual(await self.loop.sock_recv(near, 1), b"")

        for name, (near, far) in {"TCP": connected(), "UNIX": socket.socketpair()}.items():
            near.setblocking(False)
            far.setblocking(False)
            with self.subTest(name), near, far:
                self.run_bounded(main(near, far))

    def test_a_paused_descriptor_that_was_closed_does_not_keep_the_loop_busy(self) -> None:
        async def main() -> None:
            near, far = os.pipe()
            transport, _ = await self.loop.connect_read_pipe(Recorder, os.fdopen(near, "rb", 0))
            transport.pause_reading()
            kept = os.dup(near)
            os.close(near)
            os.write(far, b"x")
            await asyncio.sleep(0.001)  # which looks at the descriptors
            self.assertLess(await self.turns(), 10)
            os.dup2(kept, near)
            transport.close()
            os.close(kept)
            os.close(far)

        self.run_bounded(main())


if __name__ == "__main__":
    unittest.main()
