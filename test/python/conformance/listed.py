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
_FORKS = "it forks, which the sandbox refuses in Node's process"
_NOT_NODES = "Node.js cannot do it for a child, and the keyword is refused by name"
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
        ("test_events.*.test_get_event_loop_new_process", _FORKS),
        ("test_unix_events.SelectorEventLoopSignalTests.*", _SIGNALS),
        ("test_unix_events.*ChildWatcherTests.*", _WATCHERS),
        ("test_unix_events.PolicyTests.*child_watcher*", _WATCHERS),
        ("test_subprocess.SubprocessSafeWatcherTests.*", _WATCHERS),
        ("test_subprocess.SubprocessFastWatcherTests.*", _WATCHERS),
        ("test_subprocess.GenericWatcherTests.*_inactive_watcher", _WATCHERS),
        ("test_subprocess.*.test_send_signal", _SIGNALS),
        ("test_events.*.test_subprocess_send_signal", _SIGNALS),
        ("test_unix_events.TestFork.*", _FORKS),
        ("test_runners.*.test_asyncio_run_without_uncancel", _INTERRUPT),
        ("test_runners.*.test_interrupt_*", _INTERRUPT),
    )
] + [
    Entry(f"test.test_subprocess.{pattern}", reason)
    for pattern, reason in (
        ("*.test_close_fds_after_preexec", _NOT_NODES),
        ("*.test_extra_groups*", _NOT_NODES),
        ("*.test_fork_exec", _NOT_NODES),
        ("*.test_fork_exec_sorted_fd_sanity_check", _NOT_NODES),
        ("*.test_preexec*", _NOT_NODES),
        ("*.test_process_group_0", _NOT_NODES),
        ("*.test_restore_signals", _NOT_NODES),
        ("*.test_surrogates_error_message", _NOT_NODES),
        ("*.test_umask", _NOT_NODES),
        ("*.test_undecodable_env", "Node.js passes text, which is UTF-8"),
        ("*.test_communicate_eintr", _SIGNALS),
        ("*.test_kill", _SIGNALS),
        ("*.test_send_signal", _SIGNALS),
        ("*.test_terminate", _SIGNALS),
    )
]

# Run in a thread: they start processes, which Node.js does on the thread that the others block.
WITH_CHILDREN = [
    *(
        _TESTS + pattern
        for pattern in (
            "test_events.*.test_subprocess_*",
            "test_streams.*.test_read_all_from_pipe_reader",
            "test_subprocess.*",
            "test_base_events.*.test_env_var_debug",
            "test_tasks.*.test_env_var_debug",
            "test_tasks.CompatibilityTests.test_debug_mode_interop",
            "test_eager_task_factory.*.test_issue105987",
        )
    ),
    "test.test_coroutines.*.test_unawaited_warning_during_shutdown",
    "test.test_subprocess.*",
]

# Run, and have to fail: one that passes is taken off the list.
IMPLEMENTATION = [
    Entry(
        _TESTS + "test_events.EPollEventLoopTests.test_internal_fds",
        "it reads _csock and _internal_fds of a self-pipe: the loop is woken without one",
    ),
]
