"""Frozen dataclasses whose methods nobody has to compile.

The standard library writes six methods for each class and compiles them, which is a tenth of a
short run. Here all classes share them; an instance takes somewhat longer to make.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError
from dataclasses import dataclass as with_fields
from typing import TYPE_CHECKING, Any, ClassVar, Literal

__all__ = ["dataclass"]


class _Methods:
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    __match_args__: ClassVar[tuple[str, ...]]  # the names of the fields, without class variables

    def __init__(self, *values: object, **named: object) -> None:
        fields, names = self.__dataclass_fields__, self.__match_args__
        given: dict[str, Any] = dict(zip(names, values, strict=False)) | named
        for name in set(names) - given.keys():
            default, factory = fields[name].default, fields[name].default_factory
            given[name] = default if factory is MISSING else factory()
        if given.keys() != set(names) or any(value is MISSING for value in given.values()):
            raise TypeError(f"{type(self).__name__} takes {', '.join(names)}")
        self.__dict__.update(given)
        if hasattr(self, "__post_init__"):
            self.__post_init__()

    def __repr__(self) -> str:
        fields, values = self.__dataclass_fields__, vars(self)
        shown = [f"{name}={values[name]!r}" for name in self.__match_args__ if fields[name].repr]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return _compared(self) == _compared(other) if type(self) is type(other) else NotImplemented

    def __hash__(self) -> int:
        return hash(_compared(self))

    def __setattr__(self, name: str, _: object) -> None:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> None:
        raise FrozenInstanceError(f"cannot delete field {name!r}")


_SHARED = {name: method for name, method in vars(_Methods).items() if callable(method)}


def _compared(one: Any) -> tuple[object, ...]:
    fields, values = one.__dataclass_fields__, vars(one)
    return tuple([values[name] for name in one.__match_args__ if fields[name].compare])


def _dataclass(*, frozen: Literal[True]) -> Callable[[type], type]:
    def made(kind: type) -> type:
        kind.__doc__ = kind.__doc__ or kind.__name__  # else a signature would be put together
        kind = with_fields(init=False, repr=False, eq=False)(kind)
        for name, method in _SHARED.items():
            setattr(kind, name, method)
        return kind

    return made


# What fields(), replace() and a type checker know is dataclasses' own.
if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
