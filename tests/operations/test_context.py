"""What `context create` saves, with the stand-in for pxctl on this machine and no cluster."""

import json
from pathlib import Path
from threading import Event

import pytest

from kubectl_pxauth.operations.context import create_context
from kubectl_pxauth.portworx.pxctl import this_machine
from tests.conftest import claims_of, forge


@pytest.mark.parametrize("stopped", [False, True])
def test_a_key_that_is_rotated_meanwhile(
    pxctl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stopped: bool
) -> None:
    """The token of the newest key is saved over the first, but for a run that is to end."""
    monkeypatch.setenv("HOME", str(tmp_path))
    first, second, third = (forge(claims_of("a"), key) for key in (b"1", b"2", b"3"))
    later, stop = iter([second, third, third]), Event()

    def latest() -> str:
        if stopped:
            stop.set()
        return next(later)

    results = create_context(
        "admin", None, first, [this_machine(str(pxctl), None)], stop, latest=latest
    )
    (result,) = results
    assert result.problem is None
    (saved,) = json.loads((tmp_path / ".pxctl" / "contextconfig").read_text())["configurations"]
    assert saved["token"] == (first if stopped else third)
