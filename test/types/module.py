"""What a type checker makes of the module. It is checked, not run."""

from __future__ import annotations

import asyncio
from typing import Any

from typing_extensions import assert_type

import coloop
import erlang


async def number() -> int:
    return 1


async def use() -> None:
    assert_type(coloop.run(number()), int)
    assert_type(coloop.run(number(), debug=True), int)
    task = coloop.spawn_task(number(), name="number")
    assert_type(task, asyncio.Task[int])
    assert_type(await task, int)
    await coloop.sleep(0.1)
    assert_type(await coloop.async_call("name", 1), Any)
    coloop.cast("name")
    coloop.registered_by_javascript(1)


def accept(loop: asyncio.AbstractEventLoop) -> None:
    loop.close()


def use_in_a_thread() -> None:
    loop = coloop.new_event_loop()
    assert_type(loop, erlang.ErlangEventLoop)
    assert_type(loop.run_until_complete(number()), int)
    accept(loop)
    coloop.sleep(0.1)
    coloop.install(silent=True)
    assert_type(coloop.get_event_loop_policy(), coloop.ErlangEventLoopPolicy)
    assert_type(coloop.detect_mode(), erlang.ExecutionMode)
    assert_type(coloop.is_sandboxed(), bool)
    try:
        assert_type(coloop.call("name"), Any)
    except coloop.JsError as error:
        assert_type(error.stack, str)


def misuse() -> None:
    coloop.run(number, debug=1)  # pyright: ignore[reportArgumentType]
    coloop.sleep("1")  # pyright: ignore[reportArgumentType]
    coloop.install(True)  # pyright: ignore[reportCallIssue]
    coloop.spawn_task(1)  # pyright: ignore[reportArgumentType]
