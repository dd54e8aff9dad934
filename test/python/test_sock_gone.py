"""sock_* calls whose socket, or whose loop, goes away while they wait."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import os
import socket
import unittest
import warnings
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

from transports import Bounded, TransportCase, streams, until

import coloop


class Gone(Bounded):
    async def begun(self, call: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """A call that waits."""
        task = self.loop.create_task(call)
        await asyncio.sleep(0)
        return task

    def assert_bad_descriptor(self: Any, task: asyncio.Task[Any]) -> None:
        error = task.exception()
        self.assertIsInstance(error, OSError)
        self.assertEqual(error.errno, errno.EBADF)

    def test_whoever_a_socket_was_detached_for_gets_what_comes(self: Any) -> None:
        async def main() -> None:
            a, b = streams()
            task = await self.begun(self.loop.sock_recv(a, 10))
            with socket.socket(fileno=a.detach()) as heir, b:
                b.send(b"data")
                await asyncio.wait([task])
                self.assert_bad_descriptor(task)
                self.assertEqual(heir.recv(10), b"data")

        self.run_bounded(main())

    def loop_of(self: Any, call: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        """A loop on which that call waits."""
        loop = type(self).make()
        loop.set_exception_handler(lambda _loop, _context: None)  # a Task is never done
        task = loop.create_task(call(loop))
        loop.run_until_complete(asyncio.sleep(0))
        self.assertFalse(task.done())
        return loop

    def test_a_closed_loop_is_freed_before_the_sockets_it_served(self: Any) -> None:
        a, b = streams()
        with a, b:
            loop = type(self).make()
            loop.call_soon(loop.call_soon, b.send, b"data")
            self.assertEqual(loop.run_until_complete(loop.sock_recv(a, 10)), b"data")
            loop.close()
            freed = weakref.ref(loop)
            del loop
            gc.collect()
            self.assertIsNone(freed())

    def test_a_loop_that_is_dropped_unclosed_is_freed_with_its_calls(self: Any) -> None:
        def receive(loop: Any) -> Any:
            a, b = streams()
            keep.enter_context(b)
            return loop.sock_recv(a, 10)

        def accept(loop: Any) -> Any:
            server = socket.create_server(("127.0.0.1", 0))
            server.setblocking(False)
            return loop.sock_accept(server)

        for call in (receive, accept):
            with (
                self.subTest(call=call.__name__),
                contextlib.ExitStack() as keep,
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("ignore", ResourceWarning)
                freed = weakref.ref(self.loop_of(call))
                gc.collect()
                self.assertIsNone(freed())


class OurGone(Gone, TransportCase):
    make = staticmethod(coloop.new_event_loop)

    def take_over(self, number: int) -> tuple[socket.socket, socket.socket]:
        """A pair of which the first has this descriptor, which was just closed."""
        a, b = streams()
        if a.fileno() != number:
            os.dup2(a.fileno(), number, inheritable=False)
            a.close()
            a = socket.socket(fileno=number)
        return a, b

    def test_what_comes_for_the_next_owner_of_the_number_is_its(self) -> None:
        async def main() -> None:
            a, b = streams()
            number = a.fileno()
            task = await self.begun(self.loop.sock_recv(a, 10))
            a.close()
            c, d = self.take_over(number)
            got: list[bytes] = []
            with b, c, d:
                self.loop.add_reader(c, lambda: got.append(c.recv(10)))
                d.send(b"for c")
                await until(lambda: got)
                self.assertEqual(got, [b"for c"])
                self.assert_bad_descriptor(task)
                d.send(b"more")  # it is still watched
                await until(lambda: len(got) > 1)
                self.loop.remove_reader(c)

        self.run_bounded(main())

    def test_the_next_owner_of_the_number_sends_nothing_but_its_own(self) -> None:
        async def main() -> None:
            a, b = streams()
            number = a.fileno()
            send = await self.begun(self.loop.sock_sendall(a, bytes(4 << 20)))
            receive = await self.begun(self.loop.sock_recv(a, 10))
            self.assertFalse(send.done())
            a.close()
            c, d = self.take_over(number)
            with b, c, d:
                writable = self.loop.create_future()
                self.loop.add_writer(c, lambda: writable.done() or writable.set_result(None))
                await writable
                await asyncio.wait([send, receive])
                self.loop.remove_writer(c)
                self.assert_bad_descriptor(send)
                self.assert_bad_descriptor(receive)
                c.send(b"of c")
                self.assertEqual(d.recv(10), b"of c")

        self.run_bounded(main())


class AsyncioGone(Gone, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
