"""Whether a token may be signed again for the Secret that holds it.

Who may write a Secret can put any token there that they ever held: another user's, an
administrator's, one that ended long ago. To sign that again would make it live. So where nobody
names the Secret, which is to say that its token is known to be meant to be there:
- a token stays with the Secret that it was issued for: its private claim names that, or else its
  user does, where it is the Secret's default user;
- a token that says nothing of a Secret, like pxctl's, is signed again where no other Secret holds
  one of the same user, and names its Secret from then on. Where two tenants hold one, none is: what
  could tell the owner from the thief, like the Secrets' ages, changes with every restore. Somebody
  names the right one, once. Where Portworx runs nobody's copy elsewhere counts, nor does a copy
  that a tool makes count for its original;
- one that ended longer ago than a grace stays ended;
- one of a storage administrator is signed again only in kube-system, where Portworx runs, and in
  the namespace portworx if it was issued for that Secret: elsewhere that namespace is a tenant's;
- one with the group *, and with more than the role system.view, is signed again there as well, and
  else only in the Secret that it was issued for.
All this is about tokens that the cluster's key signed: what another key signed may say anything.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Lock

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import Secret, list_secrets
from kubectl_pxauth.errors import ForbiddenError, LeftOutError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.owners import original_of
from kubectl_pxauth.portworx.settings import USUAL_NAMESPACES
from kubectl_pxauth.text import command_line, printable, shown
from kubectl_pxauth.token.claims import SECRET_CLAIM
from kubectl_pxauth.token.duration import format_duration
from kubectl_pxauth.token.identity import OWNER_CLAIMS, default_secret
from kubectl_pxauth.token.roles import ADMIN, EVERY_GROUP, VIEW
from kubectl_pxauth.token.verdict import Trust, Verdict, judge

GRACE = timedelta(days=7)
"""How long ago a token may have ended, to be signed again unasked, where no flag says otherwise."""

_KNOWN = 2  # Secrets of one user, and of one kind, that are kept in mind: one next to any
_DOTS = 2  # of a token
_LONGEST_NAME = 320  # of a Secret with its namespace


def issued_for(verdict: Verdict) -> str | None:
    """The Secret that a token was issued for, as NAMESPACE/NAME; None where it does not say.

    To be believed only of a token that the cluster's key signed.
    """
    claim = verdict.claims.get(SECRET_CLAIM)
    if claim is not None:
        return claim if isinstance(claim, str) else ""
    return default_secret(verdict.user, verdict.issuer)


def issued_elsewhere(verdict: Verdict, secret: Secret) -> str | None:
    """The other Secret that a token was issued for, in words; None where it may be this one."""
    other = issued_for(verdict)
    if other is None or other == f"{secret.namespace}/{secret.name}":
        return None
    return f"Secret {printable(other, _LONGEST_NAME)}" if other else "no Secret that can be told"


def why_left_out(
    verdict: Verdict,
    secret: Secret,
    now: datetime,
    *,
    grace: timedelta,
    trusted_namespaces: Iterable[str],
    other_holder: Callable[[str, Secret], str | None],
) -> str | None:
    """Why this token of the cluster's key is not signed again unasked; None where it may be.

    secret is where it was found; for the rest see why_user_left_out and why_rights_left_out.
    """
    return why_user_left_out(
        verdict, secret, now, grace=grace, other_holder=other_holder
    ) or why_rights_left_out(
        verdict.user.roles, verdict.user.groups, verdict, secret, trusted_namespaces
    )


def why_user_left_out(
    verdict: Verdict,
    secret: Secret,
    now: datetime,
    *,
    grace: timedelta,
    other_holder: Callable[[str, Secret], str | None],
) -> str | None:
    """Why the token's user is given no new token in that Secret unasked; None if it may be.

    grace is how long ago the token may have ended. other_holder is asked, for tokens that say
    nothing of a Secret, where else a token of that sub is.
    """
    if other := issued_elsewhere(verdict, secret):
        return f"its token was issued for {other}"
    if verdict.expires_at and now - verdict.expires_at > grace:
        ended = f"{verdict.expires_at:%Y-%m-%d}"
        return f"its token ended on {ended}, longer ago than {format_duration(grace)}"
    sub = verdict.user.sub
    if sub and issued_for(verdict) is None and (holder := other_holder(sub, secret)):
        return (
            f"Secret {holder} holds a token of the same user {shown(sub)}, and nothing"
            " says which of them it was issued for"
        )
    return None


def why_rights_left_out(
    roles: Iterable[str] | None,
    groups: Iterable[str] | None,
    verdict: Verdict,
    secret: Secret,
    trusted_namespaces: Iterable[str],
) -> str | None:
    """Why a token with these is not signed again in that Secret unasked; None if it may be.

    trusted_namespaces are where Portworx runs, and verdict is that on the token that is there. What
    a custom role lets its user do is the cluster's business: it may be. The group * makes its user
    an administrator of every volume: api/ownership.go of libopenstorage/openstorage.
    """
    if is_trusted(secret.namespace, trusted_namespaces):
        return None
    is_own = issued_for(verdict) == f"{secret.namespace}/{secret.name}"
    elsewhere = "and is not in a namespace of Portworx"
    may = {*(roles or ())}
    if ADMIN in may and not (is_own and secret.namespace in USUAL_NAMESPACES):
        return f"its token has the role {ADMIN}, {elsewhere}"
    if EVERY_GROUP in (groups or ()) and may - {VIEW} and not is_own:
        return f'its token has the group "{EVERY_GROUP}", {elsewhere}'
    return None


def is_trusted(namespace: str, trusted_namespaces: Iterable[str]) -> bool:
    """Whether no tenant writes there: in kube-system, and where Portworx or its key is."""
    return namespace in {USUAL_NAMESPACES[0], *trusted_namespaces}


def left_out(secret: Secret, reason: str, on_purpose: str) -> LeftOutError:
    """The error for a Secret whose token is left as it is, with the command that signs it."""
    return LeftOutError(
        f"{secret.display_name} is left out: {reason}",
        hint=f"if the token is meant to be there: {on_purpose}",
    )


def renew_on_purpose(secret: Secret, verdict: Verdict, *, not_due: bool = False) -> str:
    """The command that signs the token in that Secret again all the same.

    not_due is whether it is to be signed though it is good for long, which `renew` leaves alone.
    """
    doubtful = not verdict.signed or issued_elsewhere(verdict, secret)
    command = ["kubectl", "pxauth", "renew", secret.name, "-n", secret.namespace]
    command += ["--resign"] if doubtful else []
    return command_line(*command, *(["--all"] if not_due and verdict.accepted else []))


def issue_anew(namespace: str, name: str) -> str:
    """The command that issues a token into that Secret, for users of volumes."""
    return command_line(
        "kubectl", "pxauth", "issue", "kubernetes", "--secret", name, "-n", namespace
    )


def unnamed_claims(verdict: Verdict) -> list[str]:
    """The claims that say whose a token is, and are not in it: such a token is not signed again."""
    return [claim for claim in OWNER_CLAIMS if getattr(verdict.user, claim) is None]


@dataclass(frozen=True)
class _Holder:
    """A Secret with a token of some user, as NAMESPACE/NAME, and what a tool copies it from."""

    name: str
    is_trusted: bool
    original: str | None


class KnownHolders:
    """Which of the Secrets that were added hold a token of a user."""

    def __init__(self, trusted_namespaces: Iterable[str]) -> None:
        """trusted_namespaces are where Portworx runs."""
        self._trusted_namespaces = tuple(trusted_namespaces)
        self._holders: dict[str, list[_Holder]] = {}

    def add(self, sub: str, secret: Secret) -> None:
        """Note that the Secret holds a token of this user, which the cluster's key signed."""
        known = self._holders.setdefault(sub, [])
        new = _Holder(
            f"{secret.namespace}/{secret.name}",
            is_trusted(secret.namespace, self._trusted_namespaces),
            original_of(secret),
        )
        alike = [one for one in known if replace(one, name=new.name) == new]
        if new not in known and len(alike) < _KNOWN:
            known.append(new)

    def other(self, sub: str, namespace: str, name: str) -> str | None:
        """Another Secret than this one that holds a token of that user, as NAMESPACE/NAME.

        A tool's copy of this Secret is none; nor is, for one where Portworx runs, a Secret that is
        elsewhere.
        """
        this, trusted = f"{namespace}/{name}", is_trusted(namespace, self._trusted_namespaces)
        return next(
            (
                holder.name
                for holder in self._holders.get(sub, ())
                if this not in (holder.name, holder.original) and (holder.is_trusted or not trusted)
            ),
            None,
        )


class Holders:
    """Which Secrets hold a token of a user; they are read once, when that is first asked."""

    def __init__(
        self,
        cluster: Cluster,
        trusts: Iterable[Trust],
        namespace: str | None,
        now: datetime,
        trusted_namespaces: Iterable[str] = (),
    ) -> None:
        """Only tokens count that a key of one of these signed, under whatever key of the data.

        Where the Secrets of all namespaces can't be listed, it is those of this one, if any, or
        else none. trusted_namespaces are where Portworx runs.
        """
        self._cluster = cluster
        self._trusts = tuple(trusts)
        self._namespaces = dict.fromkeys([None, namespace])
        self._now = now
        self._trusted_namespaces = tuple(trusted_namespaces)
        self._lock = Lock()
        self._known: KnownHolders | None = None

    def other(self, sub: str, secret: Secret) -> str | None:
        """Another Secret that holds a token of this user, as KnownHolders has it.

        Raises ClusterErrors.
        """
        with self._lock:
            if self._known is None:
                self._known = self._read()
        return self._known.other(sub, secret.namespace, secret.name)

    def _read(self) -> KnownHolders:
        for namespace in self._namespaces:
            with suppress(ForbiddenError):
                return self._listed(namespace)
        return KnownHolders(self._trusted_namespaces)

    def _listed(self, namespace: str | None) -> KnownHolders:
        known = KnownHolders(self._trusted_namespaces)
        for secret in list_secrets(self._cluster, namespace):
            subs = {self._user_of(value.strip()) for value in secret.data.values()}
            for sub in filter(None, subs):
                known.add(sub, secret)
        return known

    def _user_of(self, token: bytes) -> str | None:
        if token.count(b".") != _DOTS:
            return None
        verdicts = (judge(token, trust, self._now) for trust in self._trusts)
        return next((verdict.user.sub for verdict in verdicts if verdict.signed), None)
