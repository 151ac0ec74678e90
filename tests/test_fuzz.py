"""What `make soak` fuzzes for an hour, here for all that was ever found and a few changes."""

from pathlib import Path
from random import Random

import pytest

from soak.targets import CORPUS, TARGETS, run

_CHANGES = 60  # of each seed, the same in every run
_PIECES = (b"", b"\0", b"\xff", b"\n", b": ", b"&a", b"*a", b"[", b"{", b'"', b"<<", b"1e999", b"-")


def test_every_target_has_seeds() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == set(TARGETS)
    assert all(list((CORPUS / target).iterdir()) for target in TARGETS)


@pytest.mark.parametrize(
    "seed", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_whatever_the_bytes_it_is_an_answer_or_an_error(seed: Path) -> None:
    data, random = seed.read_bytes(), Random(seed.name)
    run(seed.parent.name, data)
    for _ in range(_CHANGES):
        changed = bytearray(data)
        for _ in range(random.randint(1, 4)):
            start = random.randrange(len(changed) + 1)
            changed[start : start + random.randint(0, 6)] = random.choice(_PIECES)
        run(seed.parent.name, bytes(changed))
