"""The shape of what `ErlangEventLoop.metrics()` returns."""

from __future__ import annotations

from typing import TypedDict


class Lag(TypedDict):
    """By how many seconds timers were late: the loop was busy, or waited for the GIL."""

    last: float
    mean: float
    max: float


class Handles(TypedDict):
    """How many descriptors the loop waits for, by what they are."""

    streams: int
    datagrams: int
    pipes: int
    acceptors: int
    sockets: int  # used with sock_*() before, and open
    watches: int  # add_reader() and add_writer()


class GilWait(TypedDict):
    """Seconds that a thread waited for the GIL while another one had it."""

    total: float
    max: float
    count: int


class LiveObjects(TypedDict):
    """What the bridge to JavaScript holds."""

    proxies: int  # Python's objects in JavaScript
    references: int  # JavaScript's values in Python
    promises: int  # not settled yet
    buffers: int  # memory that both languages see


class Metrics(TypedDict):
    lag: Lag
    iterations: int  # batches of callbacks
    ready_depth: int  # callbacks that could run now
    timers: int  # not cancelled
    tasks: int  # not done
    handles: Handles
    gil_wait: GilWait
    live_objects: LiveObjects
