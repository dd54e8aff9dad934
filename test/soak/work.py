"""What the soak calls: a bit of everything that crosses the border, or waits in the loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable


class Thing:
    def __init__(self, value: object) -> None:
        self.value = value
        self.me = self  # only the garbage collector frees it

    def other(self) -> Thing:
        return Thing(self.value)


def echo(value: object) -> object:
    return value


async def nap(seconds: float, value: object) -> object:
    await asyncio.sleep(seconds)
    return value


async def several(awaitables: list[Awaitable[int]]) -> int:
    return sum(await asyncio.gather(*awaitables))


def fail(text: str) -> None:
    try:
        raise KeyError(text)
    except KeyError as error:
        raise ValueError(text) from error


def call_back(function: Callable[[int], int], times: int) -> int:
    return sum(function(number) for number in range(times))


async def in_threads(function: Callable[[int], int], threads: int) -> int:
    return sum(
        await asyncio.gather(*[asyncio.to_thread(call_back, function, 5) for _ in range(threads)])
    )


async def own_thread(function: Callable[[int], int]) -> int:
    results: list[int] = []
    loop = asyncio.get_running_loop()
    done = asyncio.Event()

    def work() -> None:
        results.append(function(20))
        loop.call_soon_threadsafe(done.set)

    thread = threading.Thread(target=work)
    thread.start()
    await done.wait()
    thread.join()
    return results[0]


async def count(end: int) -> AsyncIterator[int]:
    for number in range(end):
        await asyncio.sleep(0)
        yield number


async def add(items: AsyncIterable[int]) -> int:
    return sum([item async for item in items])


async def serve(data: bytes) -> int:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(len(data)))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(data)
    received = await reader.read(-1)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    server.close()
    await server.wait_closed()
    return len(received)


async def warm_executor(threads: int) -> None:
    """As many threads as the default executor has at most."""
    release = threading.Event()
    calls = [asyncio.ensure_future(asyncio.to_thread(release.wait)) for _ in range(threads)]
    await asyncio.sleep(0.1)
    release.set()
    await asyncio.gather(*calls)
