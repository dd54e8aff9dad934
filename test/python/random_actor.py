"""A thread with a loop on which one thing at random is done after the other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from random_connections import CONNECTIONS
from random_peers import Peer, StreamPeer
from random_sockets import CALLS
from random_tasks import cancelled
from tls_peer import client_context, server_context

import coloop

#: The same on asyncio's own loop, to see what is right.
RUN: Any = asyncio.run if os.environ.get("COLOOP_RANDOM_LOOP") == "asyncio" else coloop.run

# Of a debug mode only: the handshake of what was accepted has failed, the other end having left.
_EXPECTED = "Error on transport creation for incoming connection"


@dataclass
class Shared:
    """What the actors of a run have in common."""

    folder: Path
    file: Path  # the pattern
    steps: int
    actors: list[Actor] = field(default_factory=list)
    names: itertools.count[int] = field(default_factory=itertools.count)

    def path(self) -> str:
        return str(self.folder / str(next(self.names)))


class Actor(threading.Thread):
    def __init__(self, seed: int, shared: Shared) -> None:
        super().__init__(name=f"actor {seed}")
        self.random = random.Random(seed)
        self.shared = shared
        self.client_context = client_context()
        self.server_context = server_context()
        self.peers: list[Peer] = []
        self.problems: list[str] = []
        self.transports: weakref.WeakSet[Any] = weakref.WeakSet()
        self.tasks: dict[asyncio.Task[Any], Peer | None] = {}  # and what sends a file
        self.servers: list[Any] = []
        self.addresses: list[tuple[bool, Any]] = []  # whether with TLS, and where
        self.targets: list[Any] = []  # of unconnected UDP endpoints
        self.finishing = False
        self.loop: Any = None

    def check(self, condition: Any, problem: str) -> None:
        if not condition:
            self.problems.append(problem)

    # Running

    def run(self) -> None:
        try:
            RUN(asyncio.wait_for(self.main(), 150))
        except BaseException as error:
            self.problems.append(repr(error))

    def on_error(self, loop: Any, context: dict[str, Any]) -> None:
        if not (loop.get_debug() and context["message"] == _EXPECTED):
            self.problems.append(f"{context['message']}: {context.get('exception')!r}")

    async def main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self.on_error)
        before = self.live()
        for tls in (False, True):
            context = self.server_context if tls else None
            make = self.factory(tls)
            path = self.shared.path()
            ours = await self.loop.create_server(make, "127.0.0.1", 0, ssl=context)
            self.servers.append(ours)
            self.addresses.append((tls, ours.sockets[0].getsockname()))
            self.servers.append(await self.loop.create_unix_server(make, path, ssl=context))
            self.addresses.append((tls, path))
        for _ in range(self.shared.steps):
            self.step()
            if self.random.random() < 0.5:
                await asyncio.sleep(self.random.choice([0, 0, 0.0003, 0.002]))
        await self.finish()
        end = time.monotonic() + 30  # what other actors began is ended by them
        while self.live() != before and time.monotonic() < end:
            await asyncio.sleep(0.01)
            gc.collect()  # a socket that was used is counted as long as its object is there
        self.check(self.live() == before, f"left over: {self.live()}, at the start: {before}")

    async def finish(self) -> None:
        self.finishing = True
        self.addresses = []  # the next one who gets a port is somebody else
        for server in self.servers:
            server.close()
        end = time.monotonic() + 30
        while (self.unfinished() or self.waiting()) and time.monotonic() < end:
            await asyncio.sleep(0.001)
        self.check(not self.unfinished(), f"these do not end: {self.unfinished()}")
        for peer in self.waiting():
            peer.check(False, f"{peer.received} of {peer.other.sent} have come")
        for task in self.tasks:
            task.cancel()
        while self.peers or self.tasks:
            for peer in list(self.peers):
                peer.end()
            await asyncio.sleep(0.001)
        for server in self.servers:
            await server.wait_closed()

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """What has to end by itself.

        A file may wait for an end that has closed: that reads no more, and waits for the sender to
        take what it has written itself.
        """
        return [
            task
            for task, peer in self.tasks.items()
            if peer is None or (peer.other is not None and not peer.other.ended)
        ]

    def waiting(self) -> list[Any]:
        return [peer for peer in self.peers if peer.misses()]

    def live(self) -> dict[str, Any]:
        """What the loop counts."""
        if not hasattr(self.loop, "metrics"):  # asyncio's
            return {}
        metrics = self.loop.metrics()
        return {**metrics["handles"], "timers": metrics["timers"], "tasks": metrics["tasks"]}

    def spawn(
        self, coroutine: Coroutine[Any, Any, Any], peer: Peer | None = None
    ) -> asyncio.Task[Any]:
        task = self.loop.create_task(coroutine)
        self.tasks[task] = peer
        task.add_done_callback(self.done)
        return task

    def done(self, task: asyncio.Task[Any]) -> None:
        del self.tasks[task]
        if not task.cancelled() and task.exception() is not None:
            # An OSError: the other end is gone.
            self.check(isinstance(task.exception(), OSError), repr(task.exception()))

    # Steps

    def step(self) -> None:
        chance = self.random.random()
        if len(self.tasks) < 12 and (len(self.peers) < 8 or chance < 0.1):
            self.spawn(self.random.choice(CONNECTIONS)(self))
        elif len(self.tasks) < 12 and chance < 0.2:
            self.spawn(self.random.choice(CALLS)(self))
        elif len(self.tasks) < 12 and chance < 0.3:
            self.spawn(cancelled(self, self.random.choice(CONNECTIONS + CALLS)(self)))
        elif chance < 0.4:
            self.from_elsewhere()
        elif self.peers:
            self.operate(self.random.choice(self.peers))

    async def moment(self) -> None:
        """Some iterations of the loop, or some time."""
        if self.random.random() < 0.5:
            for _ in range(self.random.randrange(1, 8)):
                await asyncio.sleep(0)
        else:
            await asyncio.sleep(self.random.random() / 200)

    def from_elsewhere(self) -> None:
        """Another thread's loop does something to one of its own transports, asked by this one."""
        other = self.random.choice(self.shared.actors)
        number = self.random.random()

        def act() -> None:
            if other.peers:
                other.operate(other.peers[int(number * len(other.peers))])

        if other.loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed
                other.loop.call_soon_threadsafe(act)

    # Peers

    def factory(self, tls: bool, files: bool = False) -> Callable[[], Any]:
        return lambda: StreamPeer(self, tls=tls, files=files).protocol

    def made(self, peer: Peer) -> None:
        self.transports.add(peer.transport)
        if not peer.hidden:
            self.peers.append(peer)

    def gone(self, peer: Peer) -> None:
        if peer in self.peers:
            self.peers.remove(peer)

    def operates(self, peer: Peer) -> bool:
        return not self.finishing and not peer.hidden

    def operate(self, peer: Peer) -> None:
        if self.operates(peer):
            names, weights = peer.OPERATIONS.keys(), peer.OPERATIONS.values()
            getattr(peer, self.random.choices([*names], [*weights])[0])()
