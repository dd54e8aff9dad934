"""redis-py's asyncio client with a real server: pipelines, pub/sub, blocking, cancellation."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import redis.asyncio as redis


async def main() -> dict[str, Any]:
    client = redis.Redis.from_url(os.environ["COLOOP_TEST_REDIS"], decode_responses=True)
    other = redis.Redis.from_url(os.environ["COLOOP_TEST_REDIS"], decode_responses=True)
    results: dict[str, Any] = {}
    try:
        await client.flushall()
        await client.set("key", "value" * 100_000)
        results["large"] = await client.get("key") == "value" * 100_000
        await asyncio.gather(*(client.incrby("sum", number) for number in range(80)))
        results["sum"] = await client.get("sum")
        async with client.pipeline(transaction=True) as pipe:
            for number in range(1000):
                pipe.rpush("list", number)
            pipe.lrange("list", -3, -1)
            results["pipeline"] = (await pipe.execute())[-1]
        async with client.pubsub() as channel:
            await channel.subscribe("news")
            await channel.get_message(timeout=5)  # the subscription
            await other.publish("news", "hello")
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=5)
            results["published"] = message["data"] if message else None
        blocked = asyncio.ensure_future(client.blpop(["queue"], timeout=10))
        await asyncio.sleep(0.01)
        await other.rpush("queue", "item")
        results["popped"] = list(await blocked)
        blocked = asyncio.ensure_future(client.blpop(["queue"], timeout=10))
        await asyncio.sleep(0.01)
        blocked.cancel()
        results["cancelled"] = [
            type(each).__name__ for each in await asyncio.gather(blocked, return_exceptions=True)
        ]
        results["after it"] = await client.ping()
        try:
            await client.lpush("key", 1)
        except redis.ResponseError as error:
            results["error"] = str(error).split(" ")[0]
    finally:
        await client.aclose()
        await other.aclose()
    return results
