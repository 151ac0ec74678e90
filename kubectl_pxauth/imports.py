"""Import other people's modules without what a run never uses of them.

That is what a package's __init__ brings along, and the regular expressions that a module compiles.
"""

import importlib.util
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

_compile: Any = re.compile


def register_without_init(*packages: str) -> None:
    """Register each package so that its submodules can be imported but its __init__ never runs.

    kubernetes/__init__ imports every part of the client, jose.backends all of cryptography:
    hundreds of milliseconds for modules that most runs never call. Already imported packages are
    left alone. The package is also set as an attribute of its parent, if the parent is loaded.
    """
    for name in packages:
        if name in sys.modules:
            continue
        package: ModuleType = importlib.util.module_from_spec(_find(name))
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent in sys.modules:
            setattr(sys.modules[parent], child, package)


def _find(name: str) -> ModuleSpec:
    """Where the module is, without importing the packages that it is in."""
    parent, _, _ = name.rpartition(".")
    spec = PathFinder.find_spec(name, _find(parent).submodule_search_locations if parent else None)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    return spec


@contextmanager
def compiling_later() -> Iterator[None]:
    """Let what is imported meanwhile compile its regular expressions when it first uses them.

    Compiling those of yaml and urllib3 takes a tenth of a run, which uses few of them: the largest
    are for YAML that is read by Python itself, and for IPv6. Only for modules that use a pattern's
    methods and nothing else: re's own functions take no such pattern.
    """
    re.compile = _LaterPattern  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = _compile  # not what was there before: another thread may have begun the same


class _LaterPattern:
    """What re.compile returns, but not compiled before one of its methods is used."""

    def __init__(self, pattern: str | bytes, flags: int = 0) -> None:
        self._arguments = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        method = getattr(_compile(*self._arguments), name)
        setattr(self, name, method)  # so that it is asked for once
        return method
