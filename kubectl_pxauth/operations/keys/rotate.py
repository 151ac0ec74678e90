"""Put a new shared secret in the place of the old one, and sign again what the old one signed.

While that is under way the Secret has both, and an annotation that says so: the new one under the
key that Portworx reads, and the old one under that key with ".old" behind it. On the way back the
old one is where Portworx reads it again, and the new one has ".new" behind it. So what was
interrupted goes on in the direction that it had.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from threading import Event

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import (
    Secret,
    SecretContent,
    SecretFailure,
    SecretKeyReference,
    find_secret,
    list_secrets,
    update_secret,
    write_secret,
)
from kubectl_pxauth.errors import (
    ClusterError,
    DiscoveryError,
    PxauthError,
    SharedSecretError,
    UsageError,
)
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.key_secret import ROTATION, new_key
from kubectl_pxauth.portworx.owners import storage_cluster_of, why_unwritable
from kubectl_pxauth.token.identity import PartialIdentity
from kubectl_pxauth.token.jwt import sign_again
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Trust, judge

_AT_ONCE = 16
_DOTS = 2  # of a token
_OLD, _NEW = ".old", ".new"


class Phase(StrEnum):
    """The halves of a rotation; Portworx can be restarted between them."""

    KEY = "key"
    TOKENS = "tokens"


@dataclass(frozen=True)
class RotationRequest:
    """What to rotate, and how much of it; a phase of None is both.

    back is to go back to the old shared secret, which can be done until the rotation is finished.
    compromised is to keep nothing of the old one, and to sign nothing again.
    """

    shared_secret_from: SecretKeyReference | None
    portworx_namespace: str | None
    phase: Phase | None
    back: bool
    compromised: bool
    dry_run: DryRun


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
    """A Secret with a token that was signed again for that user, or was skipped for that reason."""

    namespace: str
    secret: str
    user: PartialIdentity
    skipped: str = ""


Step = KeyStep | TokenStep | SecretFailure


def rotate_key(request: RotationRequest, cluster: Cluster, stop: Event) -> Iterator[Step]:
    """Rotate the shared secret, or go on where that was interrupted; each step as it is done.

    Raises PxauthErrors, also at the end, where a step failed: what it says then is what state the
    rotation is in.
    """
    keys = _read(cluster, _find_reference(request, cluster))
    if request.compromised:
        return _replace(request, cluster, keys)
    if keys.going_back and not request.back:
        raise ClusterError(
            f"a rotation of {keys.reference} is on its way back",
            hint="finish that: kubectl pxauth keys rotate --rollback",
        )
    if keys.other is None and (request.back or request.phase is Phase.TOKENS):
        raise ClusterError(
            f"no rotation of {keys.reference} is under way",
            hint="begin one: kubectl pxauth keys rotate --phase=key",
        )
    if keys.other is None:
        return _turn(request, cluster, keys, keys.with_new(), stop)
    if request.back and not keys.going_back:
        return _turn(request, cluster, keys, keys.back(), stop)
    return _go_on(request, cluster, keys, stop)


@dataclass(frozen=True)
class _Keys:
    """The Secret with the shared secret as it was read, or as it is wanted.

    other is the one that goes, under its own key; None for both outside of a rotation.
    """

    reference: SecretKeyReference
    secret: Secret
    current: SharedSecret
    other: SharedSecret | None = None
    other_key: str | None = None

    @property
    def going_back(self) -> bool:
        return self.other_key == self.reference.key + _NEW

    @property
    def others(self) -> tuple[str, str]:
        """The keys that a rotation may put beside the shared secret."""
        return self.reference.key + _OLD, self.reference.key + _NEW

    def with_new(self) -> "_Keys":
        new = SharedSecret(new_key(), self.current.source)
        return replace(self, current=new, other=self.current, other_key=self.others[0])

    def back(self) -> "_Keys":
        assert self.other is not None  # noqa: S101 - a rotation is under way
        return replace(self, current=self.other, other=self.current, other_key=self.others[1])

    def alone(self) -> "_Keys":
        return replace(self, other=None, other_key=None)

    def content(self) -> SecretContent:
        data: dict[str, bytes | None] = dict.fromkeys(self.others)
        data[self.reference.key] = self.current.value
        if self.other and self.other_key:
            data[self.other_key] = self.other.value
        return SecretContent(data, {}, {ROTATION: self.other_key})

    def step(self, change: KeyChange) -> KeyStep:
        return KeyStep(self.reference, change, self.other_key or "")


def _find_reference(request: RotationRequest, cluster: Cluster) -> SecretKeyReference:
    if request.shared_secret_from:
        return request.shared_secret_from
    key = Search(cluster, request.portworx_namespace).key()
    if key.reference is None:
        raise DiscoveryError(
            f"the shared secret of {key.stated_by} is in no Secret; it can be changed there alone",
            hint="keep it in a Secret, and let Portworx take it from there by valueFrom",
        )
    if key.copies:
        places = ", ".join(map(str, (key.reference, *key.copies)))
        raise DiscoveryError(
            f"the shared secret is in more than one place: {places}",
            hint="name the one that Portworx takes with --shared-secret-from, and delete the others"
            " when that is done",
        )
    return key.reference


def _read(cluster: Cluster, reference: SecretKeyReference) -> _Keys:
    where = f"Secret {reference.namespace}/{reference.name}"
    secret = find_secret(cluster, reference.namespace, reference.name)
    if secret is None:
        raise SharedSecretError(f"{where} not found")
    if reference.key not in secret.data:
        names = ", ".join(sorted(secret.data)) or "none"
        raise SharedSecretError(f'{where} has no key "{reference.key}"; its keys: {names}')
    if problem := why_unwritable(secret):
        raise ClusterError(str(problem))
    keys = _Keys(reference, secret, _shared_secret(secret, reference.key))
    noted = secret.annotations.get(ROTATION, "")
    if noted in secret.data and noted not in keys.others:
        raise ClusterError(f'{where}: a rotation of another of its keys is under way ("{noted}")')
    if stray := [key for key in keys.others if key in secret.data and key != noted]:
        raise ClusterError(
            f'{where} has a key "{stray[0]}" that no rotation has put there',
            hint="rename it, as that is where a rotation keeps the other shared secret",
        )
    if noted not in secret.data:
        return keys
    return replace(keys, other=_shared_secret(secret, noted), other_key=noted)


def _shared_secret(secret: Secret, key: str) -> SharedSecret:
    return SharedSecret(secret.data[key], f'{secret.display_name} key "{key}"')


def _replace(request: RotationRequest, cluster: Cluster, keys: _Keys) -> Iterator[Step]:
    """Forget the old key, and make a new one if that is not done yet."""
    wanted = keys if keys.other and not keys.going_back else keys.with_new()
    wanted = _write(cluster, wanted.alone(), keys, request.dry_run)
    yield wanted.step(KeyChange.REPLACED)


def _turn(
    request: RotationRequest, cluster: Cluster, found: _Keys, wanted: _Keys, stop: Event
) -> Iterator[Step]:
    """Change the key and then the tokens, if a try that changes nothing succeeds."""
    yield from _try(request, cluster, wanted, stop)
    if stop.is_set():
        return
    keys = _write(cluster, wanted, found, request.dry_run)
    yield keys.step(KeyChange.TURNED_BACK if request.back else KeyChange.BEGUN)
    if request.phase is Phase.KEY:
        return
    failures = yield from _finish(cluster, keys, stop, request.dry_run)
    if failures and request.dry_run is DryRun.NONE and not request.back:
        yield from _take_back(cluster, keys, failures)
    elif failures:
        raise _not_finished(keys, failures)


def _try(request: RotationRequest, cluster: Cluster, keys: _Keys, stop: Event) -> Iterator[Step]:
    """Ask the server whether each token could be written; the steps are those that could not."""
    tried, failures = 0, 0
    dry_run = DryRun.SERVER if request.dry_run is DryRun.NONE else request.dry_run
    for step in _sign_tokens(cluster, keys, stop, dry_run):
        tried += 1
        if isinstance(step, SecretFailure):
            failures += 1
            yield step
    if failures:
        raise ClusterError(f"nothing is changed, as {_secrets(failures)} could not be signed again")
    if request.shared_secret_from and not tried and not request.back and not stop.is_set():
        raise UsageError(
            f"{keys.reference} has signed no token, so it is not taken for the shared secret",
            hint="without --shared-secret-from it is what Portworx is started with",
        )


def _go_on(request: RotationRequest, cluster: Cluster, keys: _Keys, stop: Event) -> Iterator[Step]:
    yield keys.step(KeyChange.GOING_BACK if request.back else KeyChange.UNDER_WAY)
    if request.phase is Phase.KEY:
        return
    if failures := (yield from _finish(cluster, keys, stop, request.dry_run)):
        raise _not_finished(keys, failures)


def _take_back(cluster: Cluster, keys: _Keys, failures: int) -> Iterator[Step]:
    """Take back what this run began; it always raises, as the rotation has failed."""
    keys = _write(cluster, keys.back(), keys, DryRun.NONE)
    yield keys.step(KeyChange.TURNED_BACK)
    # To interrupt this would leave it between two keys: it goes on to its end.
    if left := (yield from _finish(cluster, keys, Event(), DryRun.NONE)):
        raise _not_finished(keys, left)
    raise ClusterError(f"all is as before, as {_secrets(failures)} could not be signed again")


def _not_finished(keys: _Keys, failures: int) -> ClusterError:
    return ClusterError(
        f"{_unfinished(keys)}, as {_secrets(failures)} could not be signed again",
        hint=how_to_go_on(keys.step(KeyChange.UNDER_WAY)),
    )


def _unfinished(keys: _Keys) -> str:
    return "the way back is not finished" if keys.going_back else "the rotation is not finished"


def how_to_go_on(step: KeyStep) -> str:
    """What to do where a rotation was left after that step."""
    if step.other.endswith(_NEW):
        return "kubectl pxauth keys rotate --rollback goes on"
    return "kubectl pxauth keys rotate goes on, and with --rollback goes back"


def _secrets(count: int) -> str:
    return "the token of 1 Secret" if count == 1 else f"a token in each of {count} Secrets"


def _finish(
    cluster: Cluster, keys: _Keys, stop: Event, dry_run: DryRun
) -> Generator[Step, None, int]:
    """Sign all tokens again, and forget the other key; returns how many failed, if any."""
    failures, signed = 0, 1
    try:
        # Who read the old key before may still have written tokens after the first look.
        while signed and not failures and not stop.is_set():
            signed = 0
            for step in _sign_tokens(cluster, keys, stop, dry_run):
                failures += isinstance(step, SecretFailure)
                signed += isinstance(step, TokenStep) and not step.skipped
                yield step
            if dry_run is not DryRun.NONE:
                break
        if not failures and not stop.is_set():
            _write(cluster, keys.alone(), keys, dry_run)
            yield keys.step(KeyChange.FINISHED)
    except ClusterError as error:
        hint = how_to_go_on(keys.step(KeyChange.UNDER_WAY))
        raise ClusterError(f"{_unfinished(keys)}: {error}", hint) from None
    return failures


def _write(cluster: Cluster, wanted: _Keys, found: _Keys, dry_run: DryRun) -> _Keys:
    """Write both keys over what was found; raises ClusterError where they are others by now."""
    content, before = wanted.content(), found.content().data
    place = (found.secret.namespace, found.secret.name)

    def write(secret: Secret | None) -> Secret:
        there = {key: secret.data.get(key) for key in before} if secret else {}
        if secret and there == content.data:
            return secret
        if secret is None or there != before:
            raise ClusterError(
                f"{found.secret.display_name} was changed by somebody else meanwhile",
                hint="see what it holds now, and run the command again",
            )
        return update_secret(cluster, secret, content, dry_run)

    if dry_run is DryRun.CLIENT:
        return wanted
    written = write_secret(cluster, *place, found.secret, write)
    return replace(wanted, secret=written)


def _sign_tokens(
    cluster: Cluster, keys: _Keys, stop: Event, dry_run: DryRun
) -> Iterator[TokenStep | SecretFailure]:
    """Sign again, in every Secret, what the other key signed, whatever it is called."""

    def sign(secret: Secret | None) -> TokenStep | None:
        return None if secret is None else _sign_one(cluster, keys, secret, dry_run)

    def work(secret: Secret) -> TokenStep | SecretFailure | None:
        place = (secret.namespace, secret.name)
        try:
            return write_secret(cluster, *place, secret, sign)
        except PxauthError as error:
            return SecretFailure(*place, error)

    steps = run_concurrently(work, list_secrets(cluster, None), _AT_ONCE, stop)
    return (step for step in steps if step)


def _sign_one(cluster: Cluster, keys: _Keys, secret: Secret, dry_run: DryRun) -> TokenStep | None:
    """Sign what is in that Secret again; what can't be written by anybody is left as it is."""
    tokens = list(_tokens_of_the_other_key(keys, secret))
    if not tokens:
        return None
    step = TokenStep(secret.namespace, secret.name, tokens[0].user)
    if storage_cluster := storage_cluster_of(secret):
        reason = f"the Portworx operator signs it again (StorageCluster {storage_cluster})"
        return replace(step, skipped=reason)
    if problem := why_unwritable(secret):
        return replace(step, skipped=f"{problem}, and its token is not valid any more")
    data = {one.key: sign_again(one.token, keys.current).encode() for one in tokens}
    update_secret(cluster, secret, SecretContent(data, {}, {}), dry_run)
    return step


@dataclass(frozen=True)
class _Token:
    key: str
    token: bytes
    user: PartialIdentity


def _tokens_of_the_other_key(keys: _Keys, secret: Secret) -> Iterator[_Token]:
    assert keys.other is not None  # noqa: S101 - a rotation is under way
    trust = Trust(issuer=None, shared_secret=keys.other.value)
    for key, value in secret.data.items():
        token = value.strip()
        if token.count(b".") == _DOTS:
            verdict = judge(token, trust, datetime.now(UTC))
            if verdict.signed:
                yield _Token(key, token, verdict.user)
