"""One module under all names: `erlang._x` and `coloop._x` are `_erlang_impl._x`.

Loaded again under another name, its classes would be others, and `isinstance` would fail.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_PACKAGE = "_erlang_impl"
_ALIASES = ("erlang", "coloop")


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of this package under its other names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, dot, name = fullname.partition(".")
        if not dot or package not in _ALIASES or sys.modules.get(package) is not _own():
            return None
        return ModuleSpec(fullname, self) if _is_there(f"{_PACKAGE}.{name}") else None

    def exec_module(self, module: ModuleType) -> None:
        _, _, name = module.__name__.partition(".")
        # What a module leaves in sys.modules is what its importer gets.
        sys.modules[module.__name__] = importlib.import_module(f"{_PACKAGE}.{name}")


def _own() -> ModuleType:
    return sys.modules[_PACKAGE]


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def install() -> None:
    """Puts the finder first, once."""
    sys.meta_path.insert(0, _Finder())
