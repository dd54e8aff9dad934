"""CPython's own asyncio tests on ErlangEventLoop, inside Node.js; run.mjs starts it per module.

Progress goes to a file, a line of JSON for each event, so that a crash costs one test: the tests
of which the file tells how they ended are left out when the module is started again.
"""

from __future__ import annotations

import faulthandler
import fnmatch
import importlib
import importlib.util
import json
import os
import pkgutil
import sys
import traceback
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import listed

# What a test may take; then the process ends with the stacks of all threads on stderr.
SECONDS_PER_TEST = float(os.environ.get("COLOOP_CONFORMANCE_SECONDS", "60"))

_BESIDES_ASYNCIO = (
    "test.test_asyncgen",
    "test.test_contextlib_async",
    "test.test_coroutines",
    "test.test_subprocess",
    "unittest.test.test_async_case",  # until 3.11
    "unittest.test.testmock.testasync",
    "test.test_unittest.test_async_case",
    "test.test_unittest.testmock.testasync",
)


def modules() -> list[str]:
    """The modules of tests that this Python has; none, if its test package is not installed."""
    try:
        package = importlib.import_module("test.test_asyncio")
    except ImportError:
        return []
    names = [info.name for info in pkgutil.iter_modules(package.__path__, "test.test_asyncio.")]
    return [
        *(name for name in names if name.rpartition(".")[2].startswith("test_")),
        *(name for name in _BESIDES_ASYNCIO if _exists(name)),
    ]


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


class _Progress(unittest.TestResult):
    """Writes how every test ends; one that has several outcomes has the worst of them."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._outcome = ""
        self._detail = ""

    def write(self, **event: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(event) + "\n")

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().startTest(test)
        self._outcome, self._detail = "", ""
        self.write(start=test.id())
        faulthandler.dump_traceback_later(SECONDS_PER_TEST, exit=True, file=sys.__stderr__)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)
        if not self._outcome:
            self._outcome, self._detail = "failed", "an exception that unittest does not catch"
        self.write(end=test.id(), outcome=self._outcome, detail=self._detail)

    def _failed(self, test: Any, error: Any) -> None:
        detail = "".join(traceback.format_exception(*error))
        if isinstance(test, unittest.TestCase):
            self._outcome, self._detail = "failed", detail
        else:  # setUpClass or setUpModule
            self.write(end=test.id(), outcome="failed", detail=detail)

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        self._outcome = "passed"

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        self._outcome = "passed"

    def addError(self, test: Any, err: Any) -> None:  # noqa: N802
        self._failed(test, err)

    def addFailure(self, test: Any, err: Any) -> None:  # noqa: N802
        self._failed(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:  # noqa: N802
        if err is not None:
            self._failed(test, err)

    def addUnexpectedSuccess(self, test: Any) -> None:  # noqa: N802
        self._outcome, self._detail = "failed", "it is marked as an expected failure, and passes"

    def addSkip(self, test: Any, reason: str) -> None:  # noqa: N802
        if not isinstance(test, unittest.TestCase):
            self.write(end=test.id(), outcome="skipped", detail=reason)
        elif self._outcome != "failed":
            self._outcome, self._detail = "skipped", reason


def _plug_in() -> None:
    """Makes ErlangEventLoop the loop of every test, whichever way the test makes its loop."""
    import asyncio
    from asyncio import unix_events

    from coloop import ErlangEventLoop

    support: Any = importlib.import_module("test.support")

    class Loop(ErlangEventLoop):
        def __init__(self, selector: Any = None) -> None:
            super().__init__()

    library: Any = asyncio
    private: Any = unix_events
    for module in (library, private):
        for name in ("SelectorEventLoop", "EventLoop"):
            if hasattr(module, name):
                setattr(module, name, Loop)
    # With asyncio's own policy, which most of the tests install by set_event_loop_policy(None).
    private._UnixDefaultEventLoopPolicy._loop_factory = Loop
    asyncio.set_event_loop_policy(None)
    # Children of the process and SIGCHLD are Node's.
    support.reap_children = lambda: None
    if hasattr(library, "SafeChildWatcher"):
        library.SafeChildWatcher = library.ThreadedChildWatcher


def _flat(suite: unittest.TestSuite) -> Iterator[Any]:
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from _flat(test)
        else:
            yield test


def _matching(entries: list[listed.Entry], test: str) -> listed.Entry | None:
    return next((entry for entry in entries if fnmatch.fnmatchcase(test, entry.pattern)), None)


def _with_children(test: str) -> bool:
    return any(fnmatch.fnmatchcase(test, pattern) for pattern in listed.WITH_CHILDREN)


async def run_with_children(module: str, path: str, debug: str) -> None:
    """Runs the module's tests that start processes, in a thread; then its tests are done."""
    import asyncio

    await asyncio.to_thread(run, module, path, debug, True)
    _Progress(Path(path)).write(done=module)


def run(module: str, path: str, debug: str, with_children: bool = False) -> None:
    """Runs the module's tests but those that the file of progress has."""
    # Not before the start of Python, or the hosted loop is in debug mode, and with it the thread.
    os.environ["PYTHONASYNCIODEBUG"] = debug
    progress = _Progress(Path(path))
    with Path(path).open() as file:
        ended = {json.loads(line).get("end") for line in file}
    _plug_in()
    try:
        tests = list(_flat(unittest.defaultTestLoader.loadTestsFromName(module)))
    except unittest.SkipTest as skip:
        if not with_children:
            progress.write(end=module, outcome="skipped", detail=str(skip))
        return
    left_out = listed.of_module(listed.NOT_APPLICABLE, module)
    may_fail = listed.of_module(listed.IMPLEMENTATION, module)
    suite = unittest.TestSuite()
    used = set()
    for test in tests:
        name = test.id()
        if _with_children(name) is not with_children:
            continue
        if (entry := _matching(left_out, name)) is not None:
            used.add(entry)
            if name not in ended:
                progress.write(end=name, outcome="not applicable", detail=entry.reason)
            continue
        if (entry := _matching(may_fail, name)) is not None:
            used.add(entry)
            progress.write(listed=name, reason=entry.reason)
        if name not in ended:
            suite.addTest(test)
    suite.run(progress)
    for entry in {*left_out, *may_fail} - used:
        if "*" not in entry.pattern and _with_children(entry.pattern) is with_children:
            detail = "it is listed, and there is no such test"
            progress.write(end=entry.pattern, outcome="failed", detail=detail)


if __name__ == "__main__":
    print(json.dumps(modules()))
