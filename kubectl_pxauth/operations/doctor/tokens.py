"""Whether Portworx takes the tokens in Secrets, and for how long."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import attrgetter

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import find_secret
from kubectl_pxauth.errors import ClusterError, NoKeyError, SharedSecretError
from kubectl_pxauth.operations.doctor.diagnosis import (
    Diagnosis,
    few,
    from_error,
    limited,
    ok,
    problem,
    warning,
)
from kubectl_pxauth.portworx.owners import keeper_of, storage_cluster_of
from kubectl_pxauth.portworx.resigning import (
    GRACE,
    KnownHolders,
    issue_anew,
    issued_for,
    renew_on_purpose,
    unnamed_claims,
    why_left_out,
)
from kubectl_pxauth.portworx.settings import OPERATORS_TOKENS
from kubectl_pxauth.portworx.signing import TrustedKeys, made_elsewhere
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.portworx.token_secrets import (
    UNSIGNED,
    Scope,
    Status,
    StoredToken,
    read_tokens,
    stored,
    unusable,
)
from kubectl_pxauth.text import shown
from kubectl_pxauth.token.identity import placeholders
from kubectl_pxauth.token.verdict import NO_KEY, Severity

_ALL = "kubectl pxauth list -A"
_IN_DAYS = timedelta(days=2)
_OWN_USER = (
    "give one of them a user of its own: kubectl pxauth issue kubernetes --secret NAME -n NAMESPACE"
    " --change-identity (its volumes so far stay the old user's)"
)
_FINE = (Status.VALID, Status.EXPIRING)

Place = tuple[str, str]
"""A Secret's namespace and name."""
NOTHING: Place = ("", "")
"""Where no Secret is named."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A token in a Secret; padded is whether white space is around it.

    storage_cluster is the StorageCluster whose operator keeps the Secret, if one does. renewal is
    the command that signs it again, or issues another one where none does. doubtful is whether no
    job signs it again, as it may be there for somebody who has no right to it. copied_by is the
    tool that copies the Secret from another one, if one does.
    """

    token: StoredToken
    storage_cluster: str | None
    padded: bool
    renewal: str
    doubtful: bool
    copied_by: str | None

    @property
    def display_name(self) -> str:
        """What findings call it."""
        return f"Secret {self.token.namespace}/{self.token.secret}"

    @property
    def is_others(self) -> bool:
        """Whether no job renews it: somebody else makes it, or it is no token of Portworx'."""
        foreign = self.token.status is Status.FOREIGN
        kept = self.storage_cluster or self.copied_by
        return foreign or bool(kept or made_elsewhere(self.token.issuer))

    def trouble(self, message: str) -> Diagnosis:
        """That Portworx would refuse it, or will once the rotation's new key is in use."""
        of_rotation = self.token.status is Status.OTHER_KEY
        return (warning if of_rotation else problem)("tokens", message, self.remedy)

    @property
    def remedy(self) -> str:
        """How it gets a new token."""
        if self.storage_cluster:
            return (
                f"the Portworx operator keeps it (StorageCluster {self.storage_cluster}): see its"
                " log"
            )
        if maker := made_elsewhere(self.token.issuer):
            return f"{maker}: see its log"
        if any(NO_KEY in problem for problem in self.token.problems):
            return "name its public key: --rsa-public-keyfile or --ecdsa-public-keyfile"
        if self.token.status is Status.OTHER_KEY:
            return "the rotation signs it again; the next command: kubectl pxauth keys status"
        if self.token.status is Status.BAD_SIGNATURE:
            return f"if you know that it is genuine: {self.renewal}"
        return f"if it is meant to be there: {self.renewal}" if self.doubtful else self.renewal


@dataclass(frozen=True)
class KeptTokens:
    """The tokens by their Secret; refusal says why not all were read, if so."""

    found: dict[Place, Kept]
    refusal: ClusterError | None


def read_kept_tokens(
    cluster: Cluster, trusted: TrustedKeys, usual: list[str], now: datetime, within: timedelta
) -> KeptTokens:
    """The tokens of all namespaces, or where they can't be read of the usual ones."""
    refused = None
    found: dict[Place, Kept] = {}
    where = trusted.key.reference if trusted.key else None
    trusted_namespaces = [where.namespace] if where else []
    holders = KnownHolders(trusted_namespaces)
    unbound: dict[Place, str] = {}  # tokens that name no Secret, and their users
    for namespace in (None, *usual):
        try:
            for secret, verdict in read_tokens(cluster, Scope(namespace), trusted, now):
                data = secret.data[AUTH_TOKEN]
                padded = data != data.strip()
                # renew refuses one of the cluster's that does not say whose it is.
                renewal = (
                    issue_anew(secret.namespace, secret.name)
                    if verdict.signed and unnamed_claims(verdict)
                    else renew_on_purpose(secret, verdict, not_due=padded)
                )
                token = stored(secret, verdict, trusted, now, within)
                keeper = keeper_of(secret)
                doubtful = verdict.signed and why_left_out(
                    verdict,
                    secret,
                    now,
                    grace=GRACE,
                    trusted_namespaces=trusted_namespaces,
                    other_holder=lambda *_: None,  # not known before all are read
                )
                if verdict.signed and (sub := verdict.user.sub):
                    holders.add(sub, secret)
                    if issued_for(verdict) is None:
                        unbound[secret.namespace, secret.name] = sub
                found[secret.namespace, secret.name] = Kept(
                    token,
                    storage_cluster_of(secret),
                    padded=padded,
                    renewal=renewal,
                    doubtful=bool(doubtful),
                    copied_by=keeper.name if keeper and keeper.is_copy else None,
                )
        except ClusterError as error:
            refused = refused or error
            continue
        if namespace is None:
            break
    for place, sub in unbound.items():
        if holders.other(sub, *place) and not found[place].copied_by:
            found[place] = replace(found[place], doubtful=True)
    return KeptTokens(found, refused)


def trouble_with(
    place: Place,
    cluster: Cluster,
    kept: KeptTokens,
    trusted: TrustedKeys,
    now: datetime,
    *,
    without_token: Severity,
) -> Diagnosis | None:
    """What is wrong with a Secret that should hold a token, for checks of what names it.

    without_token is what it is to hold none: it may be there for encryption alone, which is well
    where Portworx wants no tokens.
    """
    if one := kept.found.get(place):
        problems = "; ".join(one.token.problems)
        says = f"{one.display_name} holds no valid token: {problems}"
        return one.trouble(says) if problems else None
    namespace, name = place
    issue = once_there_is_a_key(trusted, issue_anew(namespace, name))
    try:
        secret = find_secret(cluster, namespace, name)
    except ClusterError as error:
        return from_error("tokens", error)
    if secret is None:
        return problem("tokens", f"Secret {namespace}/{name} does not exist", issue)
    severity = Severity.PROBLEM if AUTH_TOKEN in secret.data else without_token
    wrong = unusable(secret, trusted, now)
    if wrong is None or severity is Severity.OK:
        return None
    return Diagnosis(severity, "tokens", f"{secret.display_name} {wrong}", issue)


def once_there_is_a_key(trusted: TrustedKeys, command: str) -> str:
    """A command that signs, with a word on the key where it would find none."""
    is_missing = isinstance(trusted.no_key, (NoKeyError, SharedSecretError))
    return f"once there is a key: {command}" if is_missing else command


def missing(place: Place, cluster: Cluster, *, to_be_off: bool = False) -> Diagnosis | None:
    """Whether a Secret that is named is not there, which is bad whatever it should hold.

    The CSI provisioner reads it for each volume, whether or not Portworx asks for a token.
    to_be_off is whether security is to be switched off: the operator deletes its tokens then.
    Source: libopenstorage/operator, drivers/storage/portworx/component/auth.go (Delete).
    """
    namespace, name = place
    try:
        secret = find_secret(cluster, namespace, name)
    except ClusterError as error:
        return from_error("tokens", error)
    if secret and to_be_off and name in OPERATORS_TOKENS and storage_cluster_of(secret):
        return problem(
            "tokens",
            f"the operator deletes {secret.display_name} when security is switched off",
            "make one of that name afterwards: it is read for each volume, whatever it holds",
        )
    if secret:
        return None
    return problem(
        "tokens",
        f"Secret {namespace}/{name} does not exist",
        "it is read for each volume, though Portworx asks for no token: create it, or create the"
        " class again without it",
    )


def check_tokens(kept: KeptTokens, trusted: TrustedKeys, now: datetime) -> Iterator[Diagnosis]:
    """The tokens that Portworx refuses or soon will, and how many are well."""
    if kept.refusal:
        yield replace(
            from_error("tokens", kept.refusal), message=f"not all are checked: {kept.refusal}"
        )
    foreign = [
        warning("tokens", f"{one.display_name} holds no token of Portworx': {_why_foreign(one)}")
        for one in kept.found.values()
        if one.token.status is Status.FOREIGN
    ]
    yield from limited(foreign, _ALL)
    tokens = [one for one in kept.found.values() if one.token.status is not Status.FOREIGN]
    bad = [one for one in tokens if one.token.status not in _FINE]
    fine = [one for one in tokens if one.token.status in _FINE]
    refused = [one.trouble(f"{one.display_name}: {'; '.join(one.token.problems)}") for one in bad]
    yield from limited(refused, _ALL)
    ending = [
        warning("tokens", f"{one.display_name}: ends {_moment(one, now)}", one.remedy)
        for one in fine
        # The operator's live for a day, and are renewed in their last minute.
        if one.token.status is Status.EXPIRING and not one.storage_cluster
    ]
    yield from limited(ending, _ALL)
    blank = [
        warning(
            "tokens",
            f"{one.display_name}: an unfilled placeholder: {', '.join(blanks)}",
            "set roles and groups again with --role and --group; volumes belong to the sub",
        )
        for one in fine
        if (blanks := placeholders(one.token.user))
    ]
    yield from limited(blank, _ALL)
    padded = [
        warning(
            "tokens",
            f"{one.display_name}: white space around it, which gRPC may refuse",
            one.remedy,
        )
        for one in tokens
        if one.padded
    ]
    yield from limited(padded, _ALL)
    if fine:
        yield _well(fine, trusted, now)
    elif bad or kept.refusal or foreign:
        return
    elif trusted.provider and trusted.no_key:
        yield ok("tokens", "no Secret holds one; the OpenID Connect provider makes them")
    else:
        command = once_there_is_a_key(trusted, "kubectl pxauth issue kubernetes -n NAMESPACE")
        yield warning("tokens", "no Secret holds a token", command)


def _why_foreign(one: Kept) -> str:
    return f"its issuer is {shown(one.token.issuer)}, and another key signed it"


def _well(fine: list[Kept], trusted: TrustedKeys, now: datetime) -> Diagnosis:
    says = f"{len(fine)} valid"
    if ends := [one for one in fine if one.token.expires_at and not one.storage_cluster]:
        soonest = min(ends, key=attrgetter("token.expires_at"))
        says += f"; the first to end is {soonest.display_name}, {_moment(soonest, now)}"
    if trusted.is_providers_alone:
        return ok("tokens", f"{says}; the OpenID Connect provider verifies their signatures")
    if trusted.no_key:
        return warning("tokens", f"{says}; but their signatures could not be checked")
    return ok("tokens", says)


def check_subjects(kept: KeptTokens, claim: str) -> Iterator[Diagnosis]:
    """Whether each token is another user's, by the claim that Portworx takes for the user."""
    holders: dict[str, list[Kept]] = {}
    for one in kept.found.values():
        # Whoever has no key could claim to be anybody.
        if one.token.status not in UNSIGNED and (user := getattr(one.token.user, claim)):
            holders.setdefault(user, []).append(one)
    shared = [(user, found) for user, found in holders.items() if len(found) > 1]
    copies, others = [], []
    for user, found in shared:
        says = _shared(claim, user, found)
        if on_purpose := _copied(found):
            # To give one of them another user would cost it its volumes.
            copies.append(warning("subjects", f"{says}: copies {on_purpose}"))
        else:
            others.append(problem("subjects", says, _OWN_USER))
    yield from limited(copies, _ALL)
    yield from limited(others, _ALL)
    if holders and not shared:
        yield ok("subjects", f"each token has its own {claim}")


def _shared(claim: str, user: str, found: list[Kept]) -> str:
    secrets = few([one.display_name for one in found])
    return f"one user for all volumes, {claim} {shown(user)}: {secrets}"


def _copied(found: list[Kept]) -> str | None:
    """Whose copies these are, if they are meant to be: of one token, and in as many namespaces.

    The Portworx docs tell users to copy the operator's token into their namespaces.
    """
    if any(map(_is_operators, found)):
        return "of the operator's token"
    tools = sorted({one.copied_by for one in found if one.copied_by})
    originals = sum(one.copied_by is None for one in found)
    return f"that {few(tools)} made" if tools and originals <= 1 else None


def _is_operators(one: Kept) -> bool:
    """Whether the token is one that the operator makes, wherever it is, or keeps.

    Source: drivers/storage/portworx/component/auth.go of libopenstorage/operator.
    """
    user = one.token.user
    address = f"{user.name}@{one.token.issuer}"
    if one.storage_cluster:
        return True
    return user.name in OPERATORS_TOKENS and user.sub == user.email == address


def _moment(one: Kept, now: datetime) -> str:
    end = one.token.expires_at
    assert end  # noqa: S101 - only for those that end
    left = end - now
    span = f"{left.days} days" if left >= _IN_DAYS else f"{left // timedelta(hours=1)} hours"
    return f"{end:%Y-%m-%d %H:%M} UTC, in {span}"
