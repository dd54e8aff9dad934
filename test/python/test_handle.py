"""Handles with asyncio's own as the oracle: every case runs on both and must agree."""

from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

from test_loop import LoopCase

import coloop

variable: contextvars.ContextVar[Any] = contextvars.ContextVar("variable", default=None)


class Value:
    """Something that a weak reference can watch."""


class Mixin:
    loop: Any
    run_once: Callable[[], None]

    def test_any_number_of_arguments(self) -> None:
        seen: list[Any] = []
        for count in range(7):
            self.loop.call_soon(lambda *args: seen.append(args), *range(count))
            self.loop.call_later(0, lambda *args: seen.append(args), *range(count))
        self.run_once()
        self.run_once()
        self.assertEqual(sorted(seen), sorted(2 * [tuple(range(count)) for count in range(7)]))

    def test_arguments_may_be_named(self) -> None:
        seen: list[Any] = []
        context = contextvars.copy_context()
        context.run(variable.set, "named")

        def note(*args: Any) -> None:
            seen.append((variable.get(), *args))

        loop = self.loop
        loop.call_soon(callback=note)
        loop.call_soon(context=context, callback=note)
        loop.call_soon_threadsafe(callback=note, context=None)
        now = loop.time()
        later = [
            loop.call_later(delay=1, callback=note),
            loop.call_later(1, callback=note, context=context),
            loop.call_at(when=now + 1, callback=note),
            loop.call_at(context=context, callback=note, when=now + 1),
        ]
        for handle in later:
            self.assertAlmostEqual(handle.when(), now + 1, delta=0.5)
            handle._run()
            handle.cancel()
        self.run_once()
        default, named = (None,), ("named",)
        self.assertEqual(seen, [default, named, default, named, default, named, default])

    def test_wrong_names_of_arguments(self) -> None:
        loop: Any = self.loop
        for call in (
            lambda: loop.call_soon(print, callback=print),
            lambda: loop.call_soon(context=None),
            lambda: loop.call_soon_threadsafe(print, when=1),
            lambda: loop.call_later(1, print, delay=1),
            lambda: loop.call_later(delay=1),
            lambda: loop.call_later(callback=print),
            lambda: loop.call_at(1, print, 2, callback=print),
            lambda: loop.call_at(delay=1, callback=print),
        ):
            with self.assertRaises(TypeError):
                call()

    def test_the_fields_of_a_handle(self) -> None:
        for count in (0, 2, 5):
            for handle in (
                self.loop.call_soon(print, *range(count)),
                self.loop.call_later(5, print, *range(count)),
            ):
                self.assertEqual(handle._args, tuple(range(count)))
                self.assertIs(handle._args, handle._args)
                self.assertIs(handle._callback, print)
                self.assertIs(handle._loop, self.loop)
                self.assertIs(handle._cancelled, False)
                self.assertIsNone(handle._repr)
                self.assertIsNone(handle._source_traceback)
                self.assertFalse(hasattr(handle, "__dict__"))
                handle.cancel()
                self.assertIsNone(handle._callback)
                self.assertIsNone(handle._args)
                self.assertIs(handle._cancelled, True)
                handle.cancel()
                self.assertTrue(handle.cancelled())

    def test_arguments_can_be_replaced(self) -> None:
        seen: list[Any] = []
        handle = self.loop.call_soon(seen.append, 1)
        handle._args = (2,)
        other = self.loop.call_soon(lambda *args: seen.append(args), 1, 2)
        other._args = [3, 4]
        self.run_once()
        self.assertEqual(seen, [2, (3, 4)])

    def test_a_callback_may_cancel_itself(self) -> None:
        seen: list[Any] = []

        def cancel(value: Any) -> None:
            handle.cancel()
            gc.collect()
            seen.append(value)

        handle = self.loop.call_soon(cancel, Value())
        self.run_once()
        self.assertIsInstance(seen[0], Value)

    def test_a_timer_made_by_hand_may_be_cancelled(self) -> None:
        seen: list[int] = []
        handle = asyncio.TimerHandle(self.loop.time(), seen.append, (1,), self.loop)
        handle.cancel()
        self.assertTrue(handle.cancelled())
        self.loop.call_later(0, seen.append, 2)
        self.run_once()
        self.assertEqual(seen, [2])

    def test_timers_compare_by_their_time(self) -> None:
        now = self.loop.time()
        early, late = self.loop.call_at(now + 5, print), self.loop.call_at(now + 6, print)
        same = self.loop.call_at(now + 5, print)
        self.assertTrue(early < late and early <= late and late > early and late >= early)
        self.assertTrue(early == same and early != late and hash(early) == hash(same))
        self.assertEqual(sorted([late, early]), [early, late])
        self.assertEqual((early.when(), early._when), (now + 5, now + 5))
        self.assertIs(early._scheduled, True)
        same.cancel()
        self.assertNotEqual(early, same)
        for timer in (early, late):
            timer.cancel()

    def test_repr_in_debug_mode_outlives_the_callback(self) -> None:
        self.loop.set_debug(True)
        for handle in (self.loop.call_soon(gc.collect, 1), self.loop.call_later(5, gc.collect, 1)):
            self.assertIn("created at", repr(handle))
            self.assertIn(__file__, repr(handle))
            handle.cancel()
            self.assertIn("cancelled", repr(handle))
            self.assertIn("collect(1)", handle._repr)

    def test_a_handle_is_gone_when_it_ran(self) -> None:
        handles = [weakref.ref(self.loop.call_soon(int)) for _ in range(5000)]
        held = self.loop.call_soon(int)
        self.run_once()
        self.assertTrue(all(handle() is None for handle in handles))
        self.assertIs(weakref.ref(held)(), held)

    def test_one_handle_may_be_the_argument_of_the_next(self) -> None:
        handle = None
        for _ in range(200_000):
            handle = self.loop.call_soon(id, handle)
        self.run_once()
        seen = weakref.ref(handle)
        del handle
        self.assertIsNone(seen())

    def test_handles_in_a_cycle_are_collected(self) -> None:
        seen: list[weakref.ref[Value]] = []

        def make() -> None:
            for schedule in (self.loop.call_soon, lambda f: self.loop.call_later(0, f)):
                value: Any = Value()
                value.handle = schedule(lambda value=value: value)
                seen.append(weakref.ref(value))

        make()  # outside of a callback
        self.loop.call_soon(make)
        self.run_once()
        self.run_once()
        self.run_once()
        gc.collect()
        self.assertEqual([value() for value in seen], 4 * [None])

    def test_a_loop_that_is_dropped_with_its_handles_is_collected(self) -> None:
        seen: list[weakref.ref[Any]] = []

        def make(loop: Any) -> None:
            for schedule in (loop.call_soon, lambda f: loop.call_later(60, f)):
                value: Any = Value()
                value.handle = schedule(lambda value=value: value)
                seen.append(weakref.ref(value))

        dropped: Any = type(self).make()
        seen.append(weakref.ref(dropped))
        make(dropped)
        dropped.call_soon(make, dropped)
        dropped.call_soon(dropped.stop)
        dropped.run_forever()
        del dropped
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()
        self.assertEqual([value() for value in seen], 5 * [None])

    def test_variables_stay_with_their_callback(self) -> None:
        seen: list[Any] = []

        def change(value: int) -> None:
            seen.append(variable.get())
            variable.set(value)
            self.loop.call_soon(lambda: seen.append(variable.get()))

        for value in range(3):
            self.loop.call_soon(change, value)
        self.loop.call_soon(lambda: seen.append(variable.get()))
        self.run_once()
        self.run_once()
        self.assertEqual(seen, [None, None, None, None, 0, 1, 2])
        self.assertIsNone(variable.get())

    def test_the_variables_of_the_time_of_the_call(self) -> None:
        seen: list[Any] = []
        token = variable.set("first")
        self.loop.call_soon(lambda: seen.append(variable.get()))
        variable.set("second")
        self.loop.call_soon(lambda: seen.append(variable.get()))
        self.loop.call_later(0, lambda: seen.append(variable.get()))
        variable.reset(token)
        self.loop.call_soon(lambda: seen.append(variable.get()))
        self.run_once()
        self.run_once()
        self.assertEqual(sorted(seen, key=str), [None, "first", "second", "second"])

    def test_a_context_shows_what_its_callback_did(self) -> None:
        handles = [self.loop.call_soon(variable.set, value) for value in range(3)]
        untouched = self.loop.call_soon(int)
        self.run_once()
        self.assertEqual([handle._context.get(variable) for handle in handles], [0, 1, 2])
        self.assertIsNone(untouched._context.get(variable))

    def test_a_context_that_was_looked_at_is_the_one_that_is_entered(self) -> None:
        seen: list[Any] = []
        handles = [self.loop.call_soon(lambda: seen.append(variable.get())) for _ in range(3)]
        handles[1]._context.run(variable.set, "mine")
        self.assertIs(handles[1]._context, handles[1]._context)
        self.run_once()
        self.assertEqual(seen, [None, "mine", None])

    def test_a_token_is_of_one_callback_only(self) -> None:
        tokens: list[Any] = []
        errors: list[str] = []

        def reset() -> None:
            try:
                variable.reset(tokens[0])
            except ValueError as error:
                errors.append(str(error))

        same = object()
        before = variable.set(same)
        self.loop.call_soon(lambda: tokens.append(variable.set(same)))
        self.loop.call_soon(reset)
        variable.reset(before)
        self.run_once()
        self.assertEqual(len(errors), 1)
        self.assertIn("different Context", errors[0])

    def test_the_exception_handler_sees_the_variables(self) -> None:
        seen: list[Any] = []

        def fail() -> None:
            variable.set("set before it failed")
            raise ValueError

        self.loop.set_exception_handler(
            lambda _loop, context: seen.append(context["handle"]._context.get(variable))
        )
        self.loop.call_soon(fail)
        self.run_once()
        self.assertEqual(seen, ["set before it failed"])

    def test_values_go_with_their_callbacks(self) -> None:
        seen: list[weakref.ref[Value]] = []

        def keep() -> None:
            value = Value()
            seen.append(weakref.ref(value))
            variable.set(value)
            for _ in range(3):
                self.loop.call_soon(variable.get)

        for _ in range(3):
            self.loop.call_soon(keep)
        self.run_once()
        self.run_once()
        gc.collect()
        self.assertEqual([value() for value in seen], [None, None, None])

    def test_a_loop_inside_a_callback_has_contexts_of_its_own(self) -> None:
        seen: list[Any] = []
        inner: Any = type(self).make()
        self.addCleanup(inner.close)

        def nested() -> None:
            asyncio._set_running_loop(None)
            inner.call_soon(variable.set, "inner")
            inner.call_soon(lambda: seen.append(variable.get()))
            inner.call_soon(inner.stop)
            inner.run_forever()
            asyncio._set_running_loop(self.loop)
            seen.append(variable.get())

        self.loop.call_soon(nested)
        self.loop.call_soon(lambda: seen.append(variable.get()))
        self.run_once()
        self.assertEqual(seen, [None, None, None])

    def test_a_handle_is_not_copied(self) -> None:
        handle = self.loop.call_soon(print)
        self.assertRaises(TypeError, copy.deepcopy, handle)
        handle.cancel()


class OurLoop(Mixin, LoopCase):
    make = staticmethod(coloop.new_event_loop)

    def test_a_handle_that_was_given_another_loop(self) -> None:
        other = coloop.new_event_loop()
        self.addCleanup(other.close)
        for loop in (other, None, object()):
            handle: Any = self.loop.call_later(5, print)
            handle._loop = loop
            handle.cancel()
            self.assertTrue(handle.cancelled())
        other.call_later(0, other.stop)
        other.run_forever()
        self.run_once()

    def test_what_cannot_be_done_to_a_handle(self) -> None:
        handle = self.loop.call_later(5, print)
        for name in ("_args", "_context", "_when"):
            with self.assertRaisesRegex(AttributeError, "cannot be deleted"):
                delattr(handle, name)
        with self.assertRaises(TypeError):
            handle._when = "soon"
        kind: Any = type(handle)
        with self.assertRaises(TypeError):
            type("Derived", (kind,), {})
        handle.cancel()

    def test_one_made_by_its_type_is_as_good(self) -> None:
        seen: list[int] = []
        kind: Any = type(self.loop.call_soon(int))
        handle = kind(seen.append, (1,), self.loop)
        handle._run()
        empty = kind.__new__(kind)
        self.assertFalse(hasattr(empty, "_context"))
        self.loop._add_callback(handle)
        self.run_once()
        self.assertEqual(seen, [1, 1])


class AsyncioLoop(Mixin, LoopCase):
    make = staticmethod(asyncio.SelectorEventLoop)
