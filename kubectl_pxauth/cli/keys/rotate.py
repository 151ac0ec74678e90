"""The command `kubectl pxauth keys rotate`."""

from collections import Counter
from typing import Annotated

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    ConnectionFlags,
    DryRunFlag,
    PortworxNamespaceFlag,
    SharedSecretFromFlag,
)
from kubectl_pxauth.cli.inputs import check_exclusive, optional, read_key_reference
from kubectl_pxauth.cli.many import FAILED, failed, finish, interruptible, with_progress
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import SecretFailure
from kubectl_pxauth.operations.keys.rotate import (
    KeyChange,
    KeyStep,
    Phase,
    RotationRequest,
    Step,
    how_to_go_on,
    rotate_key,
)

HELP = """A new shared secret, and every token that the old one signed is signed again: in
all namespaces, whatever it is called, with the same claims. Portworx must be
restarted to take the new key, on every node; until then it refuses the new
tokens, and from then on the old. With --phase that comes between the halves.

The old key stays beside the new one until all tokens are signed again. What was
interrupted goes on with the next call, or goes back with --rollback. No key is
shown.

Whoever has the old key can have left tokens of their own in some Secret: look at
whom --dry-run names, or keep nothing of a key that leaked with --compromised."""

EXAMPLES = (
    ("What would be done, and for whom", "kubectl pxauth keys rotate --dry-run=server"),
    (
        "The restart in between",
        "kubectl pxauth keys rotate --phase=key\n"
        "kubectl rollout restart daemonset/portworx -n kube-system\n"
        "kubectl rollout status daemonset/portworx -n kube-system\n"
        "kubectl pxauth keys rotate --phase=tokens",
    ),
)

_RESTART = "Portworx takes the shared secret that is new to it when it is restarted, on every node;"
_SIGNED, _SKIPPED = "signed again", "skipped"


@takes_groups
def command(
    *,
    phase: Annotated[
        Phase | None, typer.Option(help="One half: the key, or the tokens.", show_default="both")
    ] = None,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Go back to the old key, in an unfinished rotation.")
    ] = False,
    compromised: Annotated[
        bool,
        typer.Option(
            "--compromised", help="Others have the old key: forget it, and sign nothing again."
        ),
    ] = False,
    shared_secret_from: SharedSecretFromFlag = None,
    portworx_namespace: PortworxNamespaceFlag = None,
    dry_run: DryRunFlag = DryRun.NONE,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, rotate, print each step."""
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
        back=rollback,
        compromised=compromised,
        dry_run=dry_run,
    )
    counts = Counter[str]()
    last: KeyStep | None = None
    with interruptible() as stop:
        steps = rotate_key(request, connection_flags.connection().open(), stop)
        for step in with_progress(steps, "signing", None, stop):
            _show(step, dry_run, counts)
            last = step if isinstance(step, KeyStep) else last
        if stop.is_set() and (last or not stop.in_doubt):
            output.note(how_to_go_on(last) if last else "nothing is changed")
        if counts or stop.is_set():
            finish(counts, None, stop)
    if last and dry_run is DryRun.NONE:
        _say_what_is_next(last)


def _show(step: Step, dry_run: DryRun, counts: Counter[str]) -> None:
    suffix = output.SUFFIXES[dry_run]
    if isinstance(step, SecretFailure):
        counts[FAILED] += 1
        failed(step.namespace, step.error)
    elif isinstance(step, KeyStep):
        print(f"secret/{step.reference.name} {_told(step)}{suffix}")
    elif step.skipped:
        counts[_SKIPPED] += 1
        print(f"secret/{step.secret} skipped in namespace {step.namespace}: {step.skipped}")
    else:
        counts[_SIGNED] += 1
        user = f'"{step.user.sub}", {", ".join(step.user.roles or ("no role",))}'
        print(
            f"secret/{step.secret} signed again in namespace {step.namespace}{suffix}:"
            f" {output.printable(user)}"
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


def _say_what_is_next(last: KeyStep) -> None:
    if last.change in (KeyChange.BEGUN, KeyChange.UNDER_WAY):
        output.note(f"{_RESTART} after that: kubectl pxauth keys rotate --phase=tokens")
        return
    output.note(f"{_RESTART} until then it refuses tokens of this one.")
    if last.change is KeyChange.REPLACED:
        output.note(
            "No token is signed again: kubectl pxauth list -A shows them, and kubectl pxauth renew"
            " SECRET -n NAMESPACE --resign signs one that you know."
        )
        return
    output.note(
        "Tokens that are in no Secret, like pxctl's contexts, have to be made again:"
        " kubectl pxauth context create admin"
    )
