"""What the audit hook costs: the same functions in a plain interpreter and in Node.js.

`python3 sandbox.py FOLDER` reads lines `WHAT COUNT`, answers each with seconds for an operation;
WHAT is `event`, `imports`, or `hook`, which adds a hook that does nothing.
"""

from __future__ import annotations

import importlib
import itertools
import math
import pathlib
import sys
import time

MODULES = 200
ITEMS = 20


def event(count: int) -> float:
    """`id` raises an audit event and does next to nothing else."""
    find, value, start = id, object(), time.perf_counter()
    for _ in itertools.repeat(None, count):
        find(value)
    return (time.perf_counter() - start) / count


def write_modules(folder: str) -> None:
    for number in range(MODULES):
        functions = (f"def f{i}(a, b={i}):\n    return a + b\n" for i in range(ITEMS))
        text = f"class A{number}:\n    name = {number}\n\n\n" + "\n\n".join(functions)
        pathlib.Path(folder, f"bench_module_{number}.py").write_text(text)


def imports(count: int) -> float:
    """Loads all the modules, from compiled files; of so many times the least counts."""
    names = [f"bench_module_{number}" for number in range(MODULES)]
    least = math.inf
    for _ in range(count):
        for name in names:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        start = time.perf_counter()
        for name in names:
            __import__(name)
        least = min(least, time.perf_counter() - start)
    return least


def hook(_count: int) -> float:
    import ctypes

    do_nothing = ctypes.cast(ctypes.CDLL(None).atoi, ctypes.c_void_p)  # 0 for every event's name
    if ctypes.pythonapi.PySys_AddAuditHook(do_nothing, None) != 0:
        raise RuntimeError("no hook was added")
    return 0.0


def main(folder: str) -> None:
    sys.path.insert(0, folder)
    for line in sys.stdin:
        what, count = line.split()
        print({"event": event, "imports": imports, "hook": hook}[what](int(count)), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
