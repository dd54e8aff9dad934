"""Random use of plain sockets: watches and `sock_*` calls, which are cancelled as it comes. Each
coroutine may be cancelled itself at any await, and leaves nothing open.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from random_peers import part
from random_tasks import cancelled, stop

if TYPE_CHECKING:
    from random_actor import Actor


def plain_pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
    return pair


async def receive(actor: Actor, sock: socket.socket, size: int) -> bytes:
    if actor.random.random() < 0.5:
        return await actor.loop.sock_recv(sock, size)
    buffer = bytearray(size)
    count = await actor.loop.sock_recv_into(sock, buffer)
    return bytes(buffer[:count])


async def stream_of_calls(actor: Actor) -> None:
    """What is sent arrives, and a read that is cancelled before takes nothing of it."""
    random, loop = actor.random, actor.loop
    ours, theirs = plain_pair()
    with ours, theirs:
        position = 0
        for _ in range(random.randrange(1, 5)):
            unlucky = await cancelled(actor, receive(actor, ours, 10))
            actor.check(unlucky.cancelled(), "something was read that nobody had sent")
            end = position + random.choice([1, 2000, 100_000])
            sending = loop.create_task(loop.sock_sendall(theirs, part(position, end - position)))
            try:
                while position < end:
                    data = await receive(actor, ours, random.choice([1000, 50_000]))
                    actor.check(data == part(position, len(data)), "other bytes than sent")
                    position += len(data)
                await sending
            finally:
                await stop([sending])


async def cancelled_sending(actor: Actor) -> None:
    """Of a call that is cancelled nothing goes out later, nor anything else than it was to send."""
    loop = actor.loop
    ours, theirs = plain_pair()
    with ours, theirs, open(actor.shared.file, "rb") as file:
        if actor.random.random() < 0.5:
            call = loop.sock_sendall(theirs, part(0, 400_000))
        else:
            call = loop.sock_sendfile(theirs, file, 0, 400_000)
        task = await cancelled(actor, call)
        actor.check(task.cancelled(), "400,000 bytes were taken by a socket with less room")
        position = 0
        for _ in range(20):
            with contextlib.suppress(BlockingIOError):
                data = ours.recv(50_000)
                actor.check(data == part(position, len(data)), "other bytes than sent")
                position += len(data)
            await asyncio.sleep(0)
        theirs.shutdown(socket.SHUT_WR)
        while data := await receive(actor, ours, 50_000):
            actor.check(data == part(position, len(data)), "other bytes than sent")
            position += len(data)
        actor.check(position < 400_000, "sent after it was cancelled")


async def accepting(actor: Actor) -> None:
    """One side of a new connection is cancelled, or none: who has connected is accepted once."""
    loop, random = actor.loop, actor.random
    if loop.get_debug():
        return  # sock_accept() is asyncio's, which leaks a connection if it is cancelled late
    listener = socket.create_server(("127.0.0.2", 0))  # where no other connection goes
    client = socket.socket()

    def look(accepted: asyncio.Task[Any]) -> None:
        if not accepted.cancelled() and accepted.exception() is None:
            with accepted.result()[0] as sock:
                same = client.fileno() < 0 or sock.getpeername() == client.getsockname()
                actor.check(same, "another's connection")

    with listener, client:
        listener.setblocking(False)
        client.setblocking(False)
        accepting = loop.create_task(loop.sock_accept(listener))
        connecting = loop.create_task(loop.sock_connect(client, listener.getsockname()))
        accepting.add_done_callback(look)
        tasks = [accepting, connecting]
        try:
            if random.random() < 0.5:
                await actor.moment()
                random.choice(tasks).cancel()
            await asyncio.wait(tasks, timeout=0.02)
        finally:
            await stop(tasks)
        failures = [task.exception() for task in tasks if not task.cancelled()]
        actor.check(not any(failures), f"{failures}")


async def datagram_calls(actor: Actor) -> None:
    """Datagrams arrive one by one as they were sent; a receiver cancelled before takes none."""
    loop, random = actor.loop, actor.random
    ours, theirs = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with ours, theirs:
        for sock in (ours, theirs):
            sock.setblocking(False)
            sock.bind(("127.0.0.2", 0))  # where the endpoints send nothing
        unlucky = await cancelled(actor, loop.sock_recvfrom(ours, 100))
        actor.check(unlucky.cancelled(), "something was read that nobody had sent")
        sizes = [random.choice([1, 500, 5000]) for _ in range(random.randrange(5))]
        sent = [part(number, size) for number, size in enumerate(sizes)]
        for data in sent:
            count = await loop.sock_sendto(theirs, data, ours.getsockname())
            actor.check(count == len(data), "a part of a datagram")
        for data in sent:
            if random.random() < 0.5:
                received, address = await loop.sock_recvfrom(ours, 9000)
            else:
                buffer = bytearray(9000)
                count, address = await loop.sock_recvfrom_into(ours, buffer)
                received = bytes(buffer[:count])
            actor.check(received == data, "another datagram than sent")
            actor.check(address == theirs.getsockname(), f"{address} is another's address")


class Watched:
    """Two sockets with watches, which are taken away and put back."""

    def __init__(self, actor: Actor, done: asyncio.Future[None]) -> None:
        self.actor = actor
        self.done = done
        self.random = actor.random
        self.ours, self.theirs = plain_pair()
        self.sent = self.received = 0
        self.total = self.random.choice([1, 5000, 300_000])
        self.reading: object = None  # whose turn it is to be called
        self.writing = False
        self.watch_reading()
        self.watch_writing()

    def watch_reading(self) -> None:
        """Anew, or in place of the one that is there."""
        self.reading = object()
        watched = self.ours if self.random.random() < 0.5 else self.ours.fileno()
        self.actor.loop.add_reader(watched, self.readable, self.reading)

    def watch_writing(self) -> None:
        self.writing = True
        self.actor.loop.add_writer(self.theirs, self.writable)

    def leave(self, remove: Callable[[socket.socket], bool], sock: socket.socket) -> None:
        self.actor.check(remove(sock), "a watch that was not there")
        self.actor.check(not remove(sock), "a watch that is still there")

    def again(self, watch: Callable[[], None]) -> None:
        def unless_done() -> None:
            if not self.done.done():
                watch()

        if self.random.random() < 0.5:
            unless_done()
        else:
            self.actor.loop.call_later(self.random.random() / 1000, unless_done)

    def readable(self, turn: object) -> None:
        check, loop = self.actor.check, self.actor.loop
        check(turn is self.reading, "a watch is called that was removed")
        with contextlib.suppress(BlockingIOError):
            data = self.ours.recv(self.random.choice([1, 5000, 100_000]))
            check(data == part(self.received, len(data)), "other bytes than sent")
            self.received += len(data)
        if self.received == self.total:
            self.reading = None
            self.leave(loop.remove_reader, self.ours)
            if not self.done.done():
                self.done.set_result(None)
        elif self.random.random() < 0.2:
            self.reading = None
            self.leave(loop.remove_reader, self.ours)
            self.again(self.watch_reading)
        elif self.random.random() < 0.1:
            self.watch_reading()

    def writable(self) -> None:
        check, loop = self.actor.check, self.actor.loop
        check(self.writing, "a watch is called that was removed")
        with contextlib.suppress(BlockingIOError):
            size = min(self.random.choice([1, 5000, 100_000]), self.total - self.sent)
            self.sent += self.theirs.send(part(self.sent, size))
        if self.sent == self.total or self.random.random() < 0.2:
            self.writing = False
            self.leave(loop.remove_writer, self.theirs)
            if self.sent < self.total:
                self.again(self.watch_writing)

    def close(self) -> None:
        self.actor.loop.remove_reader(self.ours)
        self.actor.loop.remove_writer(self.theirs)
        self.ours.close()
        self.theirs.close()


async def watches(actor: Actor) -> None:
    done = actor.loop.create_future()
    watched = Watched(actor, done)
    try:
        await done
    finally:
        done.cancel()
        watched.close()


CALLS = [stream_of_calls, cancelled_sending, accepting, datagram_calls, watches]
