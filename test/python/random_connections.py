"""Random connections: each coroutine makes ends that an actor has from then on.

It may be cancelled at any await, and then leaves nothing open.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from random_peers import DatagramPeer, Peer, ReadPipePeer, StreamPeer, WritePipePeer, part
from random_tasks import stop, together
from transports import until

if TYPE_CHECKING:
    from random_actor import Actor


class Handed:
    """Files that a transport is made for: they are closed here unless its making has begun."""

    def __init__(self, *files: Any) -> None:
        self.files = list(files)
        for file in files:
            if isinstance(file, socket.socket):
                file.setblocking(False)

    def close(self) -> None:
        for file in self.files:
            file.close()

    async def to(
        self, file: Any, make: Callable[..., Awaitable[Any]], *args: Any, **more: Any
    ) -> Any:
        self.files.remove(file)
        return await make(*args, **more)


def tls_of_client(actor: Actor, tls: bool) -> dict[str, Any]:
    return {"ssl": actor.client_context, "server_hostname": "localhost"} if tls else {}


async def to_a_server(actor: Actor) -> None:
    """A connection to this thread's or another one's server."""
    other = actor.random.choice(actor.shared.actors)
    addresses = other.addresses
    if not addresses:
        return
    tls, address = actor.random.choice(addresses)
    make, options = actor.factory(tls, files=True), tls_of_client(actor, tls)
    if isinstance(address, str):
        await actor.loop.create_unix_connection(make, address, **options)
    else:
        await actor.loop.create_connection(make, *address, **options)


async def pair(actor: Actor) -> None:
    """Both ends are transports here, which knows what each has sent."""
    tls = actor.random.random() < 0.4
    one, two = StreamPeer(actor, tls=tls, files=True), StreamPeer(actor, tls=tls)
    one.other, two.other = two, one
    await make_pair(actor, one, two, tls)


async def make_pair(actor: Actor, one: StreamPeer, two: StreamPeer, tls: bool) -> None:
    loop = actor.loop
    ours, theirs = socket.socketpair()
    with contextlib.closing(Handed(ours, theirs)) as handed:
        client = {"sock": ours, **tls_of_client(actor, tls)}
        server = {"ssl": actor.server_context} if tls else {}
        await together(
            actor,
            handed.to(ours, loop.create_connection, lambda: one.protocol, **client),
            handed.to(theirs, loop.connect_accepted_socket, lambda: two.protocol, theirs, **server),
        )


def take_upgraded(peer: StreamPeer, task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    peer.check(error is None or isinstance(error, OSError), repr(error))
    if not task.cancelled() and error is None and task.result() is not None:
        peer.upgraded(task.result())


async def upgrade(actor: Actor) -> None:
    """start_tls() on both ends of a live connection, which something may disturb."""
    loop = actor.loop
    peers = one, two = StreamPeer(actor, files=True), StreamPeer(actor)
    one.other, two.other = two, one
    one.hidden = two.hidden = True
    try:
        await make_pair(actor, one, two, False)
        one.write()
        two.write()
        await until(lambda: (one.received, two.received) == (two.sent, one.sent))
        options = {"server_side": False, "server_hostname": "localhost"}, {"server_side": True}
        contexts = actor.client_context, actor.server_context
        tasks = [
            loop.create_task(loop.start_tls(peer.transport, peer.protocol, context, **more))
            for peer, context, more in zip(peers, contexts, options, strict=True)
        ]
        disturb = [tasks[0].cancel, tasks[1].cancel, one.transport.close, two.transport.abort]
        if actor.random.random() < 0.4:
            one.abandoned = two.abandoned = True
            loop.call_later(actor.random.random() / 200, actor.random.choice(disturb))
        try:
            await asyncio.wait(tasks)
        finally:
            try:
                await stop(tasks)
            finally:
                for peer, task in zip(peers, tasks, strict=True):
                    take_upgraded(peer, task)
    finally:
        for peer in peers:
            if peer.hidden and peer.transport is not None:
                peer.transport.abort()


async def datagrams(actor: Actor) -> None:
    """Two endpoints, of UDP or UNIX, each connected to the other or not."""
    unix = actor.random.random() < 0.5
    family = socket.AF_UNIX if unix else socket.AF_INET
    sockets = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(2)]
    with contextlib.closing(Handed(*sockets)) as handed:
        for sock in sockets:
            sock.bind(actor.shared.path() if unix else ("127.0.0.1", 0))
        names = [sock.getsockname() for sock in sockets]
        peers: list[DatagramPeer] = []
        for sock, target in zip(sockets, reversed(names), strict=True):
            connected = actor.random.random() < 0.5
            if connected:
                sock.connect(target)
            peer = DatagramPeer(actor, reliable=unix, connected=connected, target=target)
            peers.append(peer)
        if unix:
            peers[0].other, peers[1].other = peers[1], peers[0]
        for sock, peer in zip(sockets, peers, strict=True):
            make = actor.loop.create_datagram_endpoint
            await handed.to(sock, make, lambda peer=peer: peer, sock=sock)


async def datagrams_by_address(actor: Actor) -> None:
    """An endpoint that the loop makes, connected or not to another thread's."""
    other = actor.random.choice(actor.shared.actors)
    target = actor.random.choice(other.targets[-4:] or [None])
    connected = target is not None and actor.random.random() < 0.5
    peer = DatagramPeer(actor, reliable=False, connected=connected, target=target)
    transport, _ = await actor.loop.create_datagram_endpoint(
        lambda: peer, ("127.0.0.1", 0), target if connected else None
    )
    actor.targets.append(transport.get_extra_info("sockname"))


def pipe_files(actor: Actor) -> tuple[Any, Any]:
    """What can be read as a pipe, and its other end."""
    if actor.random.random() < 0.3:
        return socket.socketpair()
    r, w = os.pipe()
    return os.fdopen(r, "rb", 0), os.fdopen(w, "wb", 0)


async def pipe_end(actor: Actor, connect: Any, peer: Peer, file: Any) -> None:
    try:
        await connect(lambda: peer, file)
    except ValueError:
        if not actor.loop.get_debug():  # asyncio logs its number, though it may be closed by then
            raise


async def pipes(actor: Actor) -> None:
    reads, writes = ReadPipePeer(actor), WritePipePeer(actor)
    reads.other = writes
    r, w = pipe_files(actor)
    with contextlib.closing(Handed(r, w)) as handed:
        await handed.to(r, pipe_end, actor, actor.loop.connect_read_pipe, reads, r)
        await handed.to(w, pipe_end, actor, actor.loop.connect_write_pipe, writes, w)


async def pipe_from_a_file(actor: Actor) -> None:
    """A reading end; the other one is written to by hand, and closed."""
    peer = ReadPipePeer(actor)
    r, w = os.pipe()
    os.set_blocking(w, False)
    with os.fdopen(w, "wb", 0) as file:
        await pipe_end(actor, actor.loop.connect_read_pipe, peer, os.fdopen(r, "rb", 0))
        for _ in range(actor.random.randrange(6)):
            data = part(peer.sent, actor.random.choice([1, 3000, 100_000]))
            with contextlib.suppress(BrokenPipeError):
                peer.sent += file.write(data) or 0
            await actor.moment()
    await until(lambda: peer.lost)
    peer.check(peer.ended or peer.received == peer.sent, "the end before all that was sent")


async def pipe_to_a_file(actor: Actor) -> None:
    """A writing end; the other one is read by hand, and closed."""
    peer = WritePipePeer(actor)
    r, w = os.pipe()
    os.set_blocking(r, False)
    with os.fdopen(r, "rb", 0) as file:
        await pipe_end(actor, actor.loop.connect_write_pipe, peer, os.fdopen(w, "wb", 0))
        for _ in range(actor.random.randrange(6)):
            data = file.read(actor.random.choice([1, 3000, 100_000])) or b""
            peer.check(data == part(peer.received, len(data)), "other bytes than sent")
            peer.received += len(data)
            await actor.moment()
    await until(lambda: peer.lost)


async def serve(actor: Actor) -> None:
    """A server that is closed with its connections."""
    loop, random = actor.loop, actor.random
    tls = random.random() < 0.3
    peers: list[Peer] = []

    def make() -> Any:
        peer = StreamPeer(actor, tls=tls)
        peers.append(peer)
        return peer.protocol

    context = actor.server_context if tls else None
    server = await loop.create_server(make, "127.0.0.1", 0, ssl=context, start_serving=False)
    try:
        await server.start_serving()  # create_server() would leak it if it is cancelled in there
        address = server.sockets[0].getsockname()
        options = tls_of_client(actor, tls)
        connecting = [
            loop.create_connection(make, *address, **options) for _ in range(random.randrange(1, 4))
        ]
        await together(actor, *connecting)
        await actor.moment()
        server.close()
        ways = ["close_clients", "abort_clients"] if hasattr(server, "close_clients") else []
        way = random.choice([None, *ways])
        if way is not None:
            getattr(server, way)()
            await actor.moment()
    finally:
        server.close()
        for peer in peers:
            if peer.transport is not None:
                peer.end()
    await server.wait_closed()
    await until(lambda: all(peer.lost or peer.transport is None for peer in peers))


CONNECTIONS = [
    to_a_server,
    to_a_server,
    to_a_server,
    pair,
    pair,
    upgrade,
    datagrams,
    datagrams_by_address,
    pipes,
    pipe_from_a_file,
    pipe_to_a_file,
    serve,
]
