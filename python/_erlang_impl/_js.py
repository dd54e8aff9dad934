"""JavaScript values in Python: functions, objects, promises, iterators, errors.

The native base class holds the value; `_perform` runs an operation on it in JavaScript, from any
thread. Everything here may be called from any thread; awaiting needs a running event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

import _coloop

if TYPE_CHECKING:
    from typing_extensions import Self

# The operations of src/hosts.ts.
_GET = 1
_SET = 2
_DELETE = 3
_KEYS = 4
_LENGTH = 5
_REPR = 6
_STRING = 7
_ITERATOR = 8
_NEXT = 9
_SUBSCRIBE = 10
_ASYNC_ITERATOR = 11
_ASYNC_NEXT = 12
_RETURN = 13
_THROW = 14
_DISPOSE = 15
_ASYNC_DISPOSE = 16
_NEW = 17
_GET_ITEM = 18
_SET_ITEM = 19
_DELETE_ITEM = 20
_CONTAINS = 21
_THROWN = 22


class _Missing:
    """What JavaScript answers for a property that is not there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<missing>"


MISSING = _Missing()


class JsObject(_coloop.JsRef):
    """A JavaScript object, by reference.

    Attributes are properties, `obj[key]` are elements or, for a Map, its values. `with` works for
    disposables, `async with` for async disposables.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        # Python looks these up on every object; a JavaScript property never has such a name.
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        value = self._perform(_GET, name)
        if value is MISSING:
            raise AttributeError(f"the JavaScript object has no property {name!r}")
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        self._perform(_SET, name, value)

    def __delattr__(self, name: str) -> None:
        if not self._perform(_DELETE, name):
            raise AttributeError(f"the JavaScript object has no own property {name!r} to delete")

    def __getitem__(self, key: Any) -> Any:
        value = self._perform(_GET_ITEM, key)
        if value is not MISSING:
            return value
        # What ends Python's old iteration protocol, and what a dict would say.
        raise (IndexError if isinstance(key, int) else KeyError)(key)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._perform(_SET_ITEM, key, value)

    def __delitem__(self, key: Any) -> None:
        if not self._perform(_DELETE_ITEM, key):
            raise KeyError(key)

    def __contains__(self, key: Any) -> bool:
        return bool(self._perform(_CONTAINS, key))

    def __len__(self) -> int:
        length = self._perform(_LENGTH)
        if length is MISSING:  # a TypeError, which tells list() that there is no hint either
            raise TypeError("this JavaScript object has no length")
        return int(length)

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return _drain(self._perform(_ITERATOR))

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._perform(_KEYS)})

    def __repr__(self) -> str:
        if not self._alive:
            return "<JavaScript object of an environment that has ended>"
        return f"<js {self._perform(_REPR)}>"

    def __str__(self) -> str:
        return str(self._perform(_STRING)) if self._alive else repr(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._perform(_DISPOSE)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        done = self._perform(_ASYNC_DISPOSE)
        if isinstance(done, JsPromise):
            await done


def _drain(iterator: Any) -> Iterator[Any]:
    """The values of a JavaScript iterator; left early, it is told so (`return`)."""
    done = False
    try:
        while True:
            done, value = iterator._perform(_NEXT)
            if done:
                return
            yield value
    finally:
        if not done:
            iterator._perform(_RETURN, None)


class JsFunction(_coloop.JsFunctionRef, JsObject):
    """A JavaScript function. Called on the JavaScript thread it runs at once; called from another
    thread it runs on the JavaScript thread while the caller waits."""

    __slots__ = ()

    def new(self, *args: Any) -> Any:
        """`new function(...args)`."""
        return self._perform(_NEW, *args)

    def __get__(self, instance: object, owner: type | None = None) -> JsFunction:
        return self


class JsIterator(JsObject):
    """A JavaScript iterator or generator: an iterator."""

    __slots__ = ()

    def __iter__(self) -> JsIterator:
        return self

    def __next__(self) -> Any:
        done, value = self._perform(_NEXT)
        if done:
            raise StopIteration(value)
        return value

    def close(self) -> None:
        """Ends a generator: its `return()`."""
        self._perform(_RETURN, None)


class JsPromise(JsObject):
    """A JavaScript promise or thenable: an awaitable, any number of times."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        return settled(self).__await__()

    __iter__ = None  # type: ignore[assignment]


class JsAsyncIterable(JsObject):
    """A JavaScript async iterable: `async for`."""

    __slots__ = ()

    def __aiter__(self) -> AsyncIterator[Any]:
        return _async_items(self._perform(_ASYNC_ITERATOR))

    def __anext__(self) -> Any:
        return _next_item(self)


async def _next_item(iterator: Any) -> Any:
    done, value = await iterator._perform(_ASYNC_NEXT)
    if done:
        raise StopAsyncIteration
    return value


async def _async_items(iterator: Any) -> AsyncIterator[Any]:
    done = False
    try:
        while True:
            done, value = await iterator._perform(_ASYNC_NEXT)
            if done:
                return
            yield value
    finally:
        if not done:
            ended = iterator._perform(_RETURN, None)
            if isinstance(ended, JsPromise):
                await ended


class _JsErrorRef(JsObject):
    """A JavaScript error object; what Python sees is its JsError."""

    __slots__ = ("_error",)


class JsError(Exception):
    """A JavaScript error, or another value that JavaScript threw.

    `name`, `message` and `stack` are strings, `value` is what was thrown. On its way back to
    JavaScript it is that very value.
    """

    name: str
    message: str
    stack: str
    value: Any

    def __init__(self, message: str = "", *, name: str = "Error", value: Any = None) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.stack = ""
        self.value = value
        self._source: _JsErrorRef | None = None

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.message else self.name


def _text(reference: JsObject, name: str, default: str) -> str:
    try:
        value = reference._perform(_GET, name)
    except Exception:  # a getter that throws must not hide the error
        return default
    return value if isinstance(value, str) else default


def _error_of(reference: _JsErrorRef) -> JsError:
    """The one JsError of a JavaScript error object."""
    known = _errors.get(reference)
    error = known() if known is not None else None
    if error is None:
        is_error, text, value = reference._perform(_THROWN)
        if is_error:
            name = _text(reference, "name", "Error")
            error = JsError(_text(reference, "message", ""), name=name, value=reference)
            error.stack = _text(reference, "stack", "")
        else:
            error = JsError(text, name="thrown", value=value)
        error._source = reference
        _errors[reference] = weakref.ref(error)
    return error


_errors: weakref.WeakKeyDictionary[_JsErrorRef, weakref.ref[JsError]] = weakref.WeakKeyDictionary()


def thrown(value: Any) -> BaseException:
    """The exception for a value that JavaScript threw."""
    if isinstance(value, BaseException):
        return value
    return JsError(repr(value), name="thrown", value=value)


def as_js_error(exception: BaseException) -> JsError | None:
    """The exception if it is a JsError. Unlike isinstance this asks nothing of the exception."""
    return cast(JsError, exception) if issubclass(type(exception), JsError) else None


def source_of(exception: BaseException) -> Any:
    """The reference to what JavaScript threw, if the exception came from there; else None."""
    error = as_js_error(exception)
    return None if error is None else error._source


async def settled(promise: JsPromise) -> Any:
    """Waits for a promise on the loop that runs; its rejection is raised.

    Raises RuntimeError on an owned loop that blocks the JavaScript thread: the promise could never
    settle there.
    """
    loop = asyncio.get_running_loop()
    on_javascript_thread = _coloop.hosted_loop()
    if on_javascript_thread is not None and on_javascript_thread is not loop:
        raise RuntimeError(
            "a JavaScript promise cannot settle while this loop blocks the JavaScript thread; "
            "await it on the hosted loop (make the function that JavaScript calls async)"
        )
    future: asyncio.Future[Any] = loop.create_future()
    promise._perform(_SUBSCRIBE, _settler(loop, future, on_javascript_thread is loop))
    try:
        return await future
    finally:
        del future  # an exception holds this frame, and the future the exception: no cycle


def wait(promise: JsPromise) -> Any:
    """Blocks the calling thread until a promise settles; its rejection is raised.

    Raises RuntimeError on the JavaScript thread, which alone can settle it.
    """
    if _coloop.hosted_loop() is not None:
        raise RuntimeError(
            "a JavaScript promise cannot settle while Python blocks the JavaScript thread; "
            "await it (coloop.async_call, or await the result) in an async function"
        )
    done = threading.Event()
    outcome: list[Any] = []

    def settle(ok: bool, value: Any) -> None:
        outcome.extend((ok, value))
        done.set()

    promise._perform(_SUBSCRIBE, settle)
    done.wait()
    if outcome[0]:
        return outcome[1]
    raise thrown(outcome[1])


def _settler(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[Any], here: bool
) -> Callable[[bool, Any], None]:
    def apply(ok: bool, value: Any) -> None:
        if future.done():
            return
        if ok:
            future.set_result(value)
            return
        exception = thrown(value)
        if isinstance(exception, StopIteration):  # a future refuses it
            exception = RuntimeError("a JavaScript promise was rejected with StopIteration")
        future.set_exception(exception)

    def settle(ok: bool, value: Any) -> None:
        if here:
            apply(ok, value)
        else:
            with contextlib.suppress(RuntimeError):  # it is closed: nobody waits any more
                loop.call_soon_threadsafe(apply, ok, value)

    return settle


_coloop._set_host_types(
    (JsObject, JsFunction, JsPromise, JsIterator, JsAsyncIterable, _JsErrorRef), _error_of
)
