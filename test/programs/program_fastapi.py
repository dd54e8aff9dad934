"""FastAPI on uvicorn, with both of its HTTP parsers, asked by httpx and websockets."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import uvicorn
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from websockets.asyncio.client import connect


class Item(BaseModel):
    name: str
    price: float


def make_app() -> FastAPI:
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        log.append("startup")
        yield
        log.append("shutdown")

    app = FastAPI(lifespan=lifespan)
    app.state.log = log

    @app.post("/items")
    async def create(item: Item, background: BackgroundTasks) -> dict[str, Any]:
        background.add_task(log.append, f"background {item.name}")
        return {"name": item.name, "twice": item.price * 2}

    @app.get("/blocking")
    def blocking() -> str:  # in a thread
        return "from a thread"

    @app.get("/stream")
    async def stream(to: int) -> StreamingResponse:
        async def numbers() -> AsyncIterator[str]:
            for number in range(to):
                yield f"{number}\n"
                await asyncio.sleep(0)

        return StreamingResponse(numbers(), media_type="text/plain")

    @app.post("/length")
    async def length(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @app.get("/fail")
    async def fail() -> None:
        raise HTTPException(418, "a teapot")

    @app.websocket("/shout")
    async def shout(socket: WebSocket) -> None:
        await socket.accept(subprotocol="shout")
        try:
            while True:
                text = await socket.receive_text()
                if text == "close":
                    await socket.close(4001, "asked for")
                    return
                await socket.send_text(text.upper())
        except WebSocketDisconnect as error:
            log.append(f"disconnect {error.code}")

    return app


class Running:
    """uvicorn as it is, its loop left alone. Also for JavaScript, which asks the server itself."""

    def __init__(self, http: str, app: FastAPI | None = None) -> None:
        self.app = app or make_app()
        config = uvicorn.Config(
            self.app, loop="none", http=http, port=0, log_level="error", access_log=False
        )
        self.server = uvicorn.Server(config)

    async def start(self) -> int:
        self.task = asyncio.ensure_future(self.server.serve())
        while not self.server.started and not self.task.done():
            await asyncio.sleep(0.005)
        if self.task.done():
            await self.task
        self.parser = self.server.config.http_protocol_class.__name__
        return self.port()

    async def wait_for_port(self) -> int:
        """Of a server that somebody else has started."""
        while not self.server.started:
            await asyncio.sleep(0.005)
        return self.port()

    def port(self) -> int:
        return self.server.servers[0].sockets[0].getsockname()[1]

    async def stop(self) -> list[str]:
        self.server.should_exit = True
        return await self.ended()

    async def ended(self) -> list[str]:
        await self.task
        return self.app.state.log


def run_on_own_loop() -> tuple[str, str, list[str]]:
    """`uvicorn.run` makes its loop by coloop's factory; a thread asks, then ends it.

    The kind of loop that it ran on, an answer, the application's log.
    """
    app = make_app()
    app.add_api_route("/loop", _kind_of_loop)
    config = uvicorn.Config(
        app, loop="coloop:new_event_loop", port=0, log_level="error", access_log=False
    )
    server = uvicorn.Server(config)
    answers: list[str] = []

    def ask_it() -> None:
        try:
            while not server.started:
                time.sleep(0.005)
            port = server.servers[0].sockets[0].getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                answers.append(client.get("/loop").json())
                answers.append(client.get("/stream?to=3").text)
        finally:
            server.should_exit = True

    asking = threading.Thread(target=ask_it)
    asking.start()
    server.run()
    asking.join()
    kind, streamed = answers
    return kind, streamed, app.state.log


async def _kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__name__


async def ask(http: str) -> dict[str, Any]:
    running = Running(http)
    port = await running.start()
    results: dict[str, Any] = {"parser": running.parser}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        made = await client.post("/items", json={"name": "one", "price": 1.5})
        results["made"] = [made.status_code, made.json()]
        wrong = await client.post("/items", json={"name": "one"})
        results["wrong"] = [wrong.status_code, wrong.json()["detail"][0]["loc"]]
        results["blocking"] = (await client.get("/blocking")).json()
        streamed = await client.get("/stream", params={"to": "1000"})
        results["streamed"] = streamed.text == "".join(f"{number}\n" for number in range(1000))
        results["length"] = (await client.post("/length", content=b"x" * 3_000_000)).json()
        failed = await client.get("/fail")
        results["failed"] = [failed.status_code, failed.json()]
        many = await asyncio.gather(*(client.get("/stream", params={"to": "5"}) for _ in range(60)))
        results["many"] = {response.text for response in many} == {"0\n1\n2\n3\n4\n"}
    async with connect(f"ws://127.0.0.1:{port}/shout", subprotocols=["shout"]) as socket:
        await socket.send("hello")
        results["socket"] = [socket.subprotocol, await socket.recv()]
        await socket.send("close")
        await socket.wait_closed()
        results["closed"] = [socket.close_code, socket.close_reason]
    async with connect(f"ws://127.0.0.1:{port}/shout", subprotocols=["shout"]) as socket:
        pass
    while "disconnect 1000" not in running.app.state.log:
        await asyncio.sleep(0.001)
    results["log"] = await running.stop()
    return results


async def main() -> dict[str, Any]:
    return {"h11": await ask("h11"), "httptools": await ask("httptools")}
