"""Import one module of a package without all the others that its __init__ brings along."""

import importlib.util
import sys
from types import ModuleType


def skip_init(*packages: str) -> None:
    """Register each package so that its submodules can be imported but its __init__ never runs.

    kubernetes/__init__ imports every part of the client, jose.backends imports all of
    cryptography: hundreds of milliseconds for modules that most runs never call. Parents come
    before children. A package that is loaded already is left alone.
    """
    for name in packages:
        if name in sys.modules:
            continue
        spec = importlib.util.find_spec(name)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        package: ModuleType = importlib.util.module_from_spec(spec)
        sys.modules[name] = package
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], child, package)


def leave_out(*modules: str) -> None:
    """Let imports of these modules find nothing in them: what they import is never called."""
    for name in modules:
        sys.modules.setdefault(name, ModuleType(name))
