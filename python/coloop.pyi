"""For type checkers: `coloop` is `_erlang_impl` and the functions that JavaScript registers."""

from collections.abc import Callable
from typing import Any

from _erlang_impl import *

def __getattr__(name: str) -> Callable[..., Any]: ...
