"""Wait for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

from tests.portworx_site import Site

Found = TypeVar("Found")

_PATIENCE_SECONDS = 300
_POLL_SECONDS = 0.5
_KUBECTL_SECONDS = 60  # a busy machine takes longer: then it is asked again


def eventually(attempt: Callable[[], Found | None], what: str) -> Found:
    """Wait until something true comes back; fails with what was waited for."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := attempt()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(_POLL_SECONDS)
    return found


def kubectl_until_done(site: Site, *command: str) -> None:
    """Run a command of kubectl that waits, like `wait` and `delete`, until it succeeds."""
    words = (*command, f"--timeout={_KUBECTL_SECONDS}s")
    eventually(lambda: site.kubectl(*words).code == 0, " ".join(words))
