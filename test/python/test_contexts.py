"""Context variables in what servers and connections call, with asyncio's loop as the oracle."""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import tempfile
import unittest
from typing import Any

from tls_peer import client_context, server_context
from transports import Bounded, TransportCase, until

import coloop

place: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="none")
number: contextvars.ContextVar[int] = contextvars.ContextVar("number", default=0)


class Seen(asyncio.Protocol):
    """Notes the variables in each of its callbacks; its making sets one."""

    def __init__(self, connections: list[Any]) -> None:
        self.seen: list[tuple[str, str, int]] = []
        connections.append(self)
        self.note("factory")
        number.set(len(connections))

    def note(self, callback: str) -> None:
        self.seen.append((callback, place.get(), number.get()))

    def connection_made(self, transport: Any) -> None:
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.note("data")

    def connection_lost(self, exc: BaseException | None) -> None:
        self.note("lost")


def expected(connection: int) -> list[tuple[str, str, int]]:
    rest = [(callback, "serving", connection) for callback in ("made", "data", "lost")]
    return [("factory", "serving", 0), *rest]


class Mixin(Bounded):
    async def talk(self: Any, connect: Any, connections: list[Any]) -> None:
        """Two connections, one after the other: what each notes."""
        place.set("after serving")
        for which in (1, 2):
            _reader, writer = await connect()
            writer.write(b"data")
            await until(lambda: connections and connections[-1].seen[-1][0] == "data")
            writer.close()
            await until(lambda: connections[-1].seen[-1][0] == "lost")
            self.assertEqual(connections[-1].seen, expected(which))
        self.assertEqual(number.get(), 0)

    def test_a_server(self: Any) -> None:
        async def main() -> None:
            connections: list[Any] = []
            place.set("serving")
            server = await self.loop.create_server(lambda: Seen(connections), "127.0.0.1", 0)
            address = server.sockets[0].getsockname()
            await self.talk(lambda: asyncio.open_connection(*address), connections)
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_what_leaves_the_loop_leaves_no_connection_behind(self: Any) -> None:
        made: list[Any] = []

        def factory() -> Any:
            made.append(place.get())
            if len(made) == 1:
                raise KeyboardInterrupt
            self.loop.call_soon(self.loop.stop)
            return asyncio.Protocol()

        with socket.socket() as listening, socket.socket() as first, socket.socket() as second:
            listening.bind(("127.0.0.1", 0))
            serving = self.loop.create_server(factory, sock=listening)
            server = self.loop.run_until_complete(serving)
            for client in (first, second):
                client.connect(listening.getsockname())
            with self.assertRaises(KeyboardInterrupt):
                self.loop.run_forever()
            guard = self.loop.call_later(5, self.loop.stop)
            while len(made) < 2 and self.loop.time() < guard.when():
                self.loop.run_forever()
            self.assertEqual(made, ["none", "none"])
            server.close()

    def test_a_server_that_starts_later(self: Any) -> None:
        async def main() -> None:
            connections: list[Any] = []
            place.set("made")
            server = await self.loop.create_server(
                lambda: Seen(connections), "127.0.0.1", 0, start_serving=False
            )
            place.set("serving")
            await server.start_serving()
            address = server.sockets[0].getsockname()
            await self.talk(lambda: asyncio.open_connection(*address), connections)
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_a_unix_server(self: Any) -> None:
        async def main() -> None:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "socket")
                connections: list[Any] = []
                place.set("serving")
                server = await self.loop.create_unix_server(lambda: Seen(connections), path)
                await self.talk(lambda: asyncio.open_unix_connection(path), connections)
                server.close()
                await server.wait_closed()

        self.run_bounded(main())

    def test_a_tls_server(self: Any) -> None:
        async def main() -> None:
            connections: list[Any] = []
            place.set("serving")
            server = await self.loop.create_server(
                lambda: Seen(connections), "127.0.0.1", 0, ssl=server_context()
            )
            address = server.sockets[0].getsockname()
            await self.talk(
                lambda: asyncio.open_connection(
                    *address, ssl=client_context(), server_hostname="localhost"
                ),
                connections,
            )
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_streams_have_a_context_for_each_connection(self: Any) -> None:
        async def main() -> None:
            seen: list[tuple[str, int]] = []

            async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                seen.append((place.get(), number.get()))
                number.set(number.get() + 1)
                await reader.read(1)
                seen.append((place.get(), number.get()))
                writer.close()

            place.set("serving")
            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            place.set("after serving")
            for _ in range(2):
                _reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"x")
                await _reader.read()
                writer.close()
            self.assertEqual(seen, [("serving", 0), ("serving", 1)] * 2)
            server.close()
            await server.wait_closed()

        self.run_bounded(main())

    def test_the_client_has_that_of_who_connected(self: Any) -> None:
        async def main() -> None:
            with socket.create_server(("127.0.0.1", 0)) as listening:
                connections: list[Any] = []
                place.set("serving")
                await self.loop.create_connection(
                    lambda: Seen(connections), *listening.getsockname()
                )
                place.set("connected")
                peer, _ = listening.accept()
                peer.send(b"x")
                await until(lambda: connections[0].seen[-1][0] == "data")
                peer.close()
                await until(lambda: connections[0].seen[-1][0] == "lost")
                seen = connections[0].seen
                self.assertEqual([each[:2] for each in seen], [each[:2] for each in expected(1)])

        self.run_bounded(main())

    def test_a_watch_has_that_of_who_began_it(self: Any) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            seen: list[str] = []
            with ours, theirs:
                place.set("watching")
                self.loop.add_reader(ours, lambda: seen.append(place.get()))
                place.set("later")
                theirs.send(b"x")
                await until(lambda: seen)
                self.loop.remove_reader(ours)
            self.assertEqual(set(seen), {"watching"})

        self.run_bounded(main())


class OurContexts(Mixin, TransportCase):
    make = staticmethod(coloop.new_event_loop)


class AsyncioContexts(Mixin, TransportCase):
    make = staticmethod(asyncio.SelectorEventLoop)


if __name__ == "__main__":
    unittest.main()
