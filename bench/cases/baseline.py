"""asyncio's own loop, in a plain interpreter: microseconds for each `await create_task(f())`.

`python3 baseline.py COUNT` prints two numbers as JSON: one after the other, and 1,000 at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


async def f() -> None:
    pass


async def sequential(count: int) -> float:
    create_task = asyncio.get_running_loop().create_task
    start = time.perf_counter()
    for _ in range(count):
        await create_task(f())
    return (time.perf_counter() - start) / count * 1e6


async def at_once(count: int) -> float:
    create_task = asyncio.get_running_loop().create_task
    batches = max(1, count // 1000)
    start = time.perf_counter()
    for _ in range(batches):
        await asyncio.gather(*[create_task(f()) for _ in range(1000)])
    return (time.perf_counter() - start) / (batches * 1000) * 1e6


async def main(count: int) -> list[float]:
    await sequential(count // 4)
    await at_once(count // 4)
    return [await sequential(count), await at_once(count)]


print(json.dumps(asyncio.run(main(int(sys.argv[1])))))
