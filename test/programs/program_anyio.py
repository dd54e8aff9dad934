"""anyio's task groups, scopes, streams and threads; httpx as a client of a plain asyncio server."""

from __future__ import annotations

import asyncio
from typing import Any

import anyio
import anyio.abc
import anyio.from_thread
import anyio.to_thread
import httpx


async def tasks() -> list[Any]:
    seen: list[Any] = []

    async def child(number: int, *, task_status: anyio.abc.TaskStatus[int]) -> None:
        task_status.started(number * 2)
        try:
            await anyio.sleep(60)
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.001)
                seen.append(f"cleaned up {number}")

    async with anyio.create_task_group() as group:
        seen.extend([await group.start(child, number) for number in range(3)])
        group.cancel_scope.cancel()
    seen[3:] = sorted(seen[3:])  # a group cancels its tasks in the order of a set
    with anyio.move_on_after(0.01) as scope:
        await anyio.sleep(60)
    seen.append(scope.cancelled_caught)
    try:
        with anyio.fail_after(0.01):
            await anyio.sleep(60)
    except TimeoutError:
        seen.append("TimeoutError")
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 60)
            raise LookupError("in a group")
    except BaseException as error:
        causes = getattr(error, "exceptions", [error])
        seen.append([type(error).__name__, [repr(each) for each in causes]])
    return seen


async def streams() -> list[Any]:
    async def serve(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            async for chunk in stream:
                await stream.send(chunk[::-1])

    send, receive = anyio.create_memory_object_stream[int](5)
    seen: list[Any] = []

    async def produce() -> None:
        async with send:
            for number in range(100):
                await send.send(number)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serve)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with await anyio.connect_tcp("127.0.0.1", port) as client:
            await client.send(b"stressed")
            seen.append((await client.receive()).decode())
            await client.send_eof()
            try:
                await client.receive()
            except anyio.EndOfStream:
                seen.append("EndOfStream")
        group.start_soon(produce)
        async with receive:
            seen.append(sum([number async for number in receive]))
        group.cancel_scope.cancel()
    return seen


async def threads() -> list[Any]:
    def work(number: int) -> int:
        anyio.from_thread.run(anyio.sleep, 0.001)
        return anyio.from_thread.run_sync(lambda: number + 1)

    async with anyio.create_task_group() as group:
        results: list[int] = []

        async def one(number: int) -> None:
            results.append(await anyio.to_thread.run_sync(work, number))

        for number in range(10):
            group.start_soon(one, number)
    return sorted(results)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """HTTP/1.1 by hand: keep-alive, a chunked answer, a redirect, one that never comes."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            path = head.split(" ")[1]
            if path == "/never":
                await reader.read(1)
                break
            if path == "/moved":
                writer.write(
                    b"HTTP/1.1 302 Found\r\nlocation: /chunks\r\ncontent-length: 0\r\n\r\n"
                )
                continue
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for number in range(20):
                writer.write(b"5\r\n%05d\r\n" % number)
                await writer.drain()
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


async def http() -> dict[str, Any]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    results: dict[str, Any] = {}
    async with httpx.AsyncClient(base_url=url, trust_env=False, follow_redirects=True) as client:
        results["text"] = (await client.get("/chunks")).text
        moved = await client.get("/moved")
        results["moved"] = [moved.status_code, [each.status_code for each in moved.history]]
        async with client.stream("GET", "/chunks") as response:
            results["streamed"] = b"".join([part async for part in response.aiter_raw()]).decode()
        many = await asyncio.gather(*(client.get("/chunks") for _ in range(50)))
        results["many"] = {response.text for response in many} == {results["text"]}
        try:
            await client.get("/never", timeout=0.05)
        except httpx.ReadTimeout:
            results["never"] = "ReadTimeout"
        with anyio.move_on_after(0.05) as scope:
            await client.get("/never", timeout=60)
        results["scope"] = scope.cancelled_caught
    server.close()
    await server.wait_closed()
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            await client.get(url)
    except httpx.ConnectError:
        results["refused"] = "ConnectError"
    return results


async def main() -> dict[str, Any]:
    return {
        "tasks": await tasks(),
        "streams": await streams(),
        "threads": await threads(),
        "http": await http(),
    }
