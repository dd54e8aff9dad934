"""The event loop policy: ErlangEventLoop everywhere, the hosted loop on a JavaScript thread."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any

import _coloop

from ._loop import ErlangEventLoop

if TYPE_CHECKING:
    from asyncio import DefaultEventLoopPolicy as _Base
else:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.14 deprecates policies
        _Base = asyncio.DefaultEventLoopPolicy

_events: Any = asyncio.events  # its private parts


class ErlangEventLoopPolicy(_Base):
    """asyncio's default policy with ErlangEventLoop as its loop.

    Each thread has a current loop of its own. On a JavaScript thread that is the hosted loop,
    unless another one is set and open.
    """

    _loop_factory = ErlangEventLoop
    _local: Any  # asyncio's, one for each thread

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        """The current loop of the calling thread; RuntimeError if it has none.

        As in asyncio, Python's main thread, where it is no JavaScript thread, gets a new loop
        if it never had one.
        """
        current = self._local._loop
        if current is None or current.is_closed():
            hosted = _coloop.hosted_loop()
            if hosted is not None:
                return hosted
        return super().get_event_loop()


EventLoopPolicy = ErlangEventLoopPolicy


def get_event_loop_policy() -> ErlangEventLoopPolicy:
    """A new policy, not installed yet: for `asyncio.set_event_loop_policy`. From any thread."""
    return ErlangEventLoopPolicy()


def install_policy() -> None:
    """Makes ErlangEventLoopPolicy the process's policy, if it is not already.

    Kept if it is: every thread's current loop is in it.
    """
    if not _is_installed():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # 3.14 deprecates policies
            asyncio.set_event_loop_policy(ErlangEventLoopPolicy())


def current_loop() -> asyncio.AbstractEventLoop:
    """`asyncio.get_event_loop()`; under another policy a JavaScript thread's is the hosted loop."""
    hosted = _coloop.hosted_loop()
    return hosted if hosted is not None and not _is_installed() else asyncio.get_event_loop()


def _is_installed() -> bool:
    # Not get_event_loop_policy(), which warns in 3.14.
    return isinstance(_events._event_loop_policy, ErlangEventLoopPolicy)
