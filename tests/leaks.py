"""Watch a whole test run for tokens and keys where none may be.

That is the API server's audit log, and the arguments of the processes that the tests start. pxctl
and OpenStorage's generator are let off: they take a token, or a key, as an argument and in no other
way.
"""

import base64
import json
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.parse import unquote

_TOKEN = re.compile(r"eyJ[\w.-]*")
_CONTINUE = re.compile(r"continue=[\w-]+")  # a place in a list, in base64, and no token
_LET_OFF = ("/pxctl", "/generate")
_SECONDS = 0.02
_EXCERPT = 200


class LeakWatch:
    """Watches inside its `with` block, and fails at its end if anything came out."""

    def __init__(self, audit_log: Path, secrets: Sequence[str]) -> None:
        """Take the audit log, and texts to look for beside tokens."""
        self.audit_log = audit_log
        self._secrets = [*secrets, *(base64.b64encode(text.encode()).decode() for text in secrets)]
        self._seen: dict[str, None] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        leaks = self.leaks()
        assert not leaks, "a token or a key came out:\n" + "\n".join(leaks)

    def is_leak(self, text: str) -> bool:
        """Whether a text holds a key, or a token that is Portworx' or broken off."""
        text = without_continue(text)
        return any(secret in text for secret in self._secrets) or any(
            not _is_service_accounts(token) for token in _TOKEN.findall(text)
        )

    def leaks(self) -> list[str]:
        """What came out so far, and where."""
        found = [f"arguments: {arguments[:_EXCERPT]}" for arguments in list(self._seen)]
        if not self.audit_log.exists():
            return found
        with self.audit_log.open() as lines:
            found += [
                f"audit log: {json.loads(line)['requestURI'][:_EXCERPT]}"
                for line in lines
                if self.is_leak(unquote(line))
            ]
        return found

    def _watch(self) -> None:
        ours = {os.getpid(): True}
        while not self._over.wait(_SECONDS):
            for process in _descendants(ours):
                try:
                    words = Path(f"/proc/{process}/cmdline").read_text(errors="replace").split("\0")
                except OSError:  # it is over
                    continue
                if any(word.endswith(_LET_OFF) for word in words[:2]):
                    continue
                arguments = " ".join(words)
                if self.is_leak(arguments):
                    self._seen[arguments] = None


def without_continue(text: str) -> str:
    """The text without the places where long lists go on, which look like the start of a token."""
    return _CONTINUE.sub("", text)


def _is_service_accounts(token: str) -> bool:
    """Whether it is Kubernetes' own, which tests hand to kubectl as people do."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, LookupError):
        return False
    return "kubernetes.io" in claims


def _descendants(ours: dict[int, bool]) -> list[int]:
    """The living processes that this one started; ours holds what is known of each, for next time.

    The kernel's own lists of children cost it a look at every thread of the API server.
    """
    try:
        living = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    except OSError:  # there is no /proc
        return []
    for gone in ours.keys() - set(living):
        del ours[gone]
    return [process for process in living if _is_ours(process, ours) and process != os.getpid()]


def _is_ours(process: int, ours: dict[int, bool]) -> bool:
    if process not in ours:
        try:
            after_the_name = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2]
        except OSError:  # it is over
            return False
        parent = int(after_the_name.split()[1])
        ours[process] = parent > 0 and _is_ours(parent, ours)
    return ours[process]
