"""Random operations on random transports, in several threads with a loop each.

COLOOP_RANDOM_SEED repeats what went wrong with a seed; COLOOP_RANDOM_STEPS makes it longer.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import struct
import threading
import time
import unittest
from typing import Any

import coloop

SEED = int(os.environ.get("COLOOP_RANDOM_SEED", "20"))
STEPS = int(os.environ.get("COLOOP_RANDOM_STEPS", "400"))
THREADS = 3
PATTERN = bytes(range(251)) * 2000  # a stream of these shows what is lost, doubled or out of order


class Peer:
    """One end: sends the pattern, checks what it receives, and the order of its callbacks."""

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.transport: Any = None
        self.other: Peer | None = None
        self.sent = self.received = 0
        self.eof = self.lost = self.paused = False
        self.resumed = False  # as with asyncio, reading that is resumed meets the end again

    def connection_made(self, transport: Any) -> None:
        self.actor.check(self.transport is None, "connection_made() twice")
        self.transport = transport
        self.actor.peers.append(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.actor.check(not self.lost, "connection_lost() twice")
        self.actor.check(exc is None or isinstance(exc, OSError), f"lost by {exc!r}")
        self.lost = True
        self.actor.peers.remove(self)

    def take(self, data: bytes | memoryview) -> None:
        self.actor.check(not self.lost and not self.eof, "data after the end")
        start = self.received % 251
        self.actor.check(bytes(data) == PATTERN[start : start + len(data)], "other bytes than sent")
        self.received += len(data)
        self.actor.after_data(self)

    def eof_received(self) -> bool:
        self.actor.check(not self.eof or self.resumed, "eof_received() twice")
        self.eof, self.resumed = True, False
        return self.actor.random.random() < 0.5

    def pause_writing(self) -> None:
        self.actor.check(not self.paused, "pause_writing() twice")
        self.paused = True

    def resume_writing(self) -> None:
        self.actor.check(self.paused, "resume_writing() unasked")
        self.paused = False


class Plain(Peer, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.take(data)


class Buffered(Peer, asyncio.BufferedProtocol):
    def get_buffer(self, _sizehint: int) -> memoryview:
        self.buffer = memoryview(bytearray(self.actor.random.choice([1, 100, 5000, 150_000])))
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.take(self.buffer[:nbytes])


class Actor(threading.Thread):
    """A thread with a loop, on which it does one thing at random after the other."""

    def __init__(self, seed: int, actors: list[Actor]) -> None:
        super().__init__(name=f"actor {seed}")
        self.random = random.Random(seed)
        self.actors = actors
        self.peers: list[Peer] = []
        self.problems: list[str] = []
        self.loop: Any = None
        self.tasks: set[asyncio.Task[Any]] = set()

    def check(self, condition: Any, problem: str) -> None:
        if not condition:
            self.problems.append(problem)

    def run(self) -> None:
        try:
            coloop.run(asyncio.wait_for(self.main(), 120))
        except BaseException as error:
            self.problems.append(repr(error))

    def on_error(self, _loop: Any, context: dict[str, Any]) -> None:
        self.problems.append(f"{context['message']}: {context.get('exception')!r}")

    async def main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self.on_error)
        server = await self.loop.create_server(self.make, "127.0.0.1", 0)
        self.address = server.sockets[0].getsockname()
        for _ in range(STEPS):
            with contextlib.suppress(OSError):  # the other end is gone
                await self.step()
            if self.random.random() < 0.3:
                await asyncio.sleep(self.random.choice([0, 0, 0.0003, 0.002]))
        server.close()
        await server.wait_closed() if not self.peers else None
        for peer in list(self.peers):
            peer.transport.abort()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        while self.peers:
            await asyncio.sleep(0.001)
        actors, self.actors = self.actors, []
        self.check(self in actors, "an actor is among the actors")

    def make(self) -> Any:
        return self.random.choice([Plain, Buffered])(self)

    def after_data(self, peer: Peer) -> None:
        if self.random.random() < 0.2:
            self.operate(peer)

    async def step(self) -> None:
        if len(self.peers) < 6 or self.random.random() < 0.1:
            await self.connect()
        elif self.random.random() < 0.1:
            self.spawn(self.cancelled_receive())
        elif self.random.random() < 0.1:
            self.from_elsewhere()
        else:
            self.operate(self.random.choice(self.peers))

    async def connect(self) -> None:
        kind = self.random.randrange(3)
        if kind == 0:  # both ends are transports
            await self.loop.create_connection(self.make, *self.address)
        elif kind == 1:
            pair = socket.socketpair()
            for sock in pair:
                sock.setblocking(False)
                await self.loop.create_connection(self.make, sock=sock)
        else:  # one that is cancelled
            task = self.loop.create_task(self.loop.create_connection(self.make, *self.address))
            await asyncio.sleep(0)
            task.cancel()
            self.check(len(await asyncio.gather(task, return_exceptions=True)) == 1, "a result")

    async def cancelled_receive(self) -> None:
        ours, other = socket.socketpair()
        with ours, other:
            ours.setblocking(False)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.loop.sock_recv(ours, 10), 0.0005)
            other.send(b"kept")
            self.check(await self.loop.sock_recv(ours, 10) == b"kept", "a cancelled read took data")

    def spawn(self, coroutine: Any) -> None:
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def from_elsewhere(self) -> None:
        """Another thread's loop does something to one of its own transports, asked by this one."""
        other = self.random.choice(self.actors)
        number = self.random.random()

        def act() -> None:
            if other.peers:
                other.operate(other.peers[int(number * len(other.peers))])

        if other.loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                other.loop.call_soon_threadsafe(act)

    def operate(self, peer: Peer) -> None:
        transport = peer.transport
        operation = self.random.choices(list(OPERATIONS), list(OPERATIONS.values()))[0]
        operation(self, peer, transport)

    def write(self, peer: Peer, transport: Any) -> None:
        if transport.is_closing() or peer.paused:
            return
        size = self.random.choice([1, 10, 1000, 70_000, 200_000])
        start = peer.sent % 251
        data = PATTERN[start : start + size]
        try:
            if self.random.random() < 0.5:
                transport.write(self.random.choice([bytes, bytearray, memoryview])(data))
            else:
                half = len(data) // 2
                transport.writelines([data[:half], b"", memoryview(data)[half:]])
        except RuntimeError as error:
            self.check("Cannot call write" in str(error), repr(error))  # after write_eof()
        else:
            peer.sent += len(data)

    def pause(self, peer: Peer, transport: Any) -> None:
        def resume() -> None:
            peer.resumed = True
            transport.resume_reading()

        transport.pause_reading()
        self.loop.call_later(self.random.random() / 1000, resume)

    def limits(self, _peer: Peer, transport: Any) -> None:
        transport.set_write_buffer_limits(high=self.random.choice([0, 1, 1000, 100_000]))

    def ask(self, peer: Peer, transport: Any) -> None:
        sock = transport.get_extra_info("socket")
        self.check(str(transport.get_write_buffer_size()) and repr(transport) and sock, "facts")
        self.check(transport.get_protocol() in (peer, None), "another's protocol")

    def eof(self, _peer: Peer, transport: Any) -> None:
        with contextlib.suppress(OSError):  # shutdown() finds that the peer has reset
            transport.write_eof()

    def close(self, _peer: Peer, transport: Any) -> None:
        transport.close()
        self.check(transport.is_closing(), "closing")

    def abort(self, _peer: Peer, transport: Any) -> None:
        transport.abort()

    def reset(self, _peer: Peer, transport: Any) -> None:
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_INET and not transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


OPERATIONS = {
    Actor.write: 40,
    Actor.pause: 6,
    Actor.limits: 3,
    Actor.ask: 6,
    Actor.eof: 1,
    Actor.close: 2,
    Actor.abort: 1,
    Actor.reset: 1,
}


class RandomTest(unittest.TestCase):
    def test_random_operations_in_several_threads(self) -> None:
        descriptors = len(os.listdir("/proc/self/fd"))
        actors: list[Actor] = []
        actors += [Actor(SEED * 100 + number, actors) for number in range(THREADS)]
        everyone = list(actors)
        for actor in everyone:
            actor.start()
        for actor in everyone:
            actor.join(180)
            self.assertFalse(actor.is_alive(), f"seed {SEED}: {actor.name} hangs")
            self.assertEqual(actor.problems, [], f"seed {SEED}: {actor.name}")
        end = time.monotonic() + 10
        while len(os.listdir("/proc/self/fd")) > descriptors and time.monotonic() < end:
            time.sleep(0.01)
        self.assertLessEqual(len(os.listdir("/proc/self/fd")), descriptors)


if __name__ == "__main__":
    unittest.main()
