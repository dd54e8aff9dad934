"""The ends of random connections: each sends what can be recognised, checks what it receives and
the order of its callbacks, and has operations that an actor chooses from.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, ClassVar

from tls_peer import RESET

if TYPE_CHECKING:
    from random_actor import Actor

PATTERN = bytes(range(251)) * 2000  # a stream of these shows what is lost, doubled or out of order


def part(position: int, size: int) -> bytes:
    """What a stream has from a position on."""
    start = position % 251
    return PATTERN[start : start + size]


class Peer:
    """What all have: the order of the callbacks, flow control and the end."""

    OPERATIONS: ClassVar[dict[str, int]]
    tls = False
    hidden = False  # not to be operated yet
    busy = False  # sends a file, and does not read

    def __init__(self, actor: Actor) -> None:
        self.actor = actor
        self.random = actor.random
        self.transport: Any = None
        self.other: Peer | None = None  # where both ends are made together
        self.sent = self.received = 0
        self.lost = self.at_end = self.paused = False
        self.reading = True
        self.ended = False  # closed here
        self.finished = False  # sends no more, and all that was sent has to arrive
        self.abandoned = False  # what was sent may be lost
        self.aborted = False

    def check(self, condition: Any, problem: str) -> None:
        if not condition:
            kind = type(self).__name__ + " with TLS" * self.tls
            self.actor.check(condition, f"{kind}: {problem}")

    # Callbacks

    def connection_made(self, transport: Any) -> None:
        self.check(self.transport is None, "connection_made() twice")
        self.transport = transport
        self.actor.made(self)
        self.act(0.05)

    def connection_lost(self, exc: BaseException | None) -> None:
        self.check(self.transport is not None and not self.lost, "connection_lost() twice")
        expected = OSError, asyncio.TimeoutError  # the latter is an OSError from 3.11 on
        self.check(exc is None or isinstance(exc, expected), f"lost by {exc!r}")
        self.act(0.05)
        self.lost = True
        self.actor.gone(self)

    def take(self, data: bytes | memoryview, committed: bool = False) -> None:
        self.check(not self.lost and not self.at_end, "data after the end")
        self.check(self.reading or committed, "data while reading is paused")
        # TLS reads to the end, as asyncio's.
        self.check(not self.ended or committed or self.tls, "data after close()")
        self.check(bytes(data) == part(self.received, len(data)), "other bytes than sent")
        self.received += len(data)
        self.act(0.2)

    def check_all_came(self) -> None:
        other = self.other
        if other is None or not other.finished or other.abandoned or self.ended:
            return
        # As asyncio's, TLS that has said its end fails, and drops what waits, if more data comes.
        if not self.tls or other.received == self.sent:
            part_of = f"{self.received} of {other.sent}"
            self.check(self.received == other.sent, f"the end after {part_of} bytes")

    def misses(self) -> bool:
        """Something is on its way, and nothing should keep it."""
        other = self.other
        if other is None or other.lost or other.abandoned or self.lost or self.at_end:
            return False
        return not (self.ended or self.busy) and self.received != other.sent

    def pause_writing(self) -> None:
        self.check(not self.paused and not self.lost, "pause_writing() twice or late")
        self.paused = True
        self.act(0.05)

    def resume_writing(self) -> None:
        self.check(self.paused and not self.lost, "resume_writing() unasked or late")
        self.paused = False
        self.act(0.2)

    def act(self, probability: float) -> None:
        if self.random.random() < probability:
            self.actor.operate(self)

    # Operations

    def pause(self) -> None:
        self.reading = False
        self.transport.pause_reading()
        self.actor.loop.call_later(self.random.random() / 1000, self.resume)

    def resume(self) -> None:
        self.reading = True
        self.transport.resume_reading()

    def limits(self) -> None:
        self.transport.set_write_buffer_limits(high=self.random.choice([0, 1, 1000, 100_000]))

    def close(self) -> None:
        self.finished = self.finished or not self.transport.is_closing()
        self.ended = True
        self.transport.close()
        self.check(self.transport.is_closing(), "close() does not close")

    def abort(self) -> None:
        self.abandoned = self.aborted = self.ended = True
        self.transport.abort()
        self.check(self.transport.is_closing(), "abort() does not close")

    end = abort


class _Protocol:
    """What calls a stream's peer, as long as it is the peer's protocol."""

    def __init__(self, peer: StreamPeer) -> None:
        self.peer = peer

    def current(self) -> StreamPeer:
        self.peer.check(self.peer.protocol is self, "a protocol is called that was replaced")
        return self.peer

    def connection_made(self, transport: Any) -> None:
        self.current().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        # TLS plans this call for the protocol of that moment, as asyncio's does.
        (self.peer if self.peer.tls else self.current()).connection_lost(exc)

    def eof_received(self) -> bool:
        return self.current().eof_received()

    def pause_writing(self) -> None:
        self.current().pause_writing()

    def resume_writing(self) -> None:
        self.current().resume_writing()


class Plain(_Protocol, asyncio.Protocol):
    def data_received(self, data: bytes) -> None:
        self.current().take(data)


class Buffered(_Protocol, asyncio.BufferedProtocol):
    def get_buffer(self, _sizehint: int) -> memoryview:
        peer = self.current()
        self.buffer = memoryview(bytearray(peer.random.choice([1, 100, 5000, 150_000])))
        peer.committed = peer.random.random() < 0.02 and peer.actor.operates(peer)
        if peer.committed:  # what comes into this buffer comes, whatever is done now
            peer.random.choice([peer.pause, peer.close, peer.abort])()
            peer.committed = True  # close() may have read
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        peer = self.current()
        committed, peer.committed = peer.committed, False
        peer.take(self.buffer[:nbytes], committed)


class StreamPeer(Peer):
    """One end of a TCP or UNIX connection, with TLS or without."""

    OPERATIONS: ClassVar[dict[str, int]] = {
        "write": 40,
        "pause": 6,
        "limits": 3,
        "ask": 6,
        "replace_protocol": 4,
        "send_file": 3,
        "write_eof": 1,
        "close": 2,
        "abort": 1,
        "reset": 1,
    }

    def __init__(self, actor: Actor, *, tls: bool = False, files: bool = False) -> None:
        super().__init__(actor)
        self.tls = tls
        self.files = files  # one end only: sendfile() does not read, and two of them would wait
        self.resumed = False  # as with asyncio, reading that is resumed meets the end again
        self.committed = False
        self.unasked = False  # one resume_writing() may come that was not asked for
        self.protocol: Any = self.new_protocol()

    def new_protocol(self) -> Any:
        return self.random.choice([Plain, Buffered])(self)

    def eof_received(self) -> bool:
        self.check(not self.lost, "eof_received() after the end")
        self.check(not self.at_end or self.resumed, "eof_received() twice")
        self.at_end, self.resumed = True, False
        self.check_all_came()
        self.act(0.1)
        return not self.tls and self.random.random() < 0.5

    def resume_writing(self) -> None:
        if self.unasked and not self.paused:
            self.unasked = False
            self.paused = True
        super().resume_writing()

    def upgraded(self, transport: Any) -> None:
        self.transport, self.tls, self.hidden = transport, True, False
        if not self.lost:
            self.actor.made(self)

    # Operations

    def write(self) -> None:
        if self.aborted:
            with contextlib.suppress(RuntimeError):  # after write_eof()
                self.transport.write(b"nobody gets this")
        if self.transport.is_closing() or self.paused or self.busy:
            return
        data = part(self.sent, self.random.choice([1, 10, 1000, 70_000, 200_000]))
        self.sent += len(data)  # before the call, in which pause_writing() may do anything
        try:
            if self.random.random() < 0.5:
                taken = self.random.choice([bytes, bytearray, memoryview])(data)
                self.transport.write(taken)
                if isinstance(taken, bytearray):
                    taken[:] = bytes(len(taken))  # it was taken as it was
            else:
                half = len(data) // 2
                self.transport.writelines([data[:half], b"", memoryview(data)[half:]])
        except RuntimeError as error:
            self.sent -= len(data)
            self.check("Cannot call write" in str(error), repr(error))  # after write_eof()

    def pause(self) -> None:
        if not self.busy:  # else sendfile() has paused it, and resumes
            super().pause()

    def resume(self) -> None:
        if self.busy:
            self.actor.loop.call_later(0.001, self.resume)
            return
        self.resumed = True
        super().resume()

    def ask(self) -> None:
        transport = self.transport
        for name in ("peername", "sockname", "cipher", "ssl_object"):
            transport.get_extra_info(name)
        self.check(repr(transport) and transport.get_write_buffer_size() >= 0, "facts")
        self.check(self.tls or transport.get_extra_info("socket"), "no socket")
        if not self.busy:
            self.check(transport.get_protocol() in (self.protocol, None), "another's protocol")

    def replace_protocol(self) -> None:
        if not (self.busy or self.lost or self.transport.is_closing()):
            self.protocol = self.new_protocol()
            self.transport.set_protocol(self.protocol)

    def write_eof(self) -> None:
        if self.tls:
            self.check(not self.transport.can_write_eof(), "half of TLS cannot end")
        elif not (self.busy or self.transport.is_closing()):
            self.finished = True
            with contextlib.suppress(OSError):  # shutdown() finds that the peer has reset
                self.transport.write_eof()

    def close(self) -> None:
        if self.busy and self.tls:
            return  # as asyncio's, the end that comes of it is an error of sendfile()'s protocol
        self.abandoned = self.abandoned or self.busy
        super().close()

    def reset(self) -> None:
        sock = self.transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_INET and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.abort()

    def send_file(self) -> None:
        closing = self.transport.is_closing() or self.finished
        if closing or self.paused or self.busy or not self.files:
            return
        self.busy = True
        task = self.actor.spawn(self.sending_file(), self)
        if self.random.random() < 0.2:
            self.actor.loop.call_later(self.random.random() / 500, task.cancel)

    async def sending_file(self) -> None:
        loop, size = self.actor.loop, self.random.choice([1, 5000, 300_000])
        self.resumed = True  # it resumes reading
        complete = False
        try:
            with open(self.actor.shared.file, "rb") as file:
                count = await loop.sendfile(self.transport, file, self.sent % 251, size)
            self.check(count == size, f"sendfile() sent {count} of {size}")
            self.sent += size
            complete = True
        except RuntimeError as error:
            self.check("ransport is closing" in str(error), repr(error))
        finally:
            self.busy = False
            self.unasked = self.tls  # asyncio's replaces the protocol meanwhile
            if not complete:
                self.abort()


class DatagramPeer(Peer, asyncio.DatagramProtocol):
    """An endpoint whose datagrams have their sender, a number, and what belongs to the number."""

    OPERATIONS: ClassVar[dict[str, int]] = {
        "send": 40,
        "pause": 4,
        "limits": 3,
        "ask": 4,
        "close": 1,
        "abort": 1,
    }
    HEADER = struct.Struct(">IIIH")
    SIZES: ClassVar[list[int]] = [0, 1, 200, 1400, 9000]
    addresses: ClassVar[dict[int, Any]] = {}  # of all there were, by number
    failed: ClassVar[set[int]] = set()  # an error took a datagram of theirs
    numbers = itertools.count()

    def __init__(self, actor: Actor, *, reliable: bool, connected: bool, target: Any) -> None:
        super().__init__(actor)
        self.reliable = reliable  # a UNIX socket loses nothing and keeps the order
        self.connected = connected
        self.target = target  # None: itself
        self.number = next(self.numbers)
        self.seen: dict[int, list[int]] = {}

    def connection_made(self, transport: Any) -> None:
        self.addresses[self.number] = transport.get_extra_info("sockname")
        self.target = self.target or self.addresses[self.number]
        super().connection_made(transport)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.check(not self.lost and not self.ended, "a datagram after the end")
        self.check(self.reading, "a datagram while reading is paused")
        process, number, sequence, size = self.HEADER.unpack_from(data)
        if process != os.getpid():
            return  # another run's, to who had the port before
        self.check(data[self.HEADER.size :] == part(sequence, size), "another datagram than sent")
        self.check(addr == self.addresses.get(number, addr), f"{addr} is another's address")
        seen = self.seen.setdefault(number, [])
        if self.reliable:
            follows = not seen or seen[-1] + 1 == sequence or number in self.failed
            self.check(follows, f"{sequence} after {seen[-1:]}")
        self.check(sequence not in seen, "a datagram twice")
        seen.append(sequence)
        self.received += 1
        self.act(0.2)

    def error_received(self, exc: Exception) -> None:
        self.check(isinstance(exc, OSError) and not self.lost, f"error {exc!r}")
        self.failed.add(self.number)
        self.abandoned = True
        self.act(0.1)

    def send(self) -> None:
        if self.transport.is_closing() or self.paused:
            return
        for _ in range(self.random.choice([1, 1, 5])):
            size = self.random.choice(self.SIZES)
            header = self.HEADER.pack(os.getpid(), self.number, self.sent, size)
            data = header + part(self.sent, size)
            self.sent += 1
            self.transport.sendto(data, None if self.connected else self.target)

    def pause(self) -> None:
        if hasattr(self.transport, "pause_reading"):  # asyncio's has not
            super().pause()

    def ask(self) -> None:
        info = self.transport.get_extra_info
        self.check(repr(self.transport) and info("socket"), "facts")
        self.check(info("sockname") == self.addresses[self.number], "another address")


class ReadPipePeer(Peer, asyncio.Protocol):
    OPERATIONS: ClassVar[dict[str, int]] = {"pause": 6, "ask": 6, "close": 1}

    def data_received(self, data: bytes) -> None:
        self.take(data)

    def eof_received(self) -> None:
        self.check(not self.at_end and not self.lost, "eof_received() twice or late")
        self.at_end = True
        self.check_all_came()

    def ask(self) -> None:
        self.check(repr(self.transport) and self.transport.get_extra_info("pipe"), "facts")

    end = Peer.close  # there is no abort()


class WritePipePeer(Peer, asyncio.BaseProtocol):
    OPERATIONS: ClassVar[dict[str, int]] = {
        "write": 40,
        "limits": 4,
        "ask": 6,
        "write_eof": 1,
        "close": 1,
        "abort": 1,
    }

    def write(self) -> None:
        if self.transport.is_closing() or self.paused:
            return
        data = part(self.sent, self.random.choice([1, 1000, 70_000, 200_000]))
        self.sent += len(data)
        self.transport.write(self.random.choice([bytes, bytearray, memoryview])(data))

    def ask(self) -> None:
        self.check(repr(self.transport) and self.transport.get_write_buffer_size() >= 0, "facts")

    def write_eof(self) -> None:
        self.finished = self.finished or not self.transport.is_closing()
        self.transport.write_eof()
