"""Put a new shared secret in the place of the old one, and sign again what the old one signed.

While a rotation is under way its Secret has both: the new one under the key that Portworx reads,
the old one under that key with ".old" behind it. So what was interrupted can go on, and going back
is the same rotation with the two exchanged.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from threading import Event

from kubectl_pxauth.bulk import each
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun, until_no_conflict
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    SecretKeyReference,
    find_secret,
    list_secrets,
    update_secret,
)
from kubectl_pxauth.discovery import find_key
from kubectl_pxauth.errors import ClusterError, DiscoveryError, PxauthError, SharedSecretError
from kubectl_pxauth.keys import new_key
from kubectl_pxauth.token.jwt import sign_again
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Trust, judge

_AT_ONCE = 16
_DOTS = 2  # of a token
_OLD = ".old"
_GO_ON = "the same command goes on; one with --rollback goes back"


class Phase(StrEnum):
    """The halves of a rotation; Portworx can be restarted between them."""

    KEY = "key"
    TOKENS = "tokens"


@dataclass(frozen=True)
class RotationRequest:
    """What to rotate, and how much of it; a phase of None is both.

    back is to go back to the old shared secret, which can be done until the rotation is finished.
    """

    shared_secret_from: SecretKeyReference | None
    portworx_namespace: str | None
    phase: Phase | None
    back: bool
    dry_run: DryRun


class KeyChange(StrEnum):
    """What became of the Secret with the key."""

    BEGUN = "begun"
    UNDER_WAY = "under way"
    EXCHANGED = "exchanged"
    FINISHED = "finished"


@dataclass(frozen=True)
class KeyStep:
    """A change of the Secret with the key; old is the key of its data for the old one."""

    reference: SecretKeyReference
    old: str
    change: KeyChange


@dataclass(frozen=True)
class TokenStep:
    """A Secret whose token was signed again, or was skipped for that reason."""

    namespace: str
    secret: str
    skipped: str = ""


@dataclass(frozen=True)
class TokenFailure:
    """A Secret whose token could not be signed again."""

    namespace: str
    secret: str
    error: PxauthError


Step = KeyStep | TokenStep | TokenFailure


def rotate_key(request: RotationRequest, cluster: Cluster, stop: Event) -> Iterator[Step]:
    """Rotate the shared secret, or go on where that was interrupted; each step as it is done.

    Raises PxauthErrors, also at the end, where a step failed: what it says then is what state the
    rotation is in.
    """
    keys = _read(cluster, _find_reference(request, cluster))
    if keys.old is not None:
        yield from _go_on(request, cluster, keys, stop)
    elif request.back or request.phase is Phase.TOKENS:
        raise ClusterError(
            f"no rotation of {keys.reference} is under way: its Secret has no {keys.old_key}",
            hint="begin one: kubectl pxauth keys rotate --phase=key",
        )
    else:
        yield from _begin(request, cluster, keys, stop)


@dataclass(frozen=True)
class _Keys:
    """The Secret with the shared secret as it was read; old is None outside of a rotation."""

    reference: SecretKeyReference
    secret: Secret
    new: SharedSecret
    old: SharedSecret | None

    @property
    def old_key(self) -> str:
        return self.reference.key + _OLD

    def step(self, change: KeyChange) -> KeyStep:
        return KeyStep(self.reference, self.old_key, change)


def _find_reference(request: RotationRequest, cluster: Cluster) -> SecretKeyReference:
    if request.shared_secret_from:
        return request.shared_secret_from
    key = find_key(cluster, request.portworx_namespace)
    if key.reference is None:
        raise DiscoveryError(
            f"the shared secret of {key.where} is in no Secret; it can be changed there alone",
            hint="keep it in a Secret, and let Portworx take it from there by valueFrom",
        )
    return key.reference


def _read(cluster: Cluster, reference: SecretKeyReference) -> _Keys:
    where = f"Secret {reference.namespace}/{reference.name}"
    secret = find_secret(cluster, reference.namespace, reference.name)
    if secret is None or reference.key not in secret.data:
        raise SharedSecretError(
            f'{where} has no key "{reference.key}"' if secret else f"{where} not found",
            hint="make it: kubectl pxauth keys create",
        )
    if problem := secret.unwritable():
        raise ClusterError(str(problem))
    old = secret.data.get(reference.key + _OLD)
    return _Keys(
        reference,
        secret,
        SharedSecret(secret.data[reference.key], where),
        None if old is None else SharedSecret(old, where),
    )


def _begin(request: RotationRequest, cluster: Cluster, found: _Keys, stop: Event) -> Iterator[Step]:
    """Begin, if a try that changes nothing succeeds; what fails after that takes all of it back."""
    new = SharedSecret(new_key(), found.secret.where)
    keys = replace(found, new=new, old=found.new)
    for_real = request.dry_run is DryRun.NONE
    failures = 0
    for step in _sign_tokens(cluster, keys, stop, DryRun.SERVER if for_real else request.dry_run):
        failures += isinstance(step, TokenFailure)
        if not for_real or isinstance(step, TokenFailure):
            yield step
    if failures:
        raise ClusterError(f"nothing is changed, as {_secrets(failures)} could not be signed again")
    if stop.is_set():
        return
    keys = _write_keys(cluster, keys, found, request.dry_run)
    yield keys.step(KeyChange.BEGUN)
    if request.phase is Phase.KEY or not for_real:
        return
    failures = yield from _finish(cluster, keys, stop)
    if failures:
        yield from _go_back(cluster, keys, failures)


def _go_on(request: RotationRequest, cluster: Cluster, keys: _Keys, stop: Event) -> Iterator[Step]:
    if request.back:
        keys = _exchange(cluster, keys, request.dry_run)
        yield keys.step(KeyChange.EXCHANGED)
    else:
        yield keys.step(KeyChange.UNDER_WAY)
    if request.phase is Phase.KEY:
        return
    if failures := (yield from _finish(cluster, keys, stop, request.dry_run)):
        raise ClusterError(
            f"the rotation is not finished, as {_secrets(failures)} could not be signed again",
            hint=_GO_ON,
        )


def _go_back(cluster: Cluster, keys: _Keys, failures: int) -> Iterator[Step]:
    """Take the rotation back; it always raises, as the rotation has failed."""
    keys = _exchange(cluster, keys)
    yield keys.step(KeyChange.EXCHANGED)
    # Who interrupts the way back is left between two keys: it goes on to its end.
    left = yield from _finish(cluster, keys, Event())
    why = f"as {_secrets(failures)} could not be signed again"
    if left:
        raise ClusterError(
            f"the old shared secret is back, {why}, but {_secrets(left)} is of the new one",
            hint="finish the way back: kubectl pxauth keys rotate",
        )
    raise ClusterError(f"all is as before, {why}")


def _secrets(count: int) -> str:
    return "the token of 1 Secret" if count == 1 else f"a token in each of {count} Secrets"


def _finish(
    cluster: Cluster, keys: _Keys, stop: Event, dry_run: DryRun = DryRun.NONE
) -> Generator[Step, None, int]:
    """Sign all tokens again, and forget the old key; returns how many failed, if any."""
    failures = 0
    try:
        for step in _sign_tokens(cluster, keys, stop, dry_run):
            failures += isinstance(step, TokenFailure)
            yield step
        if not failures and not stop.is_set():
            _write_keys(cluster, replace(keys, old=None), keys, dry_run)
            yield keys.step(KeyChange.FINISHED)
    except ClusterError as error:
        raise ClusterError(f"the rotation is not finished: {error}", hint=_GO_ON) from None
    return failures


def _exchange(cluster: Cluster, keys: _Keys, dry_run: DryRun = DryRun.NONE) -> _Keys:
    assert keys.old is not None  # noqa: S101 - a rotation is under way
    return _write_keys(cluster, replace(keys, new=keys.old, old=keys.new), keys, dry_run)


def _write_keys(cluster: Cluster, wanted: _Keys, found: _Keys, dry_run: DryRun) -> _Keys:
    """Write both keys over what was found; raises ClusterError where they are others by now."""
    old = None if wanted.old is None else wanted.old.value
    data = {wanted.reference.key: wanted.new.value, wanted.old_key: old}

    def write(secret: Secret | None) -> Secret:
        there = {key: secret.data.get(key) for key in data} if secret else {}
        if secret and there == data:
            return secret
        if secret is None or there != {key: found.secret.data.get(key) for key in data}:
            raise ClusterError(
                f"{found.secret.where} was changed by somebody else meanwhile",
                hint="see what it holds now, and run the command again",
            )
        content = SecretContent(data, {}, {})
        return update_secret(cluster, secret, content, dry_run=dry_run is DryRun.SERVER)

    if dry_run is DryRun.CLIENT:
        return wanted
    place = (found.secret.namespace, found.secret.name)
    written = until_no_conflict(found.secret, write, read=lambda: find_secret(cluster, *place))
    return replace(wanted, secret=written)


def _sign_tokens(
    cluster: Cluster, keys: _Keys, stop: Event, dry_run: DryRun
) -> Iterator[TokenStep | TokenFailure]:
    """Sign again, in every Secret, what the old key signed, whatever it is called."""

    def sign(secret: Secret | None) -> TokenStep | None:
        return None if secret is None else _sign_one(cluster, keys, secret, dry_run)

    def work(secret: Secret) -> TokenStep | TokenFailure | None:
        place = (secret.namespace, secret.name)
        try:
            return until_no_conflict(secret, sign, read=lambda: find_secret(cluster, *place))
        except PxauthError as error:
            return TokenFailure(*place, error)

    steps = each(work, list_secrets(cluster, None), _AT_ONCE, stop)
    return (step for step in steps if step)


def _sign_one(cluster: Cluster, keys: _Keys, secret: Secret, dry_run: DryRun) -> TokenStep | None:
    tokens = dict(_tokens_of_the_old_key(keys, secret))
    if not tokens:
        return None
    if storage_cluster := secret.operator():
        reason = f"the Portworx operator signs it again (StorageCluster {storage_cluster})"
        return TokenStep(secret.namespace, secret.name, reason)
    if problem := secret.unwritable():
        raise problem
    if dry_run is not DryRun.CLIENT:
        data = {key: sign_again(token, keys.new).encode() for key, token in tokens.items()}
        content = SecretContent(data, {}, {})
        update_secret(cluster, secret, content, dry_run=dry_run is DryRun.SERVER)
    return TokenStep(secret.namespace, secret.name)


def _tokens_of_the_old_key(keys: _Keys, secret: Secret) -> Iterator[tuple[str, bytes]]:
    assert keys.old is not None  # noqa: S101 - a rotation is under way
    trust = Trust(issuer=None, shared_secret=keys.old.value)
    for key, value in secret.data.items():
        token = value.strip()
        if token.count(b".") == _DOTS and judge(token, trust, datetime.now(UTC)).signed:
            yield key, token
