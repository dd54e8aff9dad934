"""The exception of a refusal, what goes on working, and the module that tells of the table."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import ctypes.util
import errno
import multiprocessing
import os
import pathlib
import pickle
import platform
import re
import sys
import tempfile
import threading
import traceback
import unittest
import uuid

from test_sandbox import PROCESS_TEXT, RefusalCase

from _erlang_impl import _sandbox

ROOT = pathlib.Path(__file__).parent.parent.parent


class TestException(RefusalCase):
    def error(self) -> BaseException:
        return self.assert_refused(os.fork, "os.fork")

    def test_is_shown_as_a_runtime_error(self) -> None:
        error = self.error()
        text = PROCESS_TEXT.format("os.fork")
        self.assertEqual(type(error).__qualname__, "RuntimeError")
        self.assertEqual(repr(error), f"RuntimeError({text!r})")
        last = traceback.format_exception_only(type(error), error)[-1]
        self.assertEqual(last, f"RuntimeError: {text}\n")

    def test_is_an_os_error(self) -> None:
        error = self.error()
        assert isinstance(error, PermissionError)
        self.assertEqual(error.errno, errno.EPERM)
        self.assertEqual(error.strerror, str(error))
        self.assertEqual(error.args, (str(error),))

    def test_crosses_processes_as_the_real_one(self) -> None:
        error = self.error()
        for other in pickle.loads(pickle.dumps(error)), copy.copy(error):
            self.assertIs(type(other), RuntimeError)
            self.assertEqual(other.args, error.args)
            self.assertEqual((other.errno, other.event), (errno.EPERM, "os.fork"))

    def test_one_class_for_all(self) -> None:
        other = self.assert_refused(lambda: os.system("true"), "os.system")
        self.assertIs(type(other), type(self.error()))

    def test_many_refusals_keep_nothing(self) -> None:
        for _ in range(2):
            before = sys.getrefcount(type(self.error()))
            for _ in range(1000):
                with contextlib.suppress(RuntimeError):
                    os.fork()
            self.assertLess(sys.getrefcount(type(self.error())) - before, 100)


class TestGoesOn(unittest.TestCase):
    """The standard library does without the operation where it can."""

    def test_find_library(self) -> None:
        self.assertIsInstance(ctypes.util.find_library("c"), (str, type(None)))

    def test_platform(self) -> None:
        platform._uname_cache = None
        self.assertEqual(platform.uname().system, os.uname().sysname)
        self.assertIsInstance(platform.processor(), str)
        self.assertIn(os.uname().sysname, platform.platform())
        self.assertEqual(platform.architecture()[0], "64bit" if sys.maxsize > 2**32 else "32bit")

    def test_uuid(self) -> None:
        uuid._node = None
        self.assertGreater(uuid.getnode(), 0)
        self.assertEqual(uuid.uuid1().version, 1)

    def test_asyncio_run(self) -> None:
        async def main() -> int:
            return await asyncio.sleep(0, 7)

        self.assertEqual(asyncio.run(main()), 7)

    @unittest.skipIf(sys.version_info < (3, 11), "asyncio.Runner came with 3.11")
    def test_asyncio_runner(self) -> None:
        async def main() -> int:
            return await asyncio.sleep(0, 7)

        with asyncio.Runner() as runner:
            self.assertEqual(runner.run(main()), 7)

    def test_threads_and_files(self) -> None:
        done = threading.Event()
        thread = threading.Thread(target=done.set)
        thread.start()
        thread.join()
        self.assertTrue(done.is_set())
        with tempfile.TemporaryFile() as file:
            self.assertEqual(file.write(b"x"), 1)

    def test_queues_and_locks_of_multiprocessing(self) -> None:
        with multiprocessing.get_context("fork").Lock():
            pass


class TestModule(unittest.TestCase):
    def test_import_by_either_name(self) -> None:
        from coloop._sandbox import is_sandboxed as first
        from erlang._sandbox import is_sandboxed as second

        self.assertIs(first, second)
        self.assertTrue(first())

    def test_erlang_pythons_functions(self) -> None:
        self.assertIsNone(_sandbox.install_sandbox())
        self.assertTrue(_sandbox.is_sandboxed())

    def test_events(self) -> None:
        events = {event.name: event for event in _sandbox.events()}
        self.assertEqual(len(events), len(_sandbox.events()))
        fork = events["os.fork"]
        self.assertEqual((fork.group, fork.default, fork.verdict), ("subprocess", "deny", "deny"))
        self.assertEqual(events["socket.connect"].verdict, "allow")
        self.assertTrue(all(event.reason for event in events.values()))

    def test_tighten(self) -> None:
        sys.audit("syslog.setlogmask", 1)
        _sandbox.tighten(["syslog.setlogmask"])
        with self.assertRaises(PermissionError) as caught:
            sys.audit("syslog.setlogmask", 1)
        self.assertEqual(
            str(caught.exception),
            "syslog.setlogmask is blocked in Node.js host context. The sandbox policy denies it.",
        )

    def test_tighten_with_an_unknown_name(self) -> None:
        before = _sandbox.events()
        with self.assertRaisesRegex(ValueError, r'group "os\.forck"; near it are: os\.fork'):
            _sandbox.tighten(["syslog.closelog", "os.forck"])
        with self.assertRaises(ValueError):
            _sandbox.tighten(["os.fork\0"])
        with self.assertRaises(TypeError):
            _sandbox.tighten([1])
        with self.assertRaises(TypeError):
            _sandbox.tighten("network")
        with self.assertRaises(TypeError):
            _sandbox.tighten(rules={"import": {"deny": "wave"}})  # type: ignore[dict-item]
        self.assertEqual(_sandbox.events(), before)

    def test_audit_events_with_odd_arguments(self) -> None:
        for event in "import", "open", "ctypes.dlsym", "ctypes.dlsym/handle":
            for arguments in (), (None,), (1, 2, 3), ("a\udc80", "b"), (object(), object(), 2**80):
                with self.subTest(event, arguments=arguments):
                    sys.audit(event, *arguments)
        sys.audit("")
        sys.audit("x" * 1000)

    def test_documentation_has_the_table(self) -> None:
        text = (ROOT / "docs" / "sandbox.md").read_text()
        table = text.split("<!-- events:begin -->")[1].split("<!-- events:end -->")[0]
        row = r"^\| `(.+?)` \| (\w+) \| \**(\w+)\** \| \**\w+\** \| (.+) \|$"
        rows = re.findall(row, table, re.MULTILINE)
        self.assertEqual(rows, [(e.name, e.group, e.default, e.reason) for e in _sandbox.events()])

    def test_every_event_of_the_library_is_in_the_table(self) -> None:
        """An audit event that a new Python adds is to be judged, not overlooked."""
        known = {event.name for event in _sandbox.events()}
        library = pathlib.Path(os.__file__).parent
        skipped = {"site-packages", "dist-packages", "test", "tests", "idlelib"}
        raised = set()
        for file in library.rglob("*.py"):
            if skipped.isdisjoint(file.relative_to(library).parts):
                source = file.read_text(encoding="utf-8", errors="replace")
                raised |= set(re.findall(r"""\bsys\.audit\(\s*["']([^"']+)["']""", source))
        self.assertEqual(raised - known, set())


if __name__ == "__main__":
    unittest.main()
