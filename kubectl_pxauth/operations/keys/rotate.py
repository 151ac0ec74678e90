"""Put a new shared secret in the place of the old one, and sign again what the old one signed.

The states that the Secret goes through are in portworx/key_secret.py. This is the way between them:

    none -> laid -> forward -> none     keys rotate
            laid, forward -> backward -> none     keys rotate --rollback

A run reads the state, goes on from it, and can be ended anywhere: the next run goes on from where
it was left. No two steps of the way lose a key that has signed a token, also where the Portworx
operator puts an older copy of the Secret back: see _put and _settle.

Why no token of the old key is left in the end, whoever writes tokens meanwhile:
portworx/latest_key.py.
"""

import time
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from threading import Event

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.pods import Pod
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
    ConflictError,
    DiscoveryError,
    ForbiddenError,
    NotFoundError,
    PxauthError,
    SharedSecretError,
    UsageError,
)
from kubectl_pxauth.operations.keys.rotation import (
    Action,
    Caution,
    KeyChange,
    KeyStep,
    Phase,
    RotationRequest,
    Stand,
    Standing,
    Step,
    TokenStep,
)
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.discovery import Search
from kubectl_pxauth.portworx.key_secret import (
    ROLLED_BACK_BY,
    ROTATED_BY,
    SYSTEM_KEYS,
    Direction,
    KeyState,
    changed_at,
    data_of_state,
    key_flags,
    read_key_state,
    same_values,
)
from kubectl_pxauth.portworx.latest_key import WrittenToken, look_at_the_key_again
from kubectl_pxauth.portworx.owners import keeper_of, storage_cluster_of, why_unwritable
from kubectl_pxauth.portworx.running import RunningPortworx, find_running
from kubectl_pxauth.portworx.settings import pxkeys
from kubectl_pxauth.portworx.signed_tokens import tokens_signed_with
from kubectl_pxauth.portworx.stated_values import read_shared_secret
from kubectl_pxauth.token.identity import NOBODY
from kubectl_pxauth.token.jwt import sign_again
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret

_AT_ONCE = 16
_WRITES = 10  # of the key's Secret, where others write it at the same time
_LOOKS = (0.0, 1.0)  # seconds before each look for what became of a write
_MOST_PASSES = 10  # over all Secrets, where tokens of the old key keep coming
_MOST_SIGNATURES = 3  # of one Secret, where somebody keeps putting the old token back
_MOST_UNDONE = 30  # times that an older copy of the key's Secret is written over
_SETTLE_SECONDS = 1.0
_SETTLE_STEP = 0.2


@dataclass
class _Progress:
    """What a run has done so far, by the names of Secrets."""

    to_sign: set[tuple[str, str]] = field(default_factory=set)
    signed: Counter[tuple[str, str]] = field(default_factory=Counter)
    conflicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    skipped: set[tuple[str, str]] = field(default_factory=set)
    lost: set[tuple[str, str]] = field(default_factory=set)
    written: dict[tuple[str, str, str], WrittenToken] = field(default_factory=dict)
    ended: Stand | None = None
    unknown: bool = False

    def sign(self, step: TokenStep) -> int:
        """Note that a Secret's token was signed; returns how often it was by now."""
        place = (step.namespace, step.secret)
        self.to_sign.add(place)
        self.signed[place] += 1
        return self.signed[place]

    def beaten(self, step: TokenStep) -> int:
        """Note that somebody else was quicker all the time; returns how often that was so."""
        place = (step.namespace, step.secret)
        self.to_sign.add(place)
        self.conflicts[place] += 1
        return max(self.conflicts[place], self.signed[place])


class Rotation:
    """One run of `keys rotate`: what it is to do, each step as it is done, and how far it came.

    prepare changes nothing, carry_out does. Both are to be read to their ends.
    """

    def __init__(self, request: RotationRequest, cluster: Cluster) -> None:
        """Read the key, and decide what is to be done; raises PxauthErrors."""
        self._request, self._cluster = request, cluster
        self.reference = _find_reference(request, cluster)
        secret = find_secret(cluster, self.reference.namespace, self.reference.name)
        explicit = request.phase is Phase.TOKENS or request.rollback
        self.state = read_key_state(self.reference, secret, adopt=explicit)
        assert secret is not None  # noqa: S101 - it has a state
        self._secret = secret
        self._check_writable()
        self.action = self._decide()
        self._check_real()
        self._laid = self.state if self.state.laid else self.state.with_new_key(request.now)
        self._target = self._decide_target()
        self._began = self.state
        self._seen: list[Mapping[str, bytes | None]] = [data_of_state(self.reference, secret)]
        self._progress = _Progress()

    @property
    def rotated_at(self) -> datetime | None:
        """When another rotation put the present key in its place; None if none did."""
        changed, manager = changed_at(self.reference, self._secret)
        return changed if manager == ROTATED_BY and self.state.rotation is None else None

    @property
    def running(self) -> RunningPortworx | None:
        """The Portworx that has to be restarted; None where it can't be looked up."""
        try:
            specs = Search(
                self._cluster, self._request.portworx_namespace, near=self.reference
            ).specs()
            return find_running(self._cluster, specs.specs, self.reference.namespace)
        except PxauthError:
            return None

    def is_taken_by(self, running: RunningPortworx) -> bool:
        """Whether all of its pods are known to have been started since the key was changed."""
        try:
            changed, manager = changed_at(self.reference, self._look())
        except PxauthError:
            return False
        if not running.pods or changed is None or manager != ROTATED_BY:
            return False
        return all(pod.started_at and pod.started_at > changed for pod in running.pods)

    def started_meanwhile(self, running: RunningPortworx) -> tuple[Pod, ...]:
        """The pods that may have the key that a way back has removed."""
        rotation = self._began.rotation
        if rotation is None or self._began.laid:
            return ()  # nothing was started with it
        since = datetime.fromisoformat(rotation.since) if rotation.since else None
        return tuple(
            pod for pod in running.pods if not (since and pod.started_at and pod.started_at < since)
        )

    @property
    def changes_key(self) -> bool:
        """Whether it is to put another key in the place of the one that is there."""
        return self._began.current.value != self._target.current.value

    @property
    def makes_key(self) -> bool:
        """Whether it is to make a key that is not there yet."""
        return self.action in (Action.BEGIN, Action.REPLACE) and self.state.rotation is None

    @property
    def standing(self) -> Standing:
        """How far the rotation is now."""
        progress, rotation = self._progress, self.state.rotation
        signed = len(progress.to_sign & progress.signed.keys())
        if progress.unknown:
            return Standing(Stand.UNKNOWN, signed, len(progress.to_sign), _STATUS)
        if rotation is None:
            stand, command = progress.ended or Stand.NOT_BEGUN, None
        else:
            command = rotation.next_command()
            forward = Stand.LAID if self.state.laid else Stand.FORWARD
            stand = forward if rotation.direction is Direction.FORWARD else Stand.BACKWARD
        return Standing(stand, signed, len(progress.to_sign), command, len(progress.lost))

    def prepare(self, stop: Event) -> Iterator[Step]:
        """Find the tokens, and ask the server whether each could be written.

        Raises ClusterError where one could not: then nothing is to be changed.
        """
        if self.action is Action.REPLACE:
            yield from self._cautions_of_a_leak()
        under_way = self.action is Action.GO_ON and not self.state.laid
        if under_way or self.action is Action.REPLACE:
            self._count(stop)
        else:
            yield from self._rehearse(stop)

    def carry_out(self, stop: Event) -> Iterator[Step]:
        """Do it; raises PxauthErrors where it is not done to its end."""
        try:
            yield from self._carry_out(stop)
        except PxauthError:
            yield from self._look_at_the_key_again()
            raise
        if stop.is_set():
            yield from self._look_at_the_key_again()

    def _carry_out(self, stop: Event) -> Iterator[Step]:
        if stop.is_set():
            return
        if self.action is Action.REPLACE:
            yield from self._replace()
            return
        yield from self._change_key(stop)
        if self._request.phase is Phase.KEY or stop.is_set():
            return
        failures = yield from self._finish(stop)
        if failures and self._takes_back:
            yield from self._take_back(failures)
        elif failures:
            raise self._not_finished(failures)

    def _look_at_the_key_again(self) -> Iterator[SecretFailure]:
        """Where somebody else ended this rotation meanwhile, sign what was signed with their key.

        A run that ends before the rotation does is a writer like any other. What it left under way
        has both keys, and is for the next run.
        """
        try:
            there = data_of_state(self.reference, self._look())
        except PxauthError:
            return
        if there in self._seen or there == self._target.data:
            return
        written = list(self._progress.written.values())
        signer = self._signer(self._target.current)
        outcomes: Iterator[WrittenToken | SecretFailure] = look_at_the_key_again(
            self._cluster,
            signer,
            written,
            written=lambda token: token if isinstance(token, WrittenToken) else None,
            mended=lambda token, now: (
                SecretFailure(token.namespace, token.secret, now)
                if isinstance(now, PxauthError)
                else token
            ),
        )
        yield from (outcome for outcome in outcomes if isinstance(outcome, SecretFailure))

    def _signer(self, key: SharedSecret) -> Signer:
        return Signer("", key, read_again=lambda: read_shared_secret(self._cluster, self.reference))

    @property
    def _tries(self) -> bool:
        """Whether nothing is to be written."""
        return self._request.dry_run is not DryRun.NONE

    @property
    def _takes_back(self) -> bool:
        """Whether this run began the rotation, and so takes it back where it fails."""
        return self.action is Action.BEGIN and not self._tries

    def _decide(self) -> Action:
        request, rotation = self._request, self.state.rotation
        flags = key_flags(request.shared_secret_from, request.portworx_namespace)
        if request.compromised:
            return Action.REPLACE
        if rotation is None:
            if request.rollback or request.phase is Phase.TOKENS:
                raise ClusterError(
                    f"no rotation of {self.reference} is under way",
                    hint=f"kubectl pxauth keys status{flags} shows whether one is finished; kubectl"
                    f" pxauth keys rotate --phase=key{flags} begins one",
                )
            return Action.BEGIN
        back = rotation.direction is Direction.BACKWARD
        if back and not request.rollback:
            raise ClusterError(
                f"a rotation of {self.reference} is on its way back",
                hint=f"finish that: {rotation.next_command(flags)}",
            )
        self._check_adopted()
        return Action.GO_BACK if request.rollback and not back else Action.GO_ON

    def _decide_target(self) -> KeyState:
        """The state in which tokens are signed again, or of a key that leaked the last state."""
        if self.action is Action.REPLACE:
            rotation = self.state.rotation
            if rotation is None:
                return self._laid.forward().alone()
            # A rotation has a key already that nobody else had: it is not a third one that is made.
            turned = rotation.direction is Direction.FORWARD and not self.state.laid
            return replace(self.state, current=self.state.current if turned else rotation.other)
        if self.action is Action.BEGIN:
            return self._laid.forward()
        return self.state.backward() if self.action is Action.GO_BACK else self.state.forward()

    def _check_writable(self) -> None:
        if problem := why_unwritable(self._secret):
            raise ClusterError(str(problem))
        keeper = keeper_of(self._secret)
        if keeper and not self._request.ignore_owner:
            raise ClusterError(
                f"{self._secret.display_name} is kept by {keeper.name}, which would put the old key"
                " back",
                hint=f"{keeper.remedy}; or, if you know that it does not: --ignore-owner",
            )

    def _check_real(self) -> None:
        """Refuse to put a key in the place of a reference, whose own key signs the tokens."""
        if self.state.current.is_reference and self.makes_key and not self._request.ignore_owner:
            raise SharedSecretError(
                f"the shared secret in {self.state.current.source} reads like a reference to a key:"
                " the tool that puts the real one in its place would find a new key instead, and"
                " every token of the real one is refused",
                hint="change the key where the reference points to; or, if nothing puts another in"
                " its place: --ignore-owner",
            )

    def _check_adopted(self) -> None:
        """Refuse a key that nothing says to be of a rotation, unless it has signed a token."""
        rotation = self.state.rotation
        assert rotation is not None  # noqa: S101 - one is under way
        if rotation.noted:
            return
        for secret in list_secrets(self._cluster, None):
            if any(tokens_signed_with(rotation.other, secret)):
                return
        read_key_state(self.reference, self._secret)  # which says so

    def _cautions_of_a_leak(self) -> Iterator[Caution]:
        places = {
            f'{self._secret.display_name} key "{key}"': self._how_to_renew(key)
            for key in same_values(self._secret, self.reference.key)
        }
        search = Search(self._cluster, self._request.portworx_namespace, near=self.reference)
        elsewhere = search.same_elsewhere(self.state.current, self.reference)
        for place, how in (places | dict.fromkeys(elsewhere, "")).items():
            yield Caution(
                f"{place} has the same value, and stays as it is: who has the leaked key can sign"
                " with that one too. Give it a new value as well, and restart what is started with"
                f" it (Portworx, and stork for stork-secret and apps-secret){how}"
            )

    def _how_to_renew(self, key: str) -> str:
        """How to give another of the keys that `keys create` makes a new value; else empty."""
        if self.reference != pxkeys(self.reference.namespace) or key not in SYSTEM_KEYS:
            return ""
        return (
            f": kubectl patch secret {self.reference.name} -n {self.reference.namespace} --type"
            f""" merge -p '{{"data":{{"{key}":null}}}}', then kubectl pxauth keys create"""
            f" -n {self.reference.namespace}"
        )

    def _count(self, stop: Event) -> None:
        """Note which Secrets have tokens of either key."""
        for secret in list_secrets(self._cluster, None):
            if stop.is_set():
                return
            if any(tokens_signed_with(self._target.current, secret)):
                self._note(secret, signed=True)
            rotation = self._target.rotation
            other = rotation.other if rotation else self.state.current
            if any(tokens_signed_with(other, secret)):
                self._note(secret, signed=False)

    def _note(self, secret: Secret, *, signed: bool) -> None:
        place = (secret.namespace, secret.name)
        self._progress.to_sign.add(place)
        if signed:
            self._progress.signed[place] += 0

    def _rehearse(self, stop: Event) -> Iterator[Step]:
        """Ask the server about each token; the steps are those that can't or need not be signed."""
        request = self._request
        dry_run = DryRun.SERVER if request.dry_run is DryRun.NONE else request.dry_run
        failures = 0
        for step in self._sign_tokens(self._target, stop, dry_run):
            if isinstance(step, TokenStep) and step.skipped in ("", _FOUGHT):
                self._progress.to_sign.add((step.namespace, step.secret))
                if step.kept_by:
                    yield Caution(
                        f"Secret {step.namespace}/{step.secret} is kept by {step.kept_by}, which"
                        " may put the old token back"
                    )
                continue
            failures += isinstance(step, SecretFailure)
            yield step
        if failures:
            raise ClusterError(
                f"nothing is changed, as {_secrets(failures)} could not be signed again"
            )
        found = self._progress.to_sign or self._progress.skipped
        if request.shared_secret_from and self.makes_key and not found and not stop.is_set():
            raise UsageError(
                f"{self.reference} has signed no token, so it is not taken for the shared secret",
                hint="without --shared-secret-from it is what Portworx is started with",
            )

    def _change_key(self, stop: Event) -> Iterator[Step]:
        """Bring the Secret into the state in which tokens are signed again."""
        if (self.action is Action.BEGIN or self.state.laid) and not (
            self._going_back or self._tries
        ):
            self._put_for_good(self._laid, stop)
            if stop.is_set():
                return
        changes = self.state.data[self.reference.key] != self._target.data[self.reference.key]
        back = self.action is Action.GO_BACK
        self._put(self._target, ROLLED_BACK_BY if back else ROTATED_BY)
        if back or self._going_back:
            yield self._step(KeyChange.TURNED_BACK if back else KeyChange.GOING_BACK)
        else:
            yield self._step(KeyChange.BEGUN if changes else KeyChange.UNDER_WAY)

    @property
    def _going_back(self) -> bool:
        rotation = self._target.rotation
        return rotation is not None and rotation.direction is Direction.BACKWARD

    def _step(self, change: KeyChange) -> KeyStep:
        other = self._target.rotation.other_key if self._target.rotation else ""
        return KeyStep(self.reference, change, other)

    def _replace(self) -> Iterator[Step]:
        """Put the key that nobody else had in its place, and keep no other."""
        self._put_for_good(self._target.alone(), Event())
        self._progress.ended = Stand.REPLACED
        yield KeyStep(self.reference, KeyChange.REPLACED)

    def _finish(self, stop: Event) -> Generator[Step, None, int]:
        """Sign all tokens again, and forget the other key; returns how many failed, if any."""
        ended = Stand.ROLLED_BACK if self._going_back else Stand.FINISHED
        for _ in range(_MOST_UNDONE):
            failures = yield from self._sign_all(stop)
            if failures or stop.is_set():
                return failures
            if not self._tries:
                # Where an older copy was put back, somebody may have signed with the old key.
                if self._hold() or not self._put(self._target.alone(), over=self._target):
                    continue
                self._progress.ended = ended
                if not self._stays(stop):
                    self._put(self._target)  # with both keys, until all tokens are looked at again
                    continue
            yield self._step(KeyChange.FINISHED)
            return 0
        raise self._undone_again()

    def _sign_all(self, stop: Event) -> Generator[Step, None, int]:
        """Sign what the other key signed, until a look at all Secrets finds nothing more."""
        for _ in range(_MOST_PASSES):
            undone = self._hold()
            failures, more = 0, undone
            for step in self._sign_tokens(self._target, stop, self._request.dry_run):
                failures += isinstance(step, SecretFailure)
                if isinstance(step, TokenStep) and step.skipped == _FOUGHT:
                    if self._progress.beaten(step) < _MOST_SIGNATURES:
                        more = True
                        continue  # the next look may come at a better moment
                elif isinstance(step, TokenStep) and not step.skipped:
                    more = True
                    self._note_written(step)
                    if self._progress.sign(step) > 1:
                        continue  # it was said before
                yield step
            # Who read the old key before may still write tokens until a look finds none.
            if failures or not more or stop.is_set() or self._tries:
                return failures
        return 0

    def _note_written(self, step: TokenStep) -> None:
        signer = self._signer(self._target.current)
        for key in step.keys:
            token = WrittenToken(step.namespace, step.secret, key, signer)
            self._progress.written[step.namespace, step.secret, key] = token

    def _take_back(self, failures: int) -> Iterator[Step]:
        """Take back what this run began; it always raises, as the rotation has failed."""
        self._target = self.state.backward()
        self._progress.signed.clear()
        self._put(self._target, ROLLED_BACK_BY)
        yield self._step(KeyChange.TURNED_BACK)
        # To interrupt this would leave it between two keys: it goes on to its end.
        if left := (yield from self._finish(Event())):
            raise self._not_finished(left)
        raise ClusterError(f"all is as before, as {_secrets(failures)} could not be signed again")

    def _not_finished(self, failures: int) -> ClusterError:
        what = "the way back" if self._going_back else "the rotation"
        return ClusterError(
            f"{what} is not finished, as {_secrets(failures)} could not be signed again"
        )

    def _put(
        self, wanted: KeyState, manager: str = ROTATED_BY, over: KeyState | None = None
    ) -> bool:
        """Bring the key's Secret into a state, whatever becomes of the requests on the way.

        What is there is written over only if this run has put it there, or found it there: so it
        is an older copy. With a state to write over it is only that one: returns whether it was.
        Raises ClusterError where it is somebody else's, and where it can't be known what is there.
        """
        dry_run, secret = self._request.dry_run, self._secret
        if dry_run is DryRun.CLIENT:
            return True
        refused: ClusterError | None = None
        for _ in range(_WRITES):
            there = data_of_state(self.reference, secret)
            if there == wanted.data:
                break
            if there not in self._seen:
                raise self._somebody_else(secret)
            if over and there != over.data:
                return False
            if wanted.data not in self._seen:
                self._seen.append(wanted.data)
            try:
                secret = update_secret(
                    self._cluster, secret, wanted.content, dry_run, manager=manager
                )
                break
            except (ForbiddenError, NotFoundError):
                raise
            except KeyboardInterrupt:
                self._progress.unknown = not self._tries
                raise
            except ClusterError as error:
                secret = self._look(error)
                refused = error
        else:
            raise refused or self._somebody_else(secret)
        if dry_run is DryRun.NONE:
            self._secret, self.state = secret, wanted
        return True

    def _look(self, error: ClusterError | None = None) -> Secret:
        """Read the key's Secret; after an error again and again, as its outcome must be known.

        Raises ClusterError where that can't be found out.
        """
        for seconds in _LOOKS if error else _LOOKS[:1]:
            time.sleep(seconds)
            try:
                secret = find_secret(self._cluster, self.reference.namespace, self.reference.name)
            except ClusterError as unanswered:
                if error is None:
                    raise
                last = unanswered
                continue
            if secret is None:
                raise NotFoundError(f"{self.reference.secret} was deleted meanwhile")
            return secret
        self._progress.unknown = True
        raise ClusterError(f"what became of a write could not be looked up: {last}")

    def _hold(self) -> bool:
        """See that the key's Secret is as this run left it; whether it had to be written again."""
        if self._tries:
            return False
        self._secret = self._look()
        there = data_of_state(self.reference, self._secret)
        if there == self._target.data:
            return False
        if there == self._target.alone().data and not self._going_back:
            return False  # another run has finished it, and this one has both keys
        self._seen.append(self._target.alone().data)
        self._put(self._target)
        return True

    def _somebody_else(self, secret: Secret) -> ClusterError:
        return ClusterError(
            f"{secret.display_name} was changed by somebody else meanwhile",
            hint=f"see how far it is: {_STATUS}",
        )

    def _put_for_good(self, wanted: KeyState, stop: Event) -> None:
        """Bring the Secret into a state, and see that no older copy is put over it."""
        for _ in range(_MOST_UNDONE):
            self._put(wanted)
            if self._stays(stop):
                return
        raise self._undone_again()

    def _undone_again(self) -> ClusterError:
        return ClusterError(
            f"somebody keeps putting an older copy of {self._secret.display_name} back",
            hint=f"find out who: kubectl get secret {self.reference.name}"
            f" -n {self.reference.namespace} -o yaml --show-managed-fields",
        )

    def _stays(self, stop: Event) -> bool:
        """Whether what was written last is still there after a moment.

        The operator writes an older copy at once after it has read it. So a new key that has stayed
        next to the old one for this long is in every copy that it may still write, and only then is
        the new key used. Were an older one to come later all the same, this run notices it, and
        writes both keys again.
        """
        end = time.monotonic() + _SETTLE_SECONDS
        while True:
            secret = self._look()
            there = data_of_state(self.reference, secret)
            if there != self.state.data:
                self._secret = secret
                return there not in self._seen  # else somebody else's rotation has begun
            if stop.is_set() or time.monotonic() >= end:
                return True
            stop.wait(_SETTLE_STEP)

    def _sign_tokens(
        self, state: KeyState, stop: Event, dry_run: DryRun
    ) -> Iterator[TokenStep | SecretFailure | Caution]:
        """Sign again, in every Secret, what the other key signed, whatever it is called."""
        progress = self._progress

        def work(secret: Secret) -> TokenStep | SecretFailure | None:
            place = (secret.namespace, secret.name)
            try:
                return write_secret(
                    self._cluster,
                    *place,
                    secret,
                    lambda found: _sign_one(
                        self._cluster, state, found, dry_run, progress.signed[place]
                    ),
                )
            except ConflictError:
                return TokenStep(*place, NOBODY, skipped=_FOUGHT, is_lost=True)
            except PxauthError as error:
                return SecretFailure(*place, error)

        progress.lost &= progress.skipped  # who was fought over may be well by now
        secrets = list_secrets(self._cluster, None)
        for step in run_concurrently(work, secrets, _AT_ONCE, stop):
            if step is None:
                continue
            place = (step.namespace, step.secret)
            if isinstance(step, TokenStep) and step.skipped:
                if place in progress.skipped:
                    continue
                if step.skipped != _FOUGHT:
                    progress.skipped.add(place)
            if isinstance(step, TokenStep):
                (progress.lost.add if step.is_lost else progress.lost.discard)(place)
            yield step


_STATUS = "kubectl pxauth keys status"
_FOUGHT = "somebody else writes it all the time, and its token is not valid any more"


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


def _secrets(count: int) -> str:
    return "the token of 1 Secret" if count == 1 else f"a token in each of {count} Secrets"


def _sign_one(
    cluster: Cluster, state: KeyState, secret: Secret | None, dry_run: DryRun, signed: int
) -> TokenStep | None:
    """Sign what is in that Secret again; what can't be written by anybody is left as it is."""
    rotation = state.rotation
    assert rotation is not None  # noqa: S101 - tokens are signed again in one
    tokens = list(tokens_signed_with(rotation.other, secret)) if secret else []
    if secret is None or not tokens:
        return None
    keys = tuple(one.key for one in tokens)
    step = TokenStep(secret.namespace, secret.name, tokens[0].user, keys=keys)
    if storage_cluster := storage_cluster_of(secret):
        reason = f"the Portworx operator signs it again (StorageCluster {storage_cluster})"
        return replace(step, skipped=reason)
    if problem := why_unwritable(secret):
        reason = f"{problem}, and its token is not valid any more"
        return replace(step, skipped=reason, is_lost=not all(one.has_ended for one in tokens))
    keeper = keeper_of(secret)
    if keeper and keeper.is_copy:
        return replace(step, skipped=f"{keeper.name} copies it from elsewhere")
    if signed >= _MOST_SIGNATURES:
        return replace(step, skipped=_FOUGHT, is_lost=True)
    data = {one.key: sign_again(one.token, state.current).encode() for one in tokens}
    update_secret(cluster, secret, SecretContent(data, {}, {}), dry_run)
    return replace(step, kept_by=keeper.name if keeper else "")
