"""The other end of connections by the thousands, on asyncio's own loop: tools/stress.mjs starts it.

A process of its own has descriptors of its own, so all of the limit is for one end.
`peer.py serve COUNT` prints its port and answers; `peer.py connect COUNT PORT` prints how many
connections are open and, when it has read a line, how many answered. Both end with their input.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from typing import Any

_AT_ONCE = 100


def _raise_limit(count: int) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + 200
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard < 0 else min(wanted, hard), hard))


async def _line() -> str:
    return await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


class _Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def serve(count: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Echo, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await _line()


async def connect(count: int, port: int) -> None:
    loop = asyncio.get_running_loop()
    answers = asyncio.Semaphore(0)

    class Client(asyncio.Protocol):
        def data_received(self, data: bytes) -> None:
            answers.release()

    transports: list[Any] = []
    for begun in range(0, count, _AT_ONCE):
        batch = range(min(_AT_ONCE, count - begun))
        made = await asyncio.gather(
            *(loop.create_connection(Client, "127.0.0.1", port) for _ in batch)
        )
        transports += [transport for transport, _ in made]
    print(len(transports), flush=True)
    await _line()
    for transport in transports:
        transport.write(b"x")
    for _ in transports:
        await answers.acquire()
    print(len(transports), flush=True)
    await _line()


if __name__ == "__main__":
    _raise_limit(int(sys.argv[2]))
    asyncio.run({"serve": serve, "connect": connect}[sys.argv[1]](*map(int, sys.argv[2:])))
