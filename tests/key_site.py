"""A cluster whose keys are made and rotated."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controlplane.run import ControlPlane
from tests.conftest import Run, Shell, judge, new_shell

KEYS = ("system-secret", "stork-secret", "shared-secret")


@dataclass(frozen=True)
class Keys:
    """A cluster whose Secret kube-system/pxkeys is the test's own."""

    shell: Shell

    def run(self, *arguments: str) -> Run:
        """Run `keys …`; whatever it says, it shows no key."""
        done = self.shell.pxauth("keys", *arguments)
        for value in self.read().values():
            assert value.decode() not in done.out + done.err
        return done

    def refused(self, *arguments: str, code: int = 1) -> str:
        """Run it; it must fail and change no key. Returns what it says."""
        before = self.read()
        done = self.shell.refused("keys", *arguments, code=code)
        assert self.read() == before
        return done.err

    def read(self) -> dict[str, bytes]:
        """The keys, none where there is no Secret."""
        done = self.shell.kubectl("get", "secret", "pxkeys", "-n", "kube-system", "-o", "json")
        data = json.loads(done.out)["data"] if done.code == 0 else {}
        return {key: base64.b64decode(value) for key, value in data.items()}

    def lay(self, **data: bytes) -> None:
        """Make the Secret without the plugin."""
        encoded = {
            key.replace("_", "-"): base64.b64encode(value).decode() for key, value in data.items()
        }
        metadata = {"name": "pxkeys", "namespace": "kube-system"}
        self.shell.create({"metadata": metadata, "data": encoded})

    def accepts(self, secret: str, key: str = "auth-token") -> bool:
        """Whether Portworx takes the token in that Secret with the key as it is now."""
        shared_secret = self.read()["shared-secret"]
        verdict = judge(self.shell.token(secret, key), shared_secret=shared_secret)
        return bool(verdict["accepted"])

    def allowed(self, plane: ControlPlane, user: str, verbs: str) -> "Keys":
        """The same as a user who may do this with Secrets: get, patch in kube-system; else list."""
        everywhere = "list" in verbs
        kind, where = ("clusterrole", []) if everywhere else ("role", ["-n", "kube-system"])
        for arguments in (
            ["create", kind, user, f"--verb={verbs}", "--resource=secrets"],
            ["create", f"{kind}binding", user, f"--{kind}={user}", f"--user={user}"],
        ):
            assert self.shell.kubectl(*arguments, *where).code == 0
        kubeconfig = str(plane.kubeconfig(user, groups=()))
        return Keys(self.shell.with_environment(KUBECONFIG=kubeconfig))

    def tokens(self, *names: str) -> None:
        """Issue tokens into Secrets of these names."""
        for name in names:
            self.shell.issue("kubernetes", "--secret", name)


@pytest.fixture
def keys(own_plane: ControlPlane, tmp_path: Path) -> Iterator[Keys]:
    shell = new_shell(own_plane, tmp_path)
    yield Keys(shell)
    shell.kubectl("delete", "secret", "pxkeys", "-n", "kube-system", "--ignore-not-found")
