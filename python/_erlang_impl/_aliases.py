"""One module under all names: `erlang._x` and `coloop._x` are `_erlang_impl._x`.

Loaded again under another name, its classes would be others, and `isinstance` would fail.
"""

from __future__ import annotations

import importlib
import importlib.machinery as machinery
import sys
from importlib.abc import Loader
from importlib.machinery import FileFinder, ModuleSpec
from types import ModuleType

_PACKAGE = "_erlang_impl"
_LOADERS = (
    (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
    (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES),
    (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
)


class _Alias(Loader):
    """Gives the importer of an alias the module itself."""

    def exec_module(self, module: ModuleType) -> None:
        # What a module leaves in sys.modules is what its importer gets.
        sys.modules[module.__name__] = importlib.import_module(_named(module.__name__))


class _Finder(FileFinder):
    """Finds the package's modules, under any of its names.

    It is asked only for what is looked for in the package's folder. One in `sys.meta_path` would be
    asked at every import of a program.
    """

    def find_spec(self, fullname: str, target: ModuleType | None = None) -> ModuleSpec | None:
        package, _, _ = fullname.partition(".")
        own = sys.modules.get(_PACKAGE)
        if package == _PACKAGE or own is None or sys.modules.get(package) is not own:
            return super().find_spec(fullname, target)
        if super().find_spec(_named(fullname)) is None:
            return None
        return ModuleSpec(fullname, _Alias())


def _named(alias: str) -> str:
    _, _, name = alias.partition(".")
    return f"{_PACKAGE}.{name}"


def _hook(path: str) -> _Finder:
    """A hook of `sys.path_hooks`. Raises ImportError for every other folder."""
    own = sys.modules.get(_PACKAGE)
    if own is None or path not in own.__path__:
        raise ImportError(f"{path} is not the folder of {_PACKAGE}")
    return _Finder(path, *_LOADERS)


def install() -> None:
    """Puts the hook first, once."""
    sys.path_hooks.insert(0, _hook)
    for path in sys.modules[_PACKAGE].__path__:
        sys.path_importer_cache.pop(path, None)
