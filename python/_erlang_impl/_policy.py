"""The event loop policy: ErlangEventLoop everywhere, the hosted loop on a JavaScript thread."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import _coloop

from ._loop import ErlangEventLoop

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # 3.14 deprecates policies
    _Base: Any = asyncio.DefaultEventLoopPolicy


class ErlangEventLoopPolicy(_Base):
    """Makes ErlangEventLoops; a JavaScript thread without a current loop has its hosted one."""

    _loop_factory = ErlangEventLoop

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        if self._local._loop is None:
            hosted = _coloop.hosted_loop()
            if hosted is not None:
                return hosted
        return super().get_event_loop()


EventLoopPolicy = ErlangEventLoopPolicy
