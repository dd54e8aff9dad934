"""websockets, client and server: broadcast, fragments, compression, pings, close codes."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus


async def main() -> dict[str, Any]:
    listeners: set[ServerConnection] = set()

    async def handler(socket: ServerConnection) -> None:
        path = socket.request.path if socket.request else ""
        if path == "/listen":
            listeners.add(socket)
            await socket.wait_closed()
        elif path == "/fail":
            raise LookupError("a handler that fails")
        else:
            async for message in socket:
                await socket.send(message[::-1])

    async def deny(connection: ServerConnection, request: Any) -> Any:
        return connection.respond(403, "no\n") if request.path == "/deny" else None

    logging.getLogger("websockets").setLevel(logging.CRITICAL)  # it tells of the handler that fails
    results: dict[str, Any] = {}
    async with serve(handler, "127.0.0.1", 0, process_request=deny, max_size=1 << 22) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with connect(url, max_size=1 << 22) as socket:
            await socket.send("stressed")
            results["text"] = await socket.recv()
            data = bytes(range(256)) * 8192
            await socket.send(data)
            results["2 MiB"] = await socket.recv() == data[::-1]
            await socket.send(["one ", "message ", "in parts"])
            results["fragments"] = await socket.recv()
            results["pong"] = await (await socket.ping()) >= 0
            for number in range(500):
                await socket.send(str(number))
            answers = [await socket.recv() for _ in range(500)]
            results["in order"] = answers == [str(number)[::-1] for number in range(500)]
            try:
                await asyncio.wait_for(socket.recv(), 0.01)
            except asyncio.TimeoutError:
                results["recv is cancelled"] = True
            await socket.send("and goes on")
            results["after it"] = await socket.recv()
        results["closed"] = [socket.close_code, socket.state.name]

        async with connect(f"{url}/listen") as one, connect(f"{url}/listen") as other:
            while len(listeners) < 2:
                await asyncio.sleep(0.001)
            broadcast(listeners, "to all")
            results["broadcast"] = [await one.recv(), await other.recv()]
        try:
            async with connect(f"{url}/fail") as socket:
                await socket.recv()
        except ConnectionClosed as error:
            results["handler failed"] = error.rcvd.code if error.rcvd else None
        try:
            await connect(f"{url}/deny")
        except InvalidStatus as error:
            results["denied"] = error.response.status_code
        lost = await connect(url)
        lost.transport.abort()
        await lost.wait_closed()
        results["aborted"] = lost.close_code
        last = await connect(url)
    results["server closed"] = [await last.wait_closed(), last.close_code]
    return results
