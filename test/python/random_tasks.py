"""Tasks of random operations, whose end is awaited whatever cancels the one that awaits it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random_actor import Actor


async def stop(tasks: list[asyncio.Task[Any]]) -> None:
    """Cancels them and waits for all."""
    interrupted: asyncio.CancelledError | None = None
    for task in tasks:
        task.cancel()
    while not all(task.done() for task in tasks):
        try:
            await asyncio.wait(tasks)
        except asyncio.CancelledError as error:
            interrupted = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it is known
    if interrupted is not None:
        raise interrupted


async def together(actor: Actor, *coroutines: Coroutine[Any, Any, Any]) -> None:
    """Runs them at once; when it ends, all have ended."""
    tasks = [actor.loop.create_task(coroutine) for coroutine in coroutines]
    try:
        await asyncio.wait(tasks)
    finally:
        await stop(tasks)
    for task in tasks:
        task.result()


async def cancelled(actor: Actor, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Runs one for a moment; it is cancelled if it has not ended by then."""
    task = actor.loop.create_task(coroutine)
    try:
        await actor.moment()
    finally:
        await stop([task])
    failed = not task.cancelled() and task.exception() is not None
    actor.check(not failed or isinstance(task.exception(), OSError), f"{task}")
    return task
