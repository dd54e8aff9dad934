"""anyio's own tests on owned loops, inside Node.js, where anyio-suite.mjs calls `run`.

They are parametrised by the backend; here asyncio's is what runs on ErlangEventLoop. What it does
not have by design is left out, each with its reason. As a program, `anyio_suite.py FOLDER RESULT
DEBUG [pytest's arguments]` runs the same on asyncio's own loop.
"""

from __future__ import annotations

import asyncio
import faulthandler
import fnmatch
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

_CHILDREN = "no child is started in Node's process without the sandbox's leave"
_SIGNALS = "signals and their handlers are Node's"
_HOSTED = "it closes every loop that there is, also the one that Node drives"

# By a pattern of the test's name in anyio's folder of tests.
EXCLUDED = {
    "test_subprocesses.py::*": _CHILDREN,
    "test_to_process.py::*": _CHILDREN,
    "test_signals.py::*": _SIGNALS,
    "test_debugging.py::test_main_task_name*": _HOSTED,
    "test_lazyimport.py::test_sourceless_install": _CHILDREN,
    "test_lazyimport.py::test_submodule_access_without_direct_import": _CHILDREN,
    **{
        f"test_pytest_plugin.py::{name}": _CHILDREN
        for name in (
            "test_async_fixture_in_test_class",
            "test_async_fixture_teardown_after_sync_test",
            "test_asyncgen_fixture_in_test_class",
            "test_autouse_async_fixture",
            "test_cancel_scope_in_asyncgen_fixture",
            "test_dynamic_async_fixture_access_does_not_hang",
            "test_keyboard_interrupt_does_not_resume_test",
            "test_keyboardinterrupt_during_test*",
            "test_module_scoped_task_group_fixture",
            "test_plugin_loads_with_filterwarnings_error",
        )
    },
}

_OTHER_BACKENDS = ("trio", "uvloop")


class _Plugin:
    def __init__(self, debug: bool) -> None:
        self.debug = debug
        self.counts: Counter[str] = Counter()
        self.faults: dict[str, str] = {}
        self.reasons: Counter[str] = Counter()

    def pytest_collection_modifyitems(self, items: list[Any], config: Any) -> None:
        kept: list[Any] = []
        for item in items:
            name = item.nodeid.rpartition("tests/")[2]
            backend = getattr(item, "callspec", None) and item.callspec.params.get("anyio_backend")
            if isinstance(backend, tuple):
                backend[1]["debug"] = self.debug
            if any(other in name.partition("[")[2] for other in _OTHER_BACKENDS):
                continue
            matching = (each for each in EXCLUDED if fnmatch.fnmatchcase(name, each))
            reason = EXCLUDED.get(next(matching, ""))
            if reason is None:
                kept.append(item)
            else:
                self.reasons[reason] += 1
        items[:] = kept

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.faults[report.nodeid] = f"({report.when}) {report.longreprtext}"
        elif report.skipped:
            self.counts["skipped"] += 1
        elif report.when == "call":
            self.counts["passed"] += 1

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self.faults[report.nodeid] = report.longreprtext


def run(folder: str, result: str, debug: bool, filters: list[str]) -> None:
    """Runs the tests of the source in `folder` and writes the counts and what failed."""
    os.chdir(folder)
    sys.path.insert(0, folder)
    plugin = _Plugin(debug)
    options = ["-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "--timeout-method=thread"]
    code = pytest.main([*options, *filters], plugins=[plugin])
    outcome = {
        "code": int(code),
        "passed": plugin.counts["passed"],
        "skipped": plugin.counts["skipped"],
        "faults": plugin.faults,
        "excluded": dict(plugin.reasons),
    }
    Path(result).write_text(json.dumps(outcome))


def run_on_ours(folder: str, result: str, debug: bool, filters: list[str]) -> None:
    import coloop

    # Node's SIGSEGV handler stays; pytest, also where it tests itself, would set its own.
    library: Any = faulthandler
    library.enable = lambda *_args, **_options: None
    asyncio.set_event_loop_policy(coloop.ErlangEventLoopPolicy())
    run(folder, result, debug, filters)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2], sys.argv[3] == "1", sys.argv[4:])
