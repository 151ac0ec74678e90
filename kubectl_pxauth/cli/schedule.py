"""The command `kubectl pxauth schedule`."""

import re
from typing import Annotated

import typer

from kubectl_pxauth import __version__
from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    JobNamespaceFlag,
    SelectorFlag,
    WriteFlags,
)
from kubectl_pxauth.cli.inputs import read_namespace, read_signing_source
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.objects import Change
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.operations.schedule import ObjectChanges, schedule
from kubectl_pxauth.operations.schedule.job import RenewalPlan
from kubectl_pxauth.token.duration import parse_duration

HELP = """A CronJob that runs `kubectl pxauth renew` in the cluster, with a service account
that may list and patch Secrets there and read the one that holds the key. Where
that is and the issuer are found now, and written into the job. A repeat changes
what differs."""

EXAMPLES = (
    ("Renew the tokens of namespace portworx every night", "kubectl pxauth schedule -n portworx"),
    (
        "Of all namespaces, on Sundays, with an image of your own",
        'kubectl pxauth schedule -A -n portworx --schedule "0 3 * * 0" \\\n'
        "  --image registry.example.com/kubectl-pxauth:v1",
    ),
    (
        "Manifests for kubectl or for Git",
        "kubectl pxauth schedule -n portworx --dry-run=client -o yaml",
    ),
)

_CRON = re.compile(r"@\S.*|\S+( +\S+){4}")
_IMAGE = f"kubectl-pxauth/kubectl-pxauth:v{__version__}"


@takes_groups
def command(
    *,
    cron: Annotated[
        str,
        typer.Option(
            "--schedule",
            metavar="CRON",
            help="When to renew, as a CronJob takes it, in the control plane's time zone.",
        ),
    ] = "0 3 * * *",
    within: Annotated[
        str, typer.Option(metavar="TIME", help="How near its end a token is renewed: 12h, 30d.")
    ] = "30d",
    image: Annotated[str, typer.Option(metavar="IMAGE", help="This plugin's image.")] = _IMAGE,
    namespace: JobNamespaceFlag = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Renew the tokens of all namespaces.")
    ] = False,
    selector: SelectorFlag = None,
    authority: AuthorityFlags,
    write: WriteFlags,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, schedule, print."""
    connection = connection_flags.connection()
    source = read_signing_source(authority)
    parse_duration(within)
    plan = RenewalPlan(
        namespace=read_namespace(namespace, connection),
        everywhere=all_namespaces,
        selector=selector or None,
        schedule=_cron(cron),
        within=within,
        image=_image(image),
    )
    _show(schedule(plan, source, connection.open, write.dry_run), write)


def _show(steps: ObjectChanges, write: WriteFlags) -> None:
    """Say what becomes of each object, or print those that are there at the end as one list."""
    output.warnings(steps.warnings)
    if write.form in (output.Format.JSON, output.Format.YAML):
        items = [step.manifest for step in steps.changes if step.change is not Change.DELETED]
        output.objects({"apiVersion": "v1", "kind": "List", "items": items}, write.form)
        return
    for step in steps.changes:
        output.written(step.kubectl_name, step.change, {}, write.dry_run, write.form)


def _cron(text: str) -> str:
    """Pass on what may be a schedule; what is in its fields is for the server to judge."""
    if not _CRON.fullmatch(text.strip()):
        raise UsageError(
            f'"{text}" is not a schedule',
            hint='five fields, like "0 3 * * *" for three at night, or @daily',
        )
    return text.strip()


def _image(name: str) -> str:
    if not name or re.search(r"\s", name):
        raise UsageError(f'"{name}" is not an image')
    return name
