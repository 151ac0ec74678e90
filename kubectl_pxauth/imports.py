"""Import one module of a package without all the others that its __init__ brings along."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


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
