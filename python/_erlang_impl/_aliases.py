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
from os.path import isfile, join
from types import ModuleType

_PACKAGE = "_erlang_impl"
_ALIASES = ("erlang", "coloop")


class _Finder(MetaPathFinder, Loader):
    """Finds the package's modules, under its other names too.

    It needs no list of the folder, which a policy may forbid.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        package, _, name = fullname.partition(".")
        if not name.isidentifier() or sys.modules.get(package) is not sys.modules[_PACKAGE]:
            return None
        file = join(self._folder, f"{name}.py")
        if package in _ALIASES:
            return ModuleSpec(fullname, self) if isfile(file) else None
        if isfile(file):
            return importlib.util.spec_from_file_location(fullname, file)
        # `from coloop import name` comes here when the module has no such name. The ImportError
        # that Python would raise names the package.
        raise ImportError(
            f"cannot import name {name!r} from 'coloop': no JavaScript function is registered "
            f"under that name; register it with py.register({name!r}, fn)",
            name="coloop",
        )

    def exec_module(self, module: ModuleType) -> None:
        _, _, name = module.__name__.partition(".")
        # What a module leaves in sys.modules is what its importer gets.
        sys.modules[module.__name__] = importlib.import_module(f"{_PACKAGE}.{name}")


def install() -> None:
    """Puts the finder last, where other imports do not come to it, and leaves it the package."""
    package = sys.modules[_PACKAGE]
    [folder] = package.__path__
    package.__path__ = []
    sys.meta_path.append(_Finder(folder))
