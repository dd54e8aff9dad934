"""The tests of CPython that are not held against ErlangEventLoop, each with its reason."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Entry(NamedTuple):
    """One test by its whole name, or a group by a pattern of fnmatch."""

    pattern: str
    reason: str
    since: tuple[int, int] = (3, 10)
    before: tuple[int, int] = (4, 0)


def of_module(entries: list[Entry], module: str) -> list[Entry]:
    """The entries for one module of tests in the Python that runs."""
    version = sys.version_info[:2]
    return [
        entry
        for entry in entries
        if entry.since <= version < entry.before and entry.pattern.startswith(f"{module}.")
    ]


_TESTS = "test.test_asyncio."
_SIGNALS = "signals and their handlers are Node's: add_signal_handler and signal.signal are refused"
_INTERRUPT = "it interrupts itself with SIGINT, whose handler is Node's"
_CHILDREN = (
    "it starts processes by the loop or from Python, which the sandbox refuses in Node's process"
)
_WATCHERS = "child watchers wait for children of the process and for SIGCHLD, which are Node's"
_SELECTORS = "the loop has no selector to choose: EPollEventLoopTests runs the same tests"

# Not run.
NOT_APPLICABLE = [
    Entry(_TESTS + pattern, reason)
    for pattern, reason in (
        ("test_events.SelectEventLoopTests.*", _SELECTORS),
        ("test_events.PollEventLoopTests.*", _SELECTORS),
        ("test_events.*.test_add_signal_handler", _SIGNALS),
        ("test_events.*.test_signal_handling_*", _SIGNALS),
        ("test_events.*.test_subprocess_*", _CHILDREN),
        ("test_events.*.test_get_event_loop_new_process", _CHILDREN),
        ("test_streams.*.test_read_all_from_pipe_reader", _CHILDREN),
        ("test_unix_events.SelectorEventLoopSignalTests.*", _SIGNALS),
        ("test_unix_events.*ChildWatcherTests.*", _WATCHERS),
        ("test_unix_events.PolicyTests.*child_watcher*", _WATCHERS),
        ("test_unix_events.TestFork.*", _CHILDREN),
        ("test_runners.*.test_asyncio_run_without_uncancel", _INTERRUPT),
        ("test_runners.*.test_interrupt_*", _INTERRUPT),
        ("test_subprocess.*WatcherTests.*", _CHILDREN),
        ("test_subprocess.*.test_subprocess_*", _CHILDREN),
        ("test_base_events.*.test_env_var_debug", _CHILDREN),
        ("test_tasks.*.test_env_var_debug", _CHILDREN),
        ("test_eager_task_factory.*.test_issue105987", _CHILDREN),
    )
] + [
    Entry("test.test_coroutines.*.test_unawaited_warning_during_shutdown", _CHILDREN),
    Entry(
        _TESTS + "test_tasks.CompatibilityTests.test_debug_mode_interop", _CHILDREN, before=(3, 11)
    ),
]

# Run, and have to fail: one that passes is taken off the list.
IMPLEMENTATION = [
    Entry(
        _TESTS + "test_events.EPollEventLoopTests.test_internal_fds",
        "it reads _csock and _internal_fds of a self-pipe: the loop is woken without one",
    ),
]
