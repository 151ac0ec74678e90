"""A rotation among others who read and write at the same moment, request by request.

Each runs in a thread of its own and does one request when it is its turn, so that a test says in
which order all requests of all of them come: the rotation, one that goes on where it was stopped,
the operator's round, writers of tokens, and a tenant that puts an old token back. The API server
and the code are the real ones; only time does not pass.
"""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from controlplane.run import ControlPlane
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, read_kubeconfig
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import (
    SecretContent,
    SecretFailure,
    SecretKeyReference,
    create_secret,
    find_secret,
    update_secret,
)
from kubectl_pxauth.errors import ClusterError, PxauthError, UnansweredError
from kubectl_pxauth.operations.issue import IssueRequest, issue
from kubectl_pxauth.operations.keys import rotate
from kubectl_pxauth.operations.keys.rotate import Rotation
from kubectl_pxauth.operations.keys.rotation import (
    Phase,
    RotationRequest,
    Step,
    TokenStep,
)
from kubectl_pxauth.operations.renew import RenewRequest, renew
from kubectl_pxauth.parallel import Background
from kubectl_pxauth.portworx.key_secret import Direction, read_key_state
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.latest_key import is_signed
from kubectl_pxauth.portworx.resigning import GRACE
from kubectl_pxauth.portworx.token_secrets import Scope
from kubectl_pxauth.token.identity import NOBODY
from kubectl_pxauth.token.minting import TokenRequest
from kubectl_pxauth.token.profile import PROFILES
from kubectl_pxauth.token.shared_secret import SharedSecret
from tests.conftest import claims_of, forge
from tests.operator_round import Operator

pytestmark = pytest.mark.xdist_group("rotation")

EXAMPLES = int(os.environ.get("ROTATION_EXAMPLES", "200"))
KEYS = SecretKeyReference("kube-system", "pxkeys", "shared-secret")
OLD = b"the old key, with enough bytes for HS256"
SOURCE = KeySource(issuer="portworx.com", shared_secret_from=KEYS)
NAMESPACE = "default"


class Fault(Enum):
    """What becomes of a request beside what it asks for."""

    UNREACHED = "the server never gets it"
    LOST = "the server does it, and its answer is lost"
    KILLED = "the process ends before it"
    KILLED_AFTER = "the process ends after it"


class Killed(BaseException):
    """The process ends here, and does no more."""


class Actor:
    """Work in a thread that does one request each time that it is its turn."""

    def __init__(self, work: Callable[["Actor"], None]) -> None:
        self._work = work
        self._go, self._waits = threading.Semaphore(0), threading.Semaphore(0)
        self._fault: Fault | None = None
        self.over = self.killed = False
        self.error: PxauthError | None = None
        self.settles = False
        threading.Thread(target=self._run, daemon=True).start()
        self._waits.acquire()

    def _run(self) -> None:
        try:
            self._work(self)
        except Killed:
            pass
        except PxauthError as error:
            self.error = error
        finally:
            self.over = True
            self._waits.release()

    def turn(self, fault: Fault | None = None) -> None:
        """Let it do the request that it waits with, and all up to the next one."""
        if not self.over:
            self._fault = fault
            self._go.release()
            assert self._waits.acquire(timeout=60)

    def wait_for_turn(self) -> Fault | None:
        """Called by the work before a request."""
        if self.killed:
            raise Killed
        self._waits.release()
        self._go.acquire()
        self.killed = self._fault in (Fault.KILLED, Fault.KILLED_AFTER)
        if self._fault is Fault.KILLED:
            raise Killed
        return self._fault


class Gated(Cluster):
    """A cluster whose requests wait for the turn of their actor."""

    actor: Actor | None = None

    def _request(self, *arguments: Any, **more: Any) -> dict[str, Any]:
        fault = self.actor.wait_for_turn() if self.actor else None
        lost = ClusterError if arguments[0] == "GET" else UnansweredError
        if fault is Fault.UNREACHED:
            raise lost("spoilt: the server was not reached")
        answer = super()._request(*arguments, **more)
        if fault is Fault.LOST:
            raise lost("spoilt: the answer was lost")
        if fault is Fault.KILLED_AFTER:
            raise Killed
        return answer


@dataclass
class World:
    """A cluster with a key, two tokens of it, and those who work on them."""

    plane: ControlPlane
    path: str
    free: Gated = field(init=False)
    actors: dict[str, Actor] = field(default_factory=dict)
    rotations: list[Actor] = field(default_factory=list)
    overlaps: list[tuple[Actor, Actor]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    in_round: int = 0

    def __post_init__(self) -> None:
        self.free = self.cluster(None)

    def cluster(self, actor: Actor | None) -> Gated:
        made = Gated(read_kubeconfig(ConnectionOptions(kubeconfig=self.path)).target())
        made.actor = actor
        return made

    def reset(self) -> None:
        for name in ("first", "second", "late", "fought"):
            self.lay(NAMESPACE, name, None)
        self.lay("kube-system", "pxkeys", {"shared-secret": OLD, "other": b"theirs"})
        for name in ("first", "second", "fought"):
            token = forge(claims_of(name), OLD).encode()
            self.lay(NAMESPACE, name, {"auth-token": token})
        self.actors = {
            "operator": Actor(self._operate),
            "issuer": Actor(self._issue),
            "renewer": Actor(self._renew),
            "tenant": Actor(self._fight),
        }
        self.rotations, self.overlaps, self.steps = [], [], []

    def lay(self, namespace: str, name: str, data: dict[str, bytes] | None) -> None:
        """Make a Secret that has just this; None deletes it."""
        path = ("api", "v1", "namespaces", namespace, "secrets", name)
        if find_secret(self.free, namespace, name):
            self.free.delete(*path, body={})
        if data is not None:
            content = SecretContent(dict(data), {}, {})
            create_secret(self.free, namespace, name, content, DryRun.NONE)

    def begin(self, *, rollback: bool = False, phase: Phase | None = None) -> Actor:
        """Run `keys rotate`, as an actor."""

        def work(actor: Actor) -> None:
            request = RotationRequest(
                shared_secret_from=KEYS,
                portworx_namespace=None,
                phase=phase,
                rollback=rollback,
                compromised=False,
                ignore_owner=False,
                dry_run=DryRun.NONE,
                now=datetime.now(UTC),
            )
            rotation = Rotation(request, self.cluster(actor))
            if rotation.makes_key and rotation.rotated_at:
                return  # the command wants --again
            for step in rotation.prepare(threading.Event()):
                self.steps.append(step)
            for step in rotation.carry_out(threading.Event()):
                self.steps.append(step)

        actor = Actor(work)
        self.overlaps += [(actor, other) for other in self.rotations if not other.over]
        self.rotations.append(actor)
        return actor

    def turn(self, actor: Actor, fault: Fault | None = None) -> None:
        if actor.settles:  # so much time passes that the operator writes what it has read
            self.finish_round()
            actor.settles = False
        actor.turn(fault)
        if actor not in (*self.rotations, self.actors["operator"]):
            return
        data = self.keys()
        values = {value for key, value in data.items() if key.startswith("shared-secret")}
        values.discard(data.get("shared-secret.rotation", b""))
        assert len(values) <= 2, "never more than two keys"

    def finish_round(self) -> None:
        while self.in_round > 1:
            self.actors["operator"].turn()

    def finish(self, actor: Actor) -> None:
        for _ in range(400):
            if actor.over:
                return
            self.turn(actor)
        pytest.fail("it never ends")

    def keys(self) -> dict[str, bytes]:
        secret = find_secret(self.free, KEYS.namespace, KEYS.name)
        assert secret
        return dict(secret.data)

    def token(self, name: str) -> bytes | None:
        secret = find_secret(self.free, NAMESPACE, name)
        return secret.data["auth-token"] if secret else None

    def _operate(self, actor: Actor) -> None:
        def before() -> None:
            self.in_round += 1
            actor.wait_for_turn()

        operator = Operator(self.plane, before_request=before)
        try:
            while True:
                self.in_round = 0
                operator.round()
        finally:
            operator.close()

    def _issue(self, actor: Actor) -> None:
        now = datetime.now(UTC)
        profile = PROFILES["kubernetes"]
        token = TokenRequest(profile, None, NOBODY, "late", now, timedelta(days=1))
        request = IssueRequest(
            token=token,
            key="auth-token",
            change_identity=False,
            allow_shared_subject=False,
            due_within=None,
            dry_run=DryRun.NONE,
        )
        issue(request, NAMESPACE, SOURCE, lambda: self.cluster(actor))

    def _renew(self, actor: Actor) -> None:
        request = RenewRequest(
            names=((None, "second"),),
            scope=Scope(NAMESPACE),
            key="auth-token",
            due_within=None,
            resign=False,
            grace=GRACE,
            duration=None,
            dry_run=DryRun.NONE,
            now=datetime.now(UTC),
        )
        _, outcomes = renew(request, SOURCE, self.cluster(actor), 1, threading.Event())
        for outcome in outcomes:
            if isinstance(outcome, SecretFailure):
                raise outcome.error

    def _fight(self, actor: Actor) -> None:
        cluster = self.cluster(actor)
        old = forge(claims_of("fought"), OLD).encode()
        while True:
            secret = find_secret(cluster, NAMESPACE, "fought")
            if secret and secret.data["auth-token"] != old:
                content = SecretContent({"auth-token": old}, {}, {})
                try:
                    update_secret(cluster, secret, content, DryRun.NONE)
                except ClusterError:
                    continue

    def over(self) -> None:
        """End all, and wait for nobody."""
        for actor in (*self.actors.values(), *self.rotations):
            actor.turn(Fault.KILLED)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    def begin(self: Background[Any], work: Callable[[], Any]) -> None:
        """Do the work at once: a request at a time is what is wanted here."""
        self._results, self._errors = [], []
        self._work = work
        self._run()

    def result(self: Background[Any], seconds: float | None = None) -> Any:
        for error in self._errors:
            raise error
        return self._results[0]

    stays = Rotation._stays

    def settle(self: Rotation, stop: threading.Event) -> bool:
        cluster = self._cluster
        if isinstance(cluster, Gated) and cluster.actor:
            cluster.actor.settles = True
        return stays(self, stop)

    with pytest.MonkeyPatch.context() as patch, ControlPlane() as plane:
        patch.setattr(Background, "__init__", begin)
        patch.setattr(Background, "result", result)
        patch.setattr(Rotation, "_stays", settle)
        patch.setattr(rotate, "_AT_ONCE", 1)
        patch.setattr(rotate, "_SETTLE_SECONDS", 0.0)
        patch.setattr(rotate, "_LOOKS", (0.0,) * len(rotate._LOOKS))
        yield World(plane, str(plane.kubeconfig(namespace=NAMESPACE)))


_FAULTS = [None] * 12 + list(Fault)
_OTHERS = ["operator"] * 3 + ["issuer"] * 2 + ["renewer"] * 2 + ["tenant"]
ROTATION = st.tuples(
    st.just("rotation"), st.sampled_from([1, 1, 2, 3, 5, 8, 13, 21]), st.sampled_from(_FAULTS)
)
OTHERS = st.tuples(st.sampled_from(_OTHERS), st.integers(1, 3), st.none())
BEGIN = st.tuples(st.sampled_from(["rotate", "rollback", "tokens"]), st.just(1), st.none())
TURNS = st.sampled_from([ROTATION] * 4 + [OTHERS] * 5 + [BEGIN]).flatmap(lambda turn: turn)
SCHEDULES = st.lists(TURNS, min_size=4, max_size=30)


@settings(
    max_examples=EXAMPLES,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    first_phase=st.sampled_from([None, Phase.KEY]), schedule=SCHEDULES, writers_first=st.booleans()
)
def test_whatever_happens_every_token_is_valid_in_the_end(
    world: World,
    first_phase: Phase | None,
    schedule: list[tuple[str, int, Fault | None]],
    writers_first: bool,
) -> None:
    world.reset()
    try:
        world.begin(phase=first_phase)
        for name, times, fault in schedule:
            if name in ("rotate", "rollback", "tokens"):
                phase = Phase.TOKENS if name == "tokens" else None
                world.begin(rollback=name == "rollback", phase=phase)
                continue
            running = [actor for actor in world.rotations if not actor.over]
            if name != "rotation":
                actor = world.actors[name]
            elif running:
                actor = running[times % len(running)]
            else:
                continue
            for _ in range(times - 1):
                world.turn(actor)
            # Who is killed between a write and the look after it can't mend it: where somebody else
            # may have ended the rotation in between, that leaves a token of a key that is gone.
            alone = not any(actor in pair for pair in world.overlaps)
            ends = fault in (Fault.KILLED, Fault.KILLED_AFTER)
            world.turn(actor, None if ends and not alone else fault)
        writers = [world.actors["issuer"], world.actors["renewer"]]
        for actor in (
            (*writers, *world.rotations) if writers_first else (*world.rotations, *writers)
        ):
            world.finish(actor)
        world.finish_round()
        _finish_the_rotation(world)
        _check_tokens(world)
    finally:
        world.over()


def _finish_the_rotation(world: World) -> None:
    """Run the command that goes on, as `keys status` says it, to its end."""
    secret = find_secret(world.free, KEYS.namespace, KEYS.name)
    rotation = read_key_state(KEYS, secret).rotation
    if rotation:
        last = world.begin(rollback=rotation.direction is Direction.BACKWARD)
        world.finish(last)
        assert last.error is None, last.error
    assert set(world.keys()) == {"shared-secret", "other"}


def _check_tokens(world: World) -> None:
    key = _key(world)
    for name in ("first", "second"):
        token = world.token(name)
        assert token
        assert is_signed(token, key), name
    late = world.token("late")
    issuer = world.actors["issuer"]
    if issuer.over and issuer.error is None:
        assert late
        assert is_signed(late, key), "late"


def _until(world: World, actor: Actor, condition: Callable[[dict[str, bytes]], bool]) -> None:
    """Let it go on until the key's Secret is so."""
    for _ in range(200):
        if condition(world.keys()):
            return
        world.turn(actor)
    pytest.fail("it never comes to that")


def _is_laid(data: dict[str, bytes]) -> bool:
    return "shared-secret.new" in data


def _is_forward(data: dict[str, bytes]) -> bool:
    return "shared-secret.old" in data


@pytest.fixture
def fresh(world: World) -> Iterator[World]:
    world.reset()
    yield world
    world.over()


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("writer", ["issuer", "renewer"])
def test_a_writer_that_comes_last(fresh: World, writer: str, turns: int) -> None:
    for _ in range(turns):
        fresh.turn(fresh.actors[writer])
    rotation = fresh.begin()
    fresh.finish(rotation)
    assert rotation.error is None
    fresh.finish(fresh.actors[writer])
    assert fresh.actors[writer].error is None
    _check_tokens(fresh)


def test_a_writer_whose_key_comes_and_goes(fresh: World) -> None:
    """It reads the new key, and writes with it when the old one is back for good."""
    fresh.finish(fresh.begin(phase=Phase.KEY))
    for _ in range(2):
        fresh.turn(fresh.actors["issuer"])
    fresh.finish(fresh.begin(rollback=True))
    fresh.finish(fresh.actors["issuer"])
    assert fresh.keys()["shared-secret"] == OLD
    _check_tokens(fresh)


@pytest.mark.parametrize("turns", range(6))
def test_an_older_copy_is_put_back_and_a_writer_reads_it(fresh: World, turns: int) -> None:
    rotation, operator = fresh.begin(), fresh.actors["operator"]
    _until(fresh, rotation, _is_laid)
    while fresh.in_round < 3 or rotation.settles:  # it has read the old key in its place
        fresh.turn(operator if fresh.in_round < 3 else rotation)
        if rotation.settles:
            fresh.finish_round()
            rotation.settles = False
    _until(fresh, rotation, _is_forward)
    while not is_signed(fresh.token("second") or b"", _key(fresh)):
        fresh.turn(rotation)
    for _ in range(turns):
        fresh.turn(rotation)
    fresh.finish_round()
    assert fresh.keys()["shared-secret"] == OLD  # as the operator has written its copy
    fresh.finish(fresh.actors["issuer"])
    fresh.finish(rotation)
    assert rotation.error is None
    assert fresh.keys()["shared-secret"] != OLD
    _check_tokens(fresh)


@pytest.mark.parametrize("turns", range(1, 20, 2))
def test_two_who_want_opposite_things(fresh: World, turns: int) -> None:
    fresh.finish(fresh.begin(phase=Phase.KEY))
    forward = fresh.begin()
    for _ in range(turns):
        fresh.turn(forward)
    fresh.finish(fresh.begin(rollback=True))
    fresh.finish(forward)
    _finish_the_rotation(fresh)
    _check_tokens(fresh)


def test_an_older_copy_is_put_over_the_new_key(fresh: World) -> None:
    while fresh.in_round < 3:
        fresh.turn(fresh.actors["operator"])
    rotation = fresh.begin()
    fresh.finish(rotation)
    assert rotation.error is None
    assert fresh.keys()["shared-secret"] != OLD
    _check_tokens(fresh)


def test_an_older_copy_is_put_over_the_end(fresh: World) -> None:
    rotation, operator = fresh.begin(), fresh.actors["operator"]
    _until(fresh, rotation, _is_forward)
    while fresh.in_round < 3:
        fresh.turn(operator)
    fresh.finish(rotation)
    assert rotation.error is None
    fresh.finish_round()
    assert set(fresh.keys()) == {"shared-secret", "other"}
    _check_tokens(fresh)


def test_a_tenant_who_fights_is_listed_and_left(fresh: World) -> None:
    rotation, tenant = fresh.begin(), fresh.actors["tenant"]
    for _ in range(300):
        if rotation.over:
            break
        fresh.turn(rotation)
        for _ in range(4):
            fresh.turn(tenant)
    assert rotation.over
    assert rotation.error is None
    skipped = [step for step in fresh.steps if isinstance(step, TokenStep) and step.skipped]
    assert [step.secret for step in skipped] == ["fought"]
    assert "somebody else writes it all the time" in skipped[0].skipped
    _check_tokens(fresh)


@pytest.mark.parametrize("number", range(1, 60, 2))
def test_a_machine_that_stops_at_each_request(fresh: World, number: int) -> None:
    rotation = fresh.begin()
    for _ in range(number - 1):
        fresh.turn(rotation)
    fresh.turn(rotation, Fault.KILLED if number % 4 == 1 else Fault.KILLED_AFTER)
    assert rotation.over
    fresh.finish(fresh.begin())
    _finish_the_rotation(fresh)
    _check_tokens(fresh)


def _key(world: World) -> SharedSecret:
    return SharedSecret(world.keys()["shared-secret"], "the key that is there")
