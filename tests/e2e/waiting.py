"""Wait for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")

_PATIENCE_SECONDS = 300
_POLL_SECONDS = 0.5


def eventually(attempt: Callable[[], Found | None], what: str) -> Found:
    """Wait until something true comes back; fails with what was waited for."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not (found := attempt()):
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(_POLL_SECONDS)
    return found
