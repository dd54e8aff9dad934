"""What the sandbox refuses and why; the refusing itself is native, and Python cannot undo it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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


def tighten(
    deny: Iterable[str] = (), *, rules: Mapping[str, Mapping[str, Iterable[str]]] | None = None
) -> None:
    """Denies events or groups from now on, in the whole process. There is no way back.

    Rules are those of JavaScript's `sandbox.rules`: `{"write": {"allow": ["/tmp"]}}`. Paths are
    absolute. Raises ValueError for an unknown name; then nothing is changed.
    """
    if isinstance(deny, str):
        raise TypeError("what to deny must be a list of str, not a str")
    lines: list[str] = []
    for rule, lists in (rules or {}).items():
        if not lists:
            raise ValueError(f"the rule {rule!r} needs a list: allow, deny or both")
        for way, patterns in lists.items():
            if isinstance(patterns, str):
                raise TypeError(f"{way!r} of the rule {rule!r} must be a list of str, not a str")
            if way == "allow":
                lines.append(f"{rule} allow")
            lines += [f"{rule} {way} {pattern}" for pattern in patterns]
    _coloop._sandbox_tighten(list(deny), lines, False)
