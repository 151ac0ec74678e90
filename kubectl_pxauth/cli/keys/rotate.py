"""The command `kubectl pxauth keys rotate`."""

import sys
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated

import typer

from kubectl_pxauth.cli import output, signals
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    DryRunFlag,
    PortworxNamespaceFlag,
    SharedSecretFromFlag,
)
from kubectl_pxauth.cli.inputs import check_exclusive, optional, read_key_reference
from kubectl_pxauth.cli.many import FAILED, Stop, failed, interruptible, with_progress
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.pods import Pod
from kubectl_pxauth.cluster.secrets import SecretFailure
from kubectl_pxauth.errors import ClusterError, PxauthError
from kubectl_pxauth.operations.keys.rotate import Rotation
from kubectl_pxauth.operations.keys.rotation import (
    YOUNG,
    Action,
    Caution,
    KeyChange,
    KeyStep,
    Phase,
    RotationRequest,
    Stand,
    Standing,
    Step,
)
from kubectl_pxauth.portworx.key_secret import key_flags
from kubectl_pxauth.portworx.running import RunningPortworx

HELP = """Makes a new shared secret, and signs every token of the old one again, in all
namespaces, with the same claims. Portworx takes the new key when you restart it on
every node: until then it refuses the new tokens, and from then on the old ones. With
--phase you restart it between the two halves.

The old key stays next to the new one until all tokens are signed again. If a
rotation is interrupted, run the command again to go on, or with --rollback to go
back; `kubectl pxauth keys status` shows how far it is. On a terminal the command
asks before it changes anything. It never prints a key.

If a Secret can't be written, or somebody else keeps writing it, the command names it
and finishes the rotation without it: Portworx refuses that token from then on. This
is a warning and no failure, so that nobody with a Secret of their own can hold up the
restart that has to follow.

People who have the old key may have left tokens of their own in some Secret: look at
the users that --dry-run names. If the key has leaked, use --compromised, which signs
nothing again."""

EXAMPLES = (
    ("Show what would be done, and for whom", "kubectl pxauth keys rotate --dry-run=server"),
    (
        "Restart Portworx between the two halves",
        "kubectl pxauth keys rotate --phase=key\n"
        "kubectl rollout restart daemonset/portworx -n kube-system\n"
        "kubectl rollout status daemonset/portworx -n kube-system\n"
        "kubectl pxauth keys rotate --phase=tokens",
    ),
)

_SIGNED, _SKIPPED = "signed again", "skipped"


@takes_groups
def command(
    *,
    phase: Annotated[
        Phase | None,
        typer.Option(help="Do one half: change the key, or sign the tokens.", show_default="both"),
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the old key of an unfinished rotation.")
    ] = False,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="Others have the old key: remove it, and sign nothing again."
        ),
    ] = False,
    again: Annotated[
        bool,
        typer.Option("--again", help="Rotate again within an hour after a rotation."),
    ] = False,
    ignore_owner: Annotated[
        bool,
        typer.Option(
            "--ignore-owner",
            help="Change the key although a tool seems to keep its Secret or replace its value.",
        ),
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask before changing anything.")
    ] = False,
    shared_secret_from: SharedSecretFromFlag = None,
    portworx_namespace: PortworxNamespaceFlag = None,
    dry_run: DryRunFlag = DryRun.NONE,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, find out what is to be done, ask, do it, say how it stands."""
    check_exclusive(
        {
            "--phase": phase,
            "--rollback": "" if rollback else None,
            "--compromised": "" if compromised else None,
        }
    )
    request = RotationRequest(
        shared_secret_from=optional(shared_secret_from, read_key_reference),
        portworx_namespace=optional(portworx_namespace, check_namespace),
        phase=phase,
        rollback=rollback,
        compromised=compromised,
        ignore_owner=ignore_owner,
        dry_run=dry_run,
        now=datetime.now(UTC),
    )
    rotation = Rotation(request, connection_flags.connection().open())
    asks = not yes and dry_run is DryRun.NONE and sys.stdin.isatty() and sys.stderr.isatty()
    if not (again or asks) and dry_run is DryRun.NONE:
        _check_not_young(rotation, request)
    counts = Counter[str]()
    with interruptible() as stop:
        _show_all(rotation.prepare(stop), rotation, request, counts, stop)
        if asks and not stop.is_set():
            _ask(rotation, request)
        _show_all(rotation.carry_out(stop), rotation, request, counts, stop)
        _say_how_it_stands(rotation, request, counts, stop)


def _check_not_young(rotation: Rotation, request: RotationRequest) -> None:
    """Refuse a rotation right after another one, which is finished: one is what was wanted."""
    if age := _young(rotation, request):
        raise ClusterError(
            f"the shared secret in {rotation.reference} was rotated {age} ago, and that rotation is"
            " finished: nothing is changed",
            hint=f"to put yet another key in its place: {_command(request)} --again",
        )


def _young(rotation: Rotation, request: RotationRequest) -> str | None:
    """How long ago the key was rotated, if that was just now and another one is to be made."""
    rotated_at = rotation.rotated_at
    if rotated_at is None or not rotation.makes_key:
        return None
    age = request.now - rotated_at
    if age >= YOUNG:
        return None
    minutes = max(0, int(age.total_seconds())) // 60
    return f"{minutes} minutes" if minutes > 1 else "a moment"


def _ask(rotation: Rotation, request: RotationRequest) -> None:
    """Ask before anything is changed; raises PxauthError where the answer is no."""
    total = rotation.standing.total
    tokens, are = ("1 token", "is") if total == 1 else (f"{total} tokens", "are")
    output.note(
        {
            Action.BEGIN: f"A new key is put into {rotation.reference}, and {tokens} {are} signed"
            " again with it.",
            Action.GO_ON: f"The rotation of {rotation.reference} goes on, with {tokens}.",
            Action.GO_BACK: f"The old key is put back into {rotation.reference}, and {tokens} {are}"
            " signed again with it.",
            Action.REPLACE: f"A new key is put into {rotation.reference}; {tokens} of the old one"
            f" {are} not signed again.",
        }[rotation.action]
    )
    if age := _young(rotation, request):
        output.note(f"That key was rotated {age} ago, and that rotation is finished.")
    if rotation.changes_key:
        output.note(
            "Portworx pods that were started during the rotation refuse them until you restart"
            " those pods."
            if rotation.action is Action.GO_BACK
            else "Portworx refuses every token of the new key until you restart it on every node."
        )
    try:
        confirmed = typer.confirm("Go on?", err=True)
    except typer.Abort:  # by a signal, or at the end of the input
        output.note("")
        if signals.were_received():
            raise KeyboardInterrupt from None
        confirmed = False
    if not confirmed:
        raise PxauthError("not confirmed: nothing is changed")


def _show_all(
    steps: Iterable[Step],
    rotation: Rotation,
    request: RotationRequest,
    counts: Counter[str],
    stop: Stop,
) -> None:
    """Print each step; errors get a word of how it stands."""
    try:
        for step in with_progress(steps, "signing", None, stop):
            _show(step, request.dry_run, counts)
    except PxauthError as error:
        standing = rotation.standing
        if standing.stand is Stand.NOT_BEGUN and "nothing is changed" in str(error):
            raise
        if standing.stand is Stand.ROLLED_BACK:
            raise
        hint = _next(standing, request) or error.hint
        raise type(error)(f"{error}; {_how_it_stands(standing)}", hint) from None


def _show(step: Step, dry_run: DryRun, counts: Counter[str]) -> None:
    suffix = output.SUFFIXES[dry_run]
    if isinstance(step, Caution):
        output.warning(step.message)
    elif isinstance(step, SecretFailure):
        counts[FAILED] += 1
        failed(step.namespace, step.error)
    elif isinstance(step, KeyStep):
        output.line(f"secret/{step.reference.name} {_told(step)}{suffix}")
    elif step.skipped:
        counts[_SKIPPED] += 1
        output.line(f"secret/{step.secret} skipped in namespace {step.namespace}: {step.skipped}")
    else:
        counts[_SIGNED] += 1
        user = f'"{step.user.sub}", {", ".join(step.user.roles or ("no role",))}'
        output.line(
            f"secret/{step.secret} signed again in namespace {step.namespace}{suffix}: {user}"
        )


def _told(step: KeyStep) -> str:
    key, other = step.reference.key, step.other
    match step.change:
        case KeyChange.BEGUN:
            return f"configured: {key} is new, the old one is kept as {other}"
        case KeyChange.UNDER_WAY:
            return f"unchanged: {key} is new already, the old one is kept as {other}"
        case KeyChange.TURNED_BACK:
            return f"configured: {key} is the old one again, the new one is kept as {other}"
        case KeyChange.GOING_BACK:
            return f"unchanged: {key} is the old one already, the new one is kept as {other}"
        case KeyChange.FINISHED:
            return f"configured: {other} is removed"
        case KeyChange.REPLACED:
            return f"configured: {key} is new, and nothing is kept of the old one"


def _how_it_stands(standing: Standing) -> str:
    signed = f"{standing.signed} of {standing.total} tokens are signed with it"
    return {
        Stand.NOT_BEGUN: "nothing is changed",
        Stand.LAID: "the new key is stored next to the old one, which is still the shared secret",
        Stand.FORWARD: f"the shared secret is the new key, and {signed}",
        Stand.BACKWARD: f"the shared secret is the old key again, and {signed}",
        Stand.FINISHED: "the rotation is finished",
        Stand.ROLLED_BACK: "all is as before: the shared secret is the old key, and no other is"
        " kept",
        Stand.REPLACED: "the shared secret is a new key, and no other is kept",
        Stand.UNKNOWN: "how far the rotation came is not known",
    }[standing.stand]


def _next(standing: Standing, request: RotationRequest) -> str | None:
    """The command that goes on from there."""
    if standing.stand is Stand.UNKNOWN:
        return f"see how far it is: {standing.next_command}{_flags(request)}"
    if standing.next_command is None:
        return None
    command = f"{standing.next_command}{_flags(request)}"
    if standing.stand is Stand.BACKWARD:
        return f"{command} continues it"
    return f"{command} continues it, and with --rollback goes back to the old key"


def _command(request: RotationRequest) -> str:
    compromised = " --compromised" if request.compromised else ""
    return f"kubectl pxauth keys rotate{compromised}{_flags(request)}"


def _flags(request: RotationRequest) -> str:
    return key_flags(request.shared_secret_from, request.portworx_namespace)


def _say_how_it_stands(
    rotation: Rotation, request: RotationRequest, counts: Counter[str], stop: Stop
) -> None:
    standing = rotation.standing
    if stop.is_set():
        output.error(f"interrupted: {_how_it_stands(standing)}")
        if hint := _next(standing, request):
            output.note(f"hint: {hint}")
        raise typer.Exit(signals.exit_code())
    if counts:
        output.note(", ".join(f"{count} {what}" for what, count in counts.items()))
    if request.dry_run is not DryRun.NONE:
        return
    if standing.lost and standing.stand in (Stand.FINISHED, Stand.ROLLED_BACK):
        lost = "1 Secret is" if standing.lost == 1 else f"{standing.lost} Secrets are"
        output.warning(f"{lost} left with a token of the other key, which Portworx refuses")
    words = _how_it_stands(standing)
    output.note(f"{words[0].upper()}{words[1:]}.")
    _say_what_comes_next(rotation, request)


def _say_what_comes_next(rotation: Rotation, request: RotationRequest) -> None:
    standing = rotation.standing
    running = rotation.running
    restart = _restart(running)
    if standing.stand is Stand.FORWARD:
        output.note(
            "Portworx uses the new shared secret once you have restarted it on every"
            f" node{restart}; after that: {standing.next_command} --phase=tokens{_flags(request)}"
        )
        return
    if standing.stand is Stand.ROLLED_BACK:
        _say_after_the_way_back(rotation, running)
        return
    if not (running and rotation.is_taken_by(running)):
        output.note(
            "Portworx uses this shared secret once you have restarted it on every"
            f" node{restart}; until then it refuses the tokens that this one signs."
        )
    if standing.stand is Stand.REPLACED:
        output.note(
            "No token is signed again: kubectl pxauth list -A shows them, and kubectl pxauth renew"
            " SECRET -n NAMESPACE --resign signs one that you know."
        )
        return
    output.note(
        "Tokens that are in no Secret, like pxctl's contexts, have to be made again:"
        " kubectl pxauth context create admin"
    )


def _say_after_the_way_back(rotation: Rotation, running: RunningPortworx | None) -> None:
    """Say which pods may have the other key, and what else may be of it."""
    pods = rotation.started_meanwhile(running) if running else None
    if pods == ():
        return
    which = f" ({', '.join(pod.name for pod in pods)})" if pods else ""
    output.note(
        f"Portworx pods that were started during the rotation{which} may have the other key until"
        f" you restart them{_restart(running, pods)}."
    )
    output.note(
        "pxctl contexts that were made during the rotation have to be made again: kubectl pxauth"
        " context create admin"
    )


def _restart(running: RunningPortworx | None, pods: tuple[Pod, ...] | None = None) -> str:
    """How to restart these pods, or all, for behind a sentence; empty where that is not known."""
    commands = running.restart_commands(pods) if running else ()
    if not commands:
        return ""
    first = "; ".join(commands[:3])  # of one pod, or of the DaemonSet
    more = "; and so on, pod by pod: kubectl pxauth keys status" if commands[3:] else ""
    return f" ({first}{more})"
