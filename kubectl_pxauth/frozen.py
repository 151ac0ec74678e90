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
    __field_defaults__: ClassVar[dict[str, object]]
    __field_factories__: ClassVar[dict[str, Callable[[], object]]]

    def __init__(self, *values: object, **named: object) -> None:
        names = self.__match_args__
        given = {**self.__field_defaults__, **dict(zip(names, values, strict=False)), **named}
        for name, factory in self.__field_factories__.items():
            if name not in given:
                given[name] = factory()
        if len(given) != len(names) or not all(map(given.__contains__, names)):
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


def _dataclass(*, frozen: Literal[True]) -> Callable[[type], Any]:
    def made(kind: Any) -> Any:
        kind.__doc__ = kind.__doc__ or kind.__name__  # else a signature would be put together
        kind = with_fields(init=False, repr=False, eq=False)(kind)
        fields = [kind.__dataclass_fields__[name] for name in kind.__match_args__]
        kind.__field_defaults__ = {
            one.name: one.default for one in fields if one.default is not MISSING
        }
        kind.__field_factories__ = {
            one.name: one.default_factory for one in fields if one.default_factory is not MISSING
        }
        for name, method in _SHARED.items():
            setattr(kind, name, method)
        return kind

    return made


# What fields(), replace() and a type checker know is dataclasses' own.
if TYPE_CHECKING:
    from dataclasses import dataclass
else:
    dataclass = _dataclass
