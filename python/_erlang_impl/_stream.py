"""Async iterables for JavaScript: items in batches, with a bound on what is made ahead."""

from __future__ import annotations

import asyncio
from typing import Any


class Stream:
    """Reads an async iterable ahead of its consumer, at most `high_water_mark` items.

    With 0 it is in lockstep: an item is made when it is asked for. One Task reads; `take` hands
    over what is there, at least one item.
    """

    __slots__ = (
        "_end",
        "_error",
        "_high_water_mark",
        "_items",
        "_iterator",
        "_reader",
        "_room",
        "_there",
    )

    def __init__(self, iterable: Any, high_water_mark: int) -> None:
        self._iterator = aiter(iterable)
        self._high_water_mark = high_water_mark
        self._items: list[Any] = []
        self._end = False
        self._error: BaseException | None = None
        self._reader: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._there = asyncio.Event()

    async def take(self) -> tuple[list[Any], bool]:
        """The items that are there, and whether there will be no more."""
        if self._high_water_mark == 0:
            return await self._one()
        if self._reader is None and not self._end:
            self._reader = asyncio.get_running_loop().create_task(self._read())
        while not self._items and not self._end:
            self._there.clear()
            await self._there.wait()
        items, self._items = self._items, []
        self._room.set()
        if not items and self._error is not None:
            error, self._error = self._error, None
            raise error
        return items, not items

    async def _one(self) -> tuple[list[Any], bool]:
        if self._end:
            return [], True
        try:
            return [await anext_of(self._iterator)], False
        except StopAsyncIteration:
            self._end = True
            return [], True
        except BaseException:
            self._end = True
            raise

    async def _read(self) -> None:
        try:
            while True:
                item = await anext_of(self._iterator)
                self._items.append(item)
                self._there.set()
                while len(self._items) >= self._high_water_mark:
                    self._room.clear()
                    await self._room.wait()
        except StopAsyncIteration:
            pass
        except asyncio.CancelledError:
            self._end = True
            self._there.set()
            raise
        except BaseException as error:
            self._error = error
        self._end = True
        self._there.set()

    async def _stop_reading(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.cancel()
            await asyncio.wait([reader])

    async def close(self) -> None:
        """Ends a generator: its `aclose()`."""
        ahead = self._error
        await self._stop_reading()
        self._end = True
        self._items = []
        error, self._error = self._error, None
        if ahead is not None:
            report_ahead(ahead)
        elif error is not None:
            raise error
        aclose = getattr(self._iterator, "aclose", None)
        if aclose is not None:
            await aclose()

    async def throw(self, error: BaseException) -> tuple[list[Any], bool]:
        """Throws into a generator: its `athrow()`, whose item is the next one."""
        ended = self._end
        await self._stop_reading()
        self._items = []
        ahead, self._error = self._error, None
        if ahead is not None:
            report_ahead(ahead)
        athrow = getattr(self._iterator, "athrow", None)
        # That of a generator which is at its end, maybe ahead of the consumer, swallows the error.
        if athrow is None or ended or getattr(self._iterator, "ag_frame", self) is None:
            self._end = True
            raise error
        try:
            return [await athrow(error)], False
        except StopAsyncIteration:
            self._end = True
            return [], True
        except BaseException:
            self._end = True
            raise


def report_ahead(error: BaseException) -> None:
    """Tells of the failure that the consumer never came to."""
    context = {
        "message": "an async iterator failed ahead of its consumer, which has left",
        "exception": error,
    }
    asyncio.get_running_loop().call_exception_handler(context)


async def anext_of(iterator: Any) -> Any:
    """`anext(iterator)` as a coroutine."""
    return await type(iterator).__anext__(iterator)
