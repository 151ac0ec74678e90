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
    takes_groups,
)
from kubectl_pxauth.cli.inputs import optional
from kubectl_pxauth.cli.many import FAILED, failed, finish, interruptible, with_progress
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import DryRun
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.rotation import (
    KeyChange,
    KeyStep,
    Phase,
    RotationRequest,
    Step,
    TokenFailure,
    rotate_key,
)

HELP = """A new shared secret, and every token that the old one signed is signed again: in
all namespaces, whatever it is called, with the same claims. Portworx must be
restarted to take the new key, on every node; until then it refuses the new
tokens, and from then on the old. With --phase that comes between the halves.

The old key stays beside the new one until all tokens are signed again. What was
interrupted goes on with the next call, or goes back with --rollback. No key is
shown.

\b
Examples:
  # What would be done
  kubectl pxauth keys rotate --dry-run=server

\b
  # The restart in between
  kubectl pxauth keys rotate --phase=key
  kubectl rollout restart daemonset/portworx -n kube-system
  kubectl rollout status daemonset/portworx -n kube-system
  kubectl pxauth keys rotate --phase=tokens
"""

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
    shared_secret_from: SharedSecretFromFlag = None,
    portworx_namespace: PortworxNamespaceFlag = None,
    dry_run: DryRunFlag = DryRun.NONE,
    connection: ConnectionFlags,
) -> None:
    """Parse, rotate, print each step."""
    if rollback and phase:
        raise UsageError("--rollback and --phase exclude each other")
    request = RotationRequest(
        shared_secret_from=optional(shared_secret_from, SecretKeyReference.parse),
        portworx_namespace=optional(portworx_namespace, check_namespace),
        phase=phase,
        back=rollback,
        dry_run=dry_run,
    )
    counts = Counter[str]()
    with interruptible() as stop:
        steps = rotate_key(request, connection.connection().open(), stop)
        for step in with_progress(steps, "signing", None):
            _show(step, dry_run, counts)
        if stop.is_set():
            output.note("the same command goes on; one with --rollback goes back")
        if phase is not Phase.KEY or stop.is_set():
            finish(counts, None, stop)
    if dry_run is DryRun.NONE:
        _say_what_is_next(phase)


def _show(step: Step, dry_run: DryRun, counts: Counter[str]) -> None:
    suffix = output.SUFFIXES[dry_run]
    if isinstance(step, TokenFailure):
        counts[FAILED] += 1
        failed(step.namespace, step.error)
    elif isinstance(step, KeyStep):
        print(f"secret/{step.reference.name} {_told(step)}{suffix}")
    elif step.skipped:
        counts[_SKIPPED] += 1
        print(f"secret/{step.secret} skipped in namespace {step.namespace}: {step.skipped}")
    else:
        counts[_SIGNED] += 1
        print(f"secret/{step.secret} signed again in namespace {step.namespace}{suffix}")


def _told(step: KeyStep) -> str:
    key = step.reference.key
    match step.change:
        case KeyChange.BEGUN:
            return f"configured: {key} is new, the old one is kept as {step.old}"
        case KeyChange.EXCHANGED:
            return f"configured: {key} is the old one again, the new one is kept as {step.old}"
        case KeyChange.FINISHED:
            return f"configured: {step.old} is removed"
        case KeyChange.UNDER_WAY:
            return f"unchanged: {key} is new already, the old one is kept as {step.old}"


def _say_what_is_next(phase: Phase | None) -> None:
    if phase is Phase.KEY:
        output.note(f"{_RESTART} after that: kubectl pxauth keys rotate --phase=tokens")
        return
    output.note(f"{_RESTART} until then it refuses these tokens.")
    output.note(
        "Tokens that are in no Secret, like pxctl's contexts, have to be made again:"
        " kubectl pxauth context create"
    )
