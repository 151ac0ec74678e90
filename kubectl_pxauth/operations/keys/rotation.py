"""What a rotation is asked for, each step that it takes, and how far it is."""

from datetime import datetime, timedelta
from enum import StrEnum

from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import SecretFailure, SecretKeyReference
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.identity import PartialIdentity

YOUNG = timedelta(hours=1)
"""For how long after a rotation another one is more likely a mistake than wanted."""


class Phase(StrEnum):
    """The halves of a rotation; Portworx can be restarted between them."""

    KEY = "key"
    TOKENS = "tokens"


@dataclass(frozen=True)
class RotationRequest:
    """What to rotate, and how much of it; a phase of None is both.

    rollback is to go back to the old shared secret, which can be done until the rotation is
    finished. compromised is to keep nothing of the old one, and to sign nothing again.
    ignore_owner is to change a Secret that another tool keeps, or that has a reference to a key.
    """

    shared_secret_from: SecretKeyReference | None
    portworx_namespace: str | None
    phase: Phase | None
    rollback: bool
    compromised: bool
    ignore_owner: bool
    dry_run: DryRun
    now: datetime


class Action(StrEnum):
    """What a run is to do first."""

    BEGIN = "begin"
    GO_ON = "go on"
    GO_BACK = "go back"
    REPLACE = "replace"


class KeyChange(StrEnum):
    """What became of the Secret with the key."""

    BEGUN = "begun"
    UNDER_WAY = "under way"
    TURNED_BACK = "turned back"
    GOING_BACK = "going back"
    FINISHED = "finished"
    REPLACED = "replaced"


@dataclass(frozen=True)
class KeyStep:
    """A change of the Secret with the key; other is the key of its data with the other one."""

    reference: SecretKeyReference
    change: KeyChange
    other: str = ""


@dataclass(frozen=True)
class TokenStep:
    """A Secret with a token that was signed again for that user, or was skipped for that reason.

    is_lost is whether a token that has not ended is skipped, and nobody else signs it again.
    kept_by is the tool that keeps the Secret, if one does, and keys are those of its data that
    hold what was signed.
    """

    namespace: str
    secret: str
    user: PartialIdentity
    skipped: str = ""
    is_lost: bool = False
    kept_by: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class Caution:
    """Something that a person should know before anything is changed."""

    message: str


Step = KeyStep | TokenStep | SecretFailure | Caution


class Stand(StrEnum):
    """How far a rotation is."""

    NOT_BEGUN = "not begun"
    LAID = "laid"
    FORWARD = "forward"
    BACKWARD = "backward"
    FINISHED = "finished"
    ROLLED_BACK = "rolled back"
    REPLACED = "replaced"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Standing:
    """How far a rotation is, and how many tokens of how many have the key that it goes to.

    lost is how many are left with the other key, and nobody signs them again. next_command is the
    one that goes on; None where nothing is to be done.
    """

    stand: Stand
    signed: int
    total: int
    next_command: str | None
    lost: int = 0
