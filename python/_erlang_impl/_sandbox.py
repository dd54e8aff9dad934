"""What the sandbox refuses and why; the refusing itself is native, and Python cannot undo it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import _coloop

__all__ = ["Event", "events", "install_sandbox", "is_sandboxed", "tighten"]


class Event(NamedTuple):
    """A row of the sandbox's table."""

    name: str
    group: str
    default: str
    """The verdict without options: `allow` or `deny`."""
    verdict: str
    """The verdict now: `allow` or `deny`."""
    reason: str


def is_sandboxed() -> bool:
    """Tells whether operations are refused. True in every interpreter that coloop started."""
    return _coloop._sandbox_active()


def install_sandbox() -> None:
    """Does nothing, for erlang_python's programs: the sandbox is there before Python starts."""


def events() -> list[Event]:
    """Every event that can be refused, with its verdict now."""
    return [Event(*row) for row in _coloop._sandbox_events()]


def tighten(deny: Iterable[str]) -> None:
    """Denies events or groups from now on, in the whole process. There is no way back.

    Raises ValueError for a name that is no event and no group; then nothing is changed.
    """
    _coloop._sandbox_tighten(list(deny))
