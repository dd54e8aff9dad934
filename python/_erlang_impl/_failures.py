"""Exceptions of Tasks that nobody has asked for, told while somebody listens.

asyncio tells of them when the Task goes. What the program still has goes with the interpreter in
plain Python; here the process ends without taking the interpreter down.
"""

from __future__ import annotations

import gc
import sys
from typing import Any


def tell_failures(loop: Any = None) -> None:
    """Has the exception handlers told; only that of this loop, if one is given."""
    tasks: Any = sys.modules.get("asyncio.tasks")
    if tasks is None:
        return
    for task in _all_tasks(tasks):
        if task.done() and (loop is None or task.get_loop() is loop):
            # Once: the Task itself notes that it was told.
            getattr(task, "__del__", _nothing)()


def _all_tasks(tasks: Any) -> list[Any]:
    """Those that are done, too, which asyncio.all_tasks() leaves out."""
    if sys.version_info >= (3, 14):  # asyncio does not keep them
        return [each for each in gc.get_objects() if issubclass(type(each), tasks.Task)]
    known = tasks._scheduled_tasks if sys.version_info >= (3, 12) else tasks._all_tasks
    eager = tasks._eager_tasks if sys.version_info >= (3, 12) else ()
    return [*known, *eager]


def _nothing() -> None:
    """For a Task of another library's."""
