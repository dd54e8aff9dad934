"""What erlang_python's asyncio guide shows, each as a function that tells what came of it.

The coroutine functions run on any loop, owned or hosted; the others run a loop of their own.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import erlang
from erlang import ErlangEventLoop, ExecutionMode, detect_mode


async def _doze() -> str:
    await asyncio.sleep(0.005)
    return type(asyncio.get_running_loop()).__name__


# Ways to run


def with_run() -> str:
    return erlang.run(_doze())


def with_runner() -> str:
    with asyncio.Runner(loop_factory=erlang.new_event_loop) as runner:
        return runner.run(_doze())


def with_install() -> str:
    erlang.install(silent=True)
    return asyncio.run(_doze())


def by_hand() -> str:
    loop = erlang.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(_doze())
    finally:
        loop.close()


def mode() -> str:
    return {
        ExecutionMode.FREE_THREADED: "free-threaded",
        ExecutionMode.SUBINTERP: "sub-interpreter",
        ExecutionMode.SHARED_GIL: "shared GIL",
    }[detect_mode()]


def loops_in_threads() -> dict[str, list[str]]:
    """Each thread has a loop of its own, and a loop runs nobody else's callbacks."""
    seen: dict[str, list[str]] = {"a": [], "b": []}

    def work(name: str) -> None:
        loop = ErlangEventLoop()
        try:
            for delay in 0, 0.002:
                loop.call_later(delay, lambda: seen[name].append(threading.current_thread().name))
            loop.call_later(0.005, loop.stop)
            loop.run_forever()
        finally:
            loop.close()

    threads = [threading.Thread(target=work, args=(name,), name=name) for name in seen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seen


# TCP and UDP


class EchoServer(asyncio.Protocol):
    transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class EchoClient(asyncio.Protocol):
    """Sends a message, closes when as much has come back."""

    def __init__(self, message: bytes, lost: asyncio.Future[bytes]) -> None:
        self.message = message
        self.received = b""
        self.lost = lost

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if len(self.received) == len(self.message):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(self.received)


async def tcp_echo() -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(EchoServer, "127.0.0.1", 0, reuse_address=True)
    async with server:
        serving = asyncio.create_task(server.serve_forever())
        address = server.sockets[0].getsockname()
        lost: asyncio.Future[bytes] = loop.create_future()
        transport, _ = await loop.create_connection(
            lambda: EchoClient(b"Hello, World!", lost), *address
        )
        peer = transport.get_extra_info("peername")
        own = transport.get_extra_info("sockname")
        has_socket = transport.get_extra_info("socket").fileno() >= 0
        echo = (await lost).decode()
        serving.cancel()
        await asyncio.wait([serving])
    return {
        "echo": echo,
        "peer is the server": peer == address,
        "own address is another": own != address,
        "socket": has_socket,
    }


class Datagrams(asyncio.DatagramProtocol):
    """Puts what comes into a queue; a server sends it back besides."""

    transport: asyncio.DatagramTransport

    def __init__(self, echo: bool = False) -> None:
        self.echo = echo
        self.received: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.put_nowait((data, addr))
        if self.echo:
            self.transport.sendto(data, addr)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def udp_echo() -> list[str]:
    """To a server from an endpoint that is connected to it, and from one that is not."""
    loop = asyncio.get_running_loop()
    local = ("127.0.0.1", 0)
    server, _ = await loop.create_datagram_endpoint(lambda: Datagrams(True), local_addr=local)
    address = server.get_extra_info("sockname")
    connected, first = await loop.create_datagram_endpoint(Datagrams, remote_addr=address)
    free, second = await loop.create_datagram_endpoint(Datagrams, local_addr=local)
    try:
        connected.sendto(b"connected")
        free.sendto(b"not connected", address)
        answers = [await asyncio.wait_for(each.received.get(), 5) for each in (first, second)]
    finally:
        for transport in server, connected, free:
            transport.close()
    await asyncio.gather(first.lost, second.lost)
    return [data.decode() for data, sender in answers if sender == address]


async def udp_broadcast() -> dict[str, bool]:
    """Whether the endpoint's socket may broadcast, by the option."""
    loop = asyncio.get_running_loop()
    allowed: dict[str, bool] = {}
    for option in None, True:
        transport, protocol = await loop.create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0), allow_broadcast=option
        )
        sock = transport.get_extra_info("socket")
        allowed[str(option)] = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST) != 0
        transport.close()
        await protocol.lost
    return allowed


# Tasks and time


async def sleep() -> float:
    begun = time.monotonic()
    await asyncio.sleep(0.01)
    await erlang.sleep(0.01)
    return time.monotonic() - begun


async def gather() -> list[int]:
    async def double(number: int) -> int:
        await asyncio.sleep(0.005)
        return number * 2

    return await asyncio.gather(double(1), double(2), double(3))


async def wait_for() -> list[str]:
    async def work(seconds: float) -> str:
        await asyncio.sleep(seconds)
        return "done"

    outcomes = [await asyncio.wait_for(work(0.001), timeout=5)]
    try:
        outcomes.append(await asyncio.wait_for(work(60), timeout=0.005))
    except asyncio.TimeoutError:
        outcomes.append("timed out")
    return outcomes


async def timeout() -> list[str]:
    """asyncio.timeout(), which came with 3.11."""
    outcomes: list[str] = []
    for limit, seconds in (5, 0.001), (0.005, 60):
        try:
            async with asyncio.timeout(limit):
                await asyncio.sleep(seconds)
                outcomes.append("done")
        except TimeoutError:
            outcomes.append("timed out")
    return outcomes


async def create_task() -> list[str]:
    order: list[str] = []

    async def background() -> str:
        order.append("background begins")
        await asyncio.sleep(0.01)
        order.append("background ends")
        return "result"

    task = asyncio.create_task(background(), name="background")
    order.append(f"{task.get_name()} is made")
    await asyncio.sleep(0.001)
    order.append("meanwhile")
    order.append(await task)
    return order


async def wait() -> list[int]:
    tasks = [asyncio.create_task(asyncio.sleep(0.001 * each)) for each in range(3)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED)
    return [len(done), len(pending)]


# A request's work that goes on behind the answer


_finished: list[str] = []


async def _process(data: str) -> None:
    await asyncio.sleep(0.005)
    _finished.append(data)


def take_finished() -> list[str]:
    """What was processed since the last time."""
    taken, _finished[:] = list(_finished), []
    return taken


def handle_request(data: str) -> str:
    """Synchronous code starts a Task and answers without waiting for it."""
    erlang.spawn_task(_process(data))
    return "ok"


async def handle_request_async(data: str) -> str:
    task = erlang.spawn_task(_process(data))
    answer = f"ok, done: {task.done()}"
    await task
    return answer


# An ASGI application's request that waits


async def _application(scope: Any, receive: Any, send: Callable[[Any], Awaitable[None]]) -> None:
    await asyncio.sleep(int(scope["query_string"].partition(b"=")[2]) / 1000)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"slept": true}'})


async def asgi_delay() -> list[Any]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message.get("status") or message["body"].decode())

    await _application({"type": "http", "query_string": b"ms=5"}, None, send)
    return sent


# What the host does instead


async def refusals() -> dict[str, str]:
    loop = asyncio.get_running_loop()
    texts: dict[str, str] = {}
    waiting: dict[str, Callable[[], Awaitable[Any]]] = {
        "subprocess_shell": lambda: loop.subprocess_shell(asyncio.SubprocessProtocol, "true"),
        "subprocess_exec": lambda: loop.subprocess_exec(asyncio.SubprocessProtocol, "true"),
        "create_subprocess_shell": lambda: asyncio.create_subprocess_shell("true"),
        "create_subprocess_exec": lambda: asyncio.create_subprocess_exec("true"),
    }
    for name, call in waiting.items():
        try:
            await call()
        except NotImplementedError as error:
            texts[name] = str(error)
    at_once: dict[str, Callable[[], Any]] = {
        "add_signal_handler": lambda: loop.add_signal_handler(signal.SIGTERM, print),
        "remove_signal_handler": lambda: loop.remove_signal_handler(signal.SIGTERM),
    }
    for name, call in at_once.items():
        try:
            call()
        except NotImplementedError as error:
            texts[name] = str(error)
    return texts


# Registered functions


def from_threads(name: str, numbers: list[int]) -> list[int]:
    """erlang.call in a thread for each number, all at once."""
    results: list[int | None] = [None] * len(numbers)

    def work(index: int, number: int) -> None:
        results[index] = erlang.call(name, number)

    threads = [threading.Thread(target=work, args=pair) for pair in enumerate(numbers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [result for result in results if result is not None]


def one_after_another(name: str, times: int) -> int:
    number = 0
    for _ in range(times):
        number = erlang.call(name, number)
    return number


async def in_parallel(names: list[str], argument: Any) -> list[Any]:
    return await asyncio.gather(*(erlang.async_call(name, argument) for name in names))


async def safe_call(name: str) -> str:
    try:
        return await erlang.async_call(name)
    except erlang.JsError as error:
        return f"{error.name}: {error.message}"
