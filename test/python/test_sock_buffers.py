"""What sock_* calls do with a user's buffers and sizes, with asyncio's own as the oracle."""

from __future__ import annotations

import asyncio
import socket
import unittest
from typing import Any

from transports import Bounded, TransportCase, streams

import coloop


class Buffers(Bounded):
    def test_who_asks_for_nothing_gets_it_at_once(self: Any) -> None:
        async def main() -> None:
            a, b = streams()
            with a, b:
                self.assertEqual(await self.loop.sock_recv(a, 0), b"")
                self.assertEqual(await self.loop.sock_recv_into(a, bytearray()), 0)
                waiting = self.loop.create_task(self.loop.sock_recv(a, 10))
                await asyncio.sleep(0)
                self.assertEqual(await self.loop.sock_recv(a, 0), b"")
                self.assertEqual(await self.loop.sock_recv_into(a, bytearray()), 0)
                b.send(b"data")
                self.assertEqual(await waiting, b"data")

        self.run_bounded(main())

    def test_who_asks_for_nothing_takes_no_datagram(self: Any) -> None:
        async def main() -> None:
            a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            a.setblocking(False)
            with a, b:
                b.send(b"1")
                self.assertEqual(await self.loop.sock_recv(a, 0), b"")
                self.assertEqual(await self.loop.sock_recv_into(a, bytearray()), 0)
                self.assertEqual(await self.loop.sock_recv(a, 10), b"1")

        self.run_bounded(main())

    def test_a_buffer_may_change_while_nothing_has_come(self: Any) -> None:
        async def main() -> None:
            a, b = streams()
            with a, b:
                buffer = bytearray(b"0123")
                waiting = self.loop.create_task(self.loop.sock_recv_into(a, buffer))
                await asyncio.sleep(0)
                buffer.extend(b"4567")
                b.send(b"abcdef")
                self.assertEqual(await waiting, 6)
                self.assertEqual(buffer, b"abcdef67")

                waiting = self.loop.create_task(self.loop.sock_recv_into(a, buffer))
                await asyncio.sleep(0)
                buffer.clear()
                b.send(b"abcdef")
                self.assertEqual(await waiting, 0)
                self.assertEqual(await self.loop.sock_recv(a, 10), b"abcdef")

        self.run_bounded(main())


class OurBuffers(Buffers, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioBuffers(Buffers, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
