"""asyncpg with a real server: pool, transactions, COPY, LISTEN, cancellation, errors."""

from __future__ import annotations

import asyncio
import io
import os
from typing import Any

import asyncpg


async def main() -> dict[str, Any]:
    url = os.environ["COLOOP_TEST_POSTGRES"]
    results: dict[str, Any] = {}
    async with asyncpg.create_pool(url, min_size=2, max_size=5) as pool:
        await pool.execute("DROP TABLE IF EXISTS item")
        await pool.execute("CREATE TABLE item (id int PRIMARY KEY, text text)")
        items = [(i, f"t{i}") for i in range(500)]
        await pool.executemany("INSERT INTO item VALUES ($1, $2)", items)
        rows = await asyncio.gather(
            *(pool.fetchrow("SELECT text FROM item WHERE id = $1", i) for i in range(100))
        )
        results["rows"] = [row["text"] for row in rows] == [f"t{i}" for i in range(100)]
        results["large"] = len(await pool.fetchval("SELECT repeat('x', 5000000)"))
        async with pool.acquire() as connection:
            try:
                async with connection.transaction():
                    await connection.execute("DELETE FROM item")
                    raise LookupError("rolled back")
            except LookupError:
                results["kept"] = await connection.fetchval("SELECT count(*) FROM item")
            async with connection.transaction():
                cursor = connection.cursor("SELECT id FROM item ORDER BY id", prefetch=50)
                results["cursor"] = sum([row["id"] async for row in cursor])
            output = io.BytesIO()
            await connection.copy_from_query("SELECT id FROM item ORDER BY id", output=output)
            results["copied"] = len(output.getvalue().splitlines())
            heard: asyncio.Queue[str] = asyncio.Queue()

            def hear(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
                heard.put_nowait(payload)

            await connection.add_listener("news", hear)
            await pool.execute("NOTIFY news, 'hello'")
            results["notified"] = await asyncio.wait_for(heard.get(), 5)
            await connection.remove_listener("news", hear)
        try:
            await pool.execute("SELECT pg_sleep(60)", timeout=0.05)
        except asyncio.TimeoutError:
            results["timeout"] = await pool.fetchval("SELECT 1")
        try:
            await pool.execute("INSERT INTO item VALUES (1, 'again')")
        except asyncpg.UniqueViolationError as error:
            results["error"] = error.sqlstate
    return results
