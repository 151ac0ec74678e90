"""What is made by our dataclass behaves as what the standard library makes."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any, ClassVar

import pytest

from kubectl_pxauth import frozen


def _made(decorate: Any) -> Any:
    class Made:
        number: int
        kind: ClassVar[str]
        text: str = "x"
        names: dict[str, str] = field(default_factory=dict)
        secret: str = field(default="s", repr=False, compare=False)

    return decorate(frozen=True)(Made)


@frozen.dataclass(frozen=True)
class Checked:
    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise ValueError("negative")


OURS, THEIRS = _made(frozen.dataclass), _made(dataclass)


@pytest.mark.parametrize(
    "look",
    [
        repr,
        lambda one: replace(one, text="y").text,
        lambda one: [(part.name, part.repr, part.compare) for part in fields(one)],
        lambda one: one == replace(one, secret="other"),
        lambda one: one == replace(one, number=2),
        lambda one: one == 1,
        lambda one: one.names is replace(one).names,
        lambda one: copy.copy(one) == one,
        lambda one: type(one).__match_args__,
    ],
)
def test_ours_is_as_the_standard_one(look: Callable[[Any], object]) -> None:
    assert look(OURS(1)) == look(THEIRS(1))
    assert look(OURS(1, "a", names={"b": "c"})) == look(THEIRS(1, "a", names={"b": "c"}))


def test_what_is_equal_has_one_hash() -> None:
    assert hash(Checked(1)) == hash(Checked(1))
    assert len({Checked(1), Checked(1), Checked(2)}) == 2


def test_it_is_frozen() -> None:
    one = OURS(1)
    with pytest.raises(FrozenInstanceError):
        one.number = 2
    with pytest.raises(FrozenInstanceError):
        del one.number
    assert one == OURS(1)


def test_each_has_defaults_of_its_own() -> None:
    assert OURS(1).names is not OURS(1).names


@pytest.mark.parametrize("make", [OURS, lambda: OURS(1, colour="red"), lambda: OURS(nummer=1)])
def test_what_is_missing_or_too_much_is_an_error(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


def test_what_a_class_checks_is_checked() -> None:
    with pytest.raises(ValueError, match="negative"):
        Checked(-1)
    assert pickle.loads(pickle.dumps(Checked(1))) == Checked(1)
