"""The module `coloop`, alias `erlang`: its names, what they do without JavaScript, its stubs."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import importlib
import inspect
import io
import pathlib
import sys
import threading
import time
import typing
import unittest
import unittest.mock
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import _coloop
import _erlang_impl
import coloop
import erlang
from _erlang_impl import _aliases

T = TypeVar("T")

FOLDER = pathlib.Path(_erlang_impl.__file__).parent.parent


def in_thread(function: Callable[..., T], *args: Any) -> T:
    with ThreadPoolExecutor(1, "worker") as executor:
        return executor.submit(function, *args).result()


async def value(result: T) -> T:
    await asyncio.sleep(0)
    return result


async def kind_of_loop() -> str:
    return type(asyncio.get_running_loop()).__name__


class PolicyCase(unittest.TestCase):
    """Begins with asyncio's own policy and no current loop, and leaves it so."""

    def setUp(self) -> None:
        asyncio.set_event_loop_policy(None)
        asyncio.set_event_loop(None)
        self.addCleanup(asyncio.set_event_loop_policy, None)


class TestNames(unittest.TestCase):
    #: What programs written for erlang_python import, as far as the module has it.
    erlang_python = frozenset(
        {
            "ErlangEventLoop",
            "ErlangEventLoopPolicy",
            "EventLoopPolicy",
            "ExecutionMode",
            "async_call",
            "call",
            "detect_mode",
            "get_event_loop_policy",
            "install",
            "new_event_loop",
            "run",
            "sleep",
            "spawn_task",
        }
    )

    def test_one_module_under_three_names(self) -> None:
        self.assertIs(coloop, erlang)
        self.assertIs(coloop, _erlang_impl)

    def test_erlang_pythons_names(self) -> None:
        self.assertEqual(self.erlang_python - set(coloop.__all__), set())
        self.assertIs(coloop.EventLoopPolicy, coloop.ErlangEventLoopPolicy)

    def test_public_names_are_documented_and_typed(self) -> None:
        self.assertEqual(sorted(coloop.__all__), sorted(set(coloop.__all__)))
        for name in coloop.__all__:
            with self.subTest(name):
                public = getattr(coloop, name)
                self.assertTrue(inspect.getdoc(public))
                if inspect.isfunction(public):
                    hints = typing.get_type_hints(public)
                    self.assertEqual(set(inspect.signature(public).parameters) - set(hints), set())
                    self.assertIn("return", hints)

    def test_an_unknown_name(self) -> None:
        with self.assertRaisesRegex(AttributeError, r"^module 'coloop' has no attribute 'nothing'"):
            _ = coloop.nothing
        with self.assertRaisesRegex(NameError, r"'nothing'; register it with py\.register"):
            coloop.call("nothing")
        with self.assertRaisesRegex(NameError, "'nothing'"):
            coloop.cast("nothing")
        with self.assertRaisesRegex(NameError, "'nothing'"):
            coloop.run(coloop.async_call("nothing"))

    def test_submodules_are_the_same_under_every_name(self) -> None:
        names = {file.stem for file in (FOLDER / "_erlang_impl").glob("*.py")} - {"__init__"}
        self.assertIn("_tls", names)
        for name in names:
            module = importlib.import_module(f"_erlang_impl.{name}")
            for package in "erlang", "coloop":
                with self.subTest(f"{package}.{name}"):
                    self.assertIs(importlib.import_module(f"{package}.{name}"), module)
                    self.assertIs(sys.modules[f"{package}.{name}"], module)
            self.assertEqual(module.__name__, f"_erlang_impl.{name}")

    def test_imports_of_a_program_do_not_come_to_our_finder(self) -> None:
        with unittest.mock.patch.object(_aliases._Finder, "find_spec") as find_spec:
            sys.modules.pop("this", None)
            with contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module("this")
            find_spec.assert_not_called()

    def test_a_submodule_that_is_not_there(self) -> None:
        for package in "erlang", "coloop":
            with self.assertRaisesRegex(ModuleNotFoundError, f"'{package}.nothing'"):
                importlib.import_module(f"{package}.nothing")

    def test_another_module_of_that_name_keeps_its_submodules(self) -> None:
        with unittest.mock.patch.dict(sys.modules, {"erlang": importlib.import_module("asyncio")}):
            sys.modules.pop("erlang._mode", None)
            with self.assertRaises(ModuleNotFoundError):
                importlib.import_module("erlang._mode")


class TestStubs(unittest.TestCase):
    def names(self, stub: str) -> dict[str, ast.stmt]:
        tree = ast.parse((FOLDER / stub).read_text())
        return {
            node.name: node
            for node in tree.body
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not self.is_protocol(node)
        }

    @staticmethod
    def is_protocol(node: ast.stmt) -> bool:
        return isinstance(node, ast.ClassDef) and any(
            isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases
        )

    def test_the_native_modules_names(self) -> None:
        real = {name for name in vars(_coloop) if not name.startswith("__")}
        self.assertEqual(set(self.names("_coloop.pyi")), real)

    def test_the_native_classes_members(self) -> None:
        for name, node in self.names("_coloop.pyi").items():
            if not isinstance(node, ast.ClassDef):
                continue
            members = {
                member.name if isinstance(member, ast.FunctionDef) else member.target.id
                for member in node.body
                if isinstance(member, ast.FunctionDef)
                or (isinstance(member, ast.AnnAssign) and isinstance(member.target, ast.Name))
            }
            with self.subTest(name):
                self.assertEqual(
                    {m for m in members if not hasattr(getattr(_coloop, name), m)}, set()
                )

    def test_the_package_is_marked_as_typed(self) -> None:
        self.assertTrue((FOLDER / "_erlang_impl" / "py.typed").is_file())

    def test_the_aliases_stubs_differ_in_their_name_only(self) -> None:
        stubs = [(FOLDER / f"{name}.pyi").read_text() for name in ("coloop", "erlang")]
        self.assertEqual(stubs[0].replace("`coloop`", "`erlang`"), stubs[1])
        self.assertIn("from _erlang_impl import *\n", stubs[0])


class TestRun(unittest.TestCase):
    def test_result_loop_and_debug_mode(self) -> None:
        async def debug() -> bool:
            return asyncio.get_running_loop().get_debug()

        self.assertEqual(coloop.run(value(42)), 42)
        self.assertEqual(coloop.run(kind_of_loop()), "ErlangEventLoop")
        self.assertEqual([coloop.run(debug(), debug=on) for on in (True, False)], [True, False])

    def test_exception(self) -> None:
        async def fail() -> None:
            raise KeyError("key")

        with self.assertRaisesRegex(KeyError, "key"):
            coloop.run(fail())

    def test_in_any_thread(self) -> None:
        self.assertEqual(in_thread(coloop.run, value("thread")), "thread")

    def test_what_is_left_is_cancelled_and_finished(self) -> None:
        ended: list[str] = []

        async def left() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("task")

        async def items() -> Any:
            try:
                yield 1
                yield 2
            finally:
                ended.append("generator")

        async def main() -> None:
            task = asyncio.create_task(left())
            started = items()
            await started.__anext__()
            kept.extend((task, started))

        kept: list[Any] = []
        coloop.run(main())
        self.assertEqual(ended, ["task", "generator"])
        self.assertTrue(kept[0].cancelled())

    def test_refusals(self) -> None:
        async def nested() -> str:
            inner = value(1)
            try:
                return coloop.run(inner) and ""
            except RuntimeError as error:
                return str(error)
            finally:
                inner.close()

        self.assertRegex(coloop.run(nested()), "cannot be called from a running event loop")
        with self.assertRaisesRegex((ValueError, TypeError), "a coroutine was expected|awaitable"):
            coloop.run(42)


class TestPolicy(PolicyCase):
    def install(self, **options: Any) -> list[warnings.WarningMessage]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            coloop.install(**options)
        return caught

    def test_install(self) -> None:
        caught = self.install()
        self.assertIsInstance(asyncio.get_event_loop_policy(), coloop.EventLoopPolicy)
        self.assertEqual(asyncio.run(kind_of_loop()), "ErlangEventLoop")
        if sys.version_info < (3, 12):
            self.assertEqual(caught, [])
            return
        (warning,) = caught
        self.assertIs(warning.category, DeprecationWarning)
        self.assertEqual(warning.filename, __file__)
        self.assertRegex(
            str(warning.message),
            r"^erlang\.install\(\) is deprecated in Python 3\.12\+\. .*erlang\.run\(.*silent=True",
        )

    def test_install_silently(self) -> None:
        self.assertEqual(self.install(silent=True), [])
        self.assertIsInstance(asyncio.get_event_loop_policy(), coloop.EventLoopPolicy)
        with self.assertRaises(TypeError):
            coloop.install(True)

    def test_install_again_keeps_the_current_loop(self) -> None:
        self.install(silent=True)
        loop = coloop.new_event_loop()
        self.addCleanup(loop.close)
        asyncio.set_event_loop(loop)
        self.install(silent=True)
        self.assertIs(asyncio.get_event_loop_policy().get_event_loop(), loop)

    def test_install_on_3_14_is_refused(self) -> None:
        before = asyncio.get_event_loop_policy()
        with unittest.mock.patch.object(sys, "version_info", (3, 14, 0, "final", 0)):
            for silent in False, True:
                with self.assertRaisesRegex(
                    RuntimeError,
                    r"^erlang\.install\(\) is not supported on Python 3\.14\+\. .*erlang\.run\(",
                ):
                    coloop.install(silent=silent)
        self.assertIs(asyncio.get_event_loop_policy(), before)

    def test_a_policy_is_made_not_installed(self) -> None:
        before = asyncio.get_event_loop_policy()
        first, second = coloop.get_event_loop_policy(), coloop.get_event_loop_policy()
        self.assertIsInstance(first, coloop.ErlangEventLoopPolicy)
        self.assertIsInstance(first, asyncio.AbstractEventLoopPolicy)
        self.assertIsNot(first, second)
        self.assertIs(asyncio.get_event_loop_policy(), before)

    def test_loops_of_a_policy(self) -> None:
        asyncio.set_event_loop_policy(coloop.EventLoopPolicy())
        loop = asyncio.new_event_loop()
        self.addCleanup(loop.close)
        self.assertIs(type(loop), coloop.ErlangEventLoop)
        asyncio.set_event_loop(loop)
        self.assertIs(asyncio.get_event_loop_policy().get_event_loop(), loop)
        self.assertEqual(loop.run_until_complete(value(7)), 7)

    def test_a_thread_without_a_loop(self) -> None:
        asyncio.set_event_loop_policy(coloop.EventLoopPolicy())
        with self.assertRaisesRegex(
            RuntimeError, r"^There is no current event loop in thread 'worker_0'\."
        ):
            in_thread(asyncio.get_event_loop)


class TestSpawnTask(PolicyCase):
    """In a coroutine on our loop and on asyncio's; in synchronous code on the current loop."""

    def make_loops(self) -> list[asyncio.AbstractEventLoop]:
        loops = [coloop.new_event_loop(), asyncio.SelectorEventLoop()]
        for loop in loops:
            self.addCleanup(loop.close)
        return loops

    def test_in_a_coroutine(self) -> None:
        async def main() -> tuple[Any, ...]:
            task = coloop.spawn_task(value(42), name="spawned")
            return type(task), task.get_name(), task.get_loop(), await task

        for loop in self.make_loops():
            outcome = loop.run_until_complete(main())
            self.assertEqual(outcome, (asyncio.Task, "spawned", loop, 42))

    def test_an_exception_is_the_tasks(self) -> None:
        async def fail() -> None:
            raise ValueError("in the Task")

        async def main() -> BaseException | None:
            task = coloop.spawn_task(fail())
            await asyncio.wait([task])
            return task.exception()

        for loop in self.make_loops():
            self.assertEqual(repr(loop.run_until_complete(main())), "ValueError('in the Task')")

    def test_in_synchronous_code_on_the_current_loop(self) -> None:
        for loop in self.make_loops():
            asyncio.set_event_loop(loop)
            task = coloop.spawn_task(value("later"))
            self.assertFalse(task.done())
            self.assertEqual(loop.run_until_complete(task), "later")

    def test_in_a_thread_with_its_own_loop(self) -> None:
        def work() -> str:
            loop = coloop.new_event_loop()
            asyncio.set_event_loop(loop)
            try:
                return loop.run_until_complete(coloop.spawn_task(value("thread")))
            finally:
                asyncio.set_event_loop(None)
                loop.close()

        self.assertEqual(in_thread(work), "thread")

    def assert_refused(self, text: str, call: Callable[[Any], Any]) -> None:
        coroutine = value(1)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            with self.assertRaisesRegex(RuntimeError, text):
                call(coroutine)
            self.assertEqual(inspect.getcoroutinestate(coroutine), inspect.CORO_CLOSED)
            del coroutine
            gc.collect()
        self.assertEqual([str(w.message) for w in caught if "never awaited" in str(w.message)], [])

    def test_no_loop(self) -> None:
        text = (
            r"^No event loop available\. There is no current event loop in thread 'worker_0'\."
            r" .* or reach .* with asyncio\.run_coroutine_threadsafe\(coroutine, loop\)$"
        )
        self.assert_refused(text, lambda coroutine: in_thread(coloop.spawn_task, coroutine))

    def test_a_closed_loop(self) -> None:
        for loop in self.make_loops():
            asyncio.set_event_loop(loop)
            loop.close()
            self.assert_refused("^Event loop is closed$", coloop.spawn_task)

    def test_what_is_no_coroutine(self) -> None:
        asyncio.set_event_loop(self.make_loops()[0])
        for wrong in 42, None, value:
            with self.assertRaisesRegex(TypeError, "a coroutine was expected"):
                coloop.spawn_task(wrong)


class TestSleep(unittest.TestCase):
    def test_in_a_coroutine_it_is_awaited(self) -> None:
        async def main() -> tuple[list[str], float]:
            begun = time.monotonic()
            sleeping = [coloop.spawn_task(one(name, 0.02)) for name in ("first", "second")]
            order.append("main")
            await asyncio.gather(*sleeping)
            return order, time.monotonic() - begun

        async def one(name: str, seconds: float) -> None:
            order.append(name)
            await coloop.sleep(seconds)
            order.append(f"{name} woke")

        order: list[str] = []
        seen, took = coloop.run(main())
        self.assertEqual(seen, ["main", "first", "second", "first woke", "second woke"])
        self.assertGreaterEqual(took, 0.02)

    def test_in_synchronous_code_it_blocks_only_its_thread(self) -> None:
        begun = time.monotonic()
        self.assertIsNone(coloop.sleep(0.01))
        self.assertGreaterEqual(time.monotonic() - begun, 0.01)
        sleeper = threading.Thread(target=coloop.sleep, args=(0.2,))
        sleeper.start()
        turns = 0
        while sleeper.is_alive():
            time.sleep(0.001)  # the sleeper takes the GIL now, if it holds it
            turns += 1
        sleeper.join()
        self.assertGreater(turns, 5)

    def test_wrong_durations(self) -> None:
        with self.assertRaises(ValueError):
            coloop.sleep(-1)
        with self.assertRaises(TypeError):
            coloop.sleep("1")


class TestMode(unittest.TestCase):
    def test_this_interpreter(self) -> None:
        self.assertIs(coloop.detect_mode(), coloop.ExecutionMode.SHARED_GIL)
        self.assertIs(in_thread(coloop.detect_mode), coloop.ExecutionMode.SHARED_GIL)

    def test_the_modes(self) -> None:
        self.assertEqual(
            {mode.name: mode.value for mode in coloop.ExecutionMode},
            {
                "FREE_THREADED": "free_threaded",
                "SUBINTERP": "subinterp",
                "SHARED_GIL": "shared_gil",
            },
        )

    def test_without_a_gil(self) -> None:
        for enabled, mode in (False, "FREE_THREADED"), (True, "SHARED_GIL"):
            with unittest.mock.patch.object(
                sys, "_is_gil_enabled", lambda enabled=enabled: enabled, create=True
            ):
                self.assertEqual(coloop.detect_mode().name, mode)

    @unittest.skipIf(sys.version_info < (3, 12), "before 3.12 all interpreters share the GIL")
    def test_in_a_sub_interpreter(self) -> None:
        newer = sys.version_info >= (3, 13)
        interpreters: Any = importlib.import_module(
            "_interpreters" if newer else "_xxsubinterpreters"
        )
        identity = interpreters.create()
        self.addCleanup(interpreters.destroy, identity)
        source = (FOLDER / "_erlang_impl" / "_mode.py").read_text()
        code = source + "\nassert detect_mode() is ExecutionMode.SUBINTERP, detect_mode()\n"
        self.assertIsNone(interpreters.run_string(identity, code))


class TestSandboxed(unittest.TestCase):
    def test_is_sandboxed(self) -> None:
        from coloop._sandbox import is_sandboxed

        self.assertIs(coloop.is_sandboxed, is_sandboxed)
        self.assertTrue(coloop.is_sandboxed())


if __name__ == "__main__":
    unittest.main()
