"""aiohttp, client and server: keep-alive, streaming, WebSockets, cancellation, time-outs."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import aiohttp
from aiohttp import web


async def echo(request: web.Request) -> web.Response:
    body = await request.read()
    return web.json_response(
        {"method": request.method, "query": dict(request.query), "length": len(body)},
        headers={"x-peer": str(request.transport.get_extra_info("peername")[1])},
    )


async def count(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(int(request.query["to"])):
        await response.write(f"{number}\n".encode() * 100)
        await asyncio.sleep(0)
    await response.write_eof()
    return response


async def digest(request: web.Request) -> web.Response:
    seen = hashlib.sha256()
    async for chunk in request.content.iter_chunked(4096):
        seen.update(chunk)
    return web.Response(text=seen.hexdigest())


async def shout(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=5)
    await socket.prepare(request)
    async for message in socket:
        if message.data == "close":
            await socket.close(code=4001, message=b"asked for")
        elif message.type is aiohttp.WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        elif message.type is aiohttp.WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


class Slow:
    """A handler that never answers, and knows how it ended."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.began = asyncio.Event()
        self.ended = asyncio.Event()

    async def __call__(self, _request: web.Request) -> web.Response:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            self.ended.set()
            raise
        return web.Response()


async def upload() -> Any:
    for number in range(200):
        yield bytes([number]) * 5000
        if number % 50 == 0:
            await asyncio.sleep(0.001)


async def talk(session: aiohttp.ClientSession) -> list[Any]:
    answers: list[Any] = []
    async with session.ws_connect("/shout") as socket:
        await socket.send_str("hello")
        answers.append(await socket.receive_str())
        await socket.send_bytes(bytes(range(256)) * 1000)
        received = await socket.receive_bytes()
        answers.append(received == (bytes(range(256)) * 1000)[::-1])
        await asyncio.gather(*(socket.send_str(f"m{i}") for i in range(50)))
        answers.append([await socket.receive_str() for _ in range(50)])
        await socket.send_str("close")
        message = await socket.receive()
        answers.append([message.type.name, message.data, message.extra])
    return answers


async def main() -> dict[str, Any]:
    slow = Slow()
    app = web.Application(client_max_size=1 << 24)
    app.add_routes(
        [
            web.route("*", "/echo", echo),
            web.get("/count", count),
            web.post("/digest", digest),
            web.get("/shout", shout),
            web.get("/slow", slow),
        ]
    )
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    results: dict[str, Any] = {}
    connector = aiohttp.TCPConnector(limit=20)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:

        async def post(number: int) -> Any:
            data = b"x" * (number * 1000)
            async with session.post("/echo", params={"n": str(number)}, data=data) as response:
                return [response.status, await response.json(), response.headers["x-peer"]]

        answers = [await post(number) for number in range(10)]
        results["posts"] = [answer[:2] for answer in answers]
        results["one connection for all"] = len({answer[2] for answer in answers}) == 1
        answers = await asyncio.gather(*(post(number) for number in range(100)))
        results["at once"] = [answer[1]["length"] for answer in answers]
        results["connections at most"] = len({answer[2] for answer in answers}) <= 20
        async with session.get("/count", params={"to": "500"}) as response:
            lines = [int(line) async for line in response.content]
        results["streamed"] = lines == [number for number in range(500) for _ in range(100)]
        async with session.post("/digest", data=upload()) as response:
            results["uploaded"] = await response.text()
        results["websocket"] = await talk(session)
        results["missing"] = (await session.get("/missing")).status

        request = asyncio.ensure_future(session.get("/slow"))
        await slow.began.wait()
        request.cancel()
        (ended,) = await asyncio.gather(request, return_exceptions=True)
        results["cancelled"] = type(ended).__name__
        await asyncio.wait_for(slow.ended.wait(), 10)  # the server sees that the client has gone
        results["handler cancelled"] = slow.cancelled
        try:
            await session.get("/slow", timeout=aiohttp.ClientTimeout(total=0.05))
        except asyncio.TimeoutError:
            results["timeout"] = True
    await runner.cleanup()
    try:
        async with aiohttp.ClientSession() as session:
            await session.get(f"http://127.0.0.1:{port}/echo")
    except aiohttp.ClientConnectorError as error:
        results["refused"] = type(error.os_error).__name__
    return results
