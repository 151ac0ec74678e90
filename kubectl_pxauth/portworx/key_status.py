"""Which key the cluster has, since when, and how a rotation of it stands."""

from datetime import datetime

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.pods import Pod
from kubectl_pxauth.cluster.secrets import SecretKeyReference, find_secret
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.key_secret import (
    ROLLED_BACK_BY,
    ROTATED_BY,
    KeyState,
    changed_at,
    read_key_state,
)
from kubectl_pxauth.portworx.running import RunningPortworx, find_running

_FINISH = "kubectl pxauth keys rotate --phase=tokens"


@dataclass(frozen=True)
class KeyStatus:
    """The shared secret as it is in its Secret.

    changed_at is when it was last written, and changed_by by which field manager, as far as the API
    server noted it. running is an error where the pods may not be listed.
    """

    state: KeyState
    stated_by: str
    changed_at: datetime | None
    changed_by: str
    running: RunningPortworx | PxauthError

    @property
    def started_before(self) -> tuple[Pod, ...] | None:
        """The pods that have another key than this one; None where that is not known.

        It is known where a rotation changed the key: then every pod that was started before has the
        old one. Other writes of the Secret may be of something else in it, and after a way back old
        pods have this very key.
        """
        if isinstance(self.running, PxauthError) or self.changed_at is None:
            return None
        before = self.running.started_before(self.changed_at)
        unknown = [pod for pod in self.running.pods if pod.started_at is None]
        if unknown or (before and self.changed_by != ROTATED_BY):
            return None
        return before

    @property
    def rolled_back(self) -> bool:
        """Whether the key was last put in its place by a way back."""
        return self.changed_by == ROLLED_BACK_BY

    def next_commands(self, flags: str) -> tuple[str, ...]:
        """What to run next, in this order; nothing where nothing is to be done.

        The flags are those that named this key, as key_flags has them.
        """
        rotation, stale = self.state.rotation, self.started_before
        restart: tuple[str, ...] = ()
        if stale and isinstance(self.running, RunningPortworx):
            restart = self.running.restart_commands(stale)
        if rotation is None:
            return restart
        if restart:
            return (*restart, f"{_FINISH}{flags}")
        return (rotation.next_command(flags),)


def read_key_status(
    cluster: Cluster, search: Search, place: SecretKeyReference, stated_by: str
) -> KeyStatus:
    """How the shared secret in that place stands, and the pods that the search knows to take it.

    Raises SharedSecretError where it can't be used, and ClusterErrors.
    """
    running = Background(
        lambda: attempt(lambda: find_running(cluster, search.specs().specs, place.namespace))
    )
    secret = find_secret(cluster, place.namespace, place.name)
    state = read_key_state(place, secret)
    assert secret is not None  # noqa: S101 - it has a state
    changed, manager = changed_at(place, secret)
    return KeyStatus(state, stated_by, changed, manager, running.result())
