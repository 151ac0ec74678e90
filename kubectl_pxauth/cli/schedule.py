"""The command `kubectl pxauth schedule`."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from kubectl_pxauth import __version__
from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.dates import timestamp
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    ConnectionFlags,
    MetadataFlags,
    RenewedNamespaceFlag,
    SelectorFlag,
    WriteFlags,
)
from kubectl_pxauth.cli.inputs import (
    optional,
    read_duration,
    read_namespace,
    read_pairs,
    read_signing_source,
    refuse_empty_selector,
)
from kubectl_pxauth.cli.parameter_groups import takes_groups
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import Change
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.operations.schedule import ObjectChanges, ScheduleRequest, schedule
from kubectl_pxauth.operations.schedule.settings import JobChanges
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.renewal_job import Issuing, Toleration
from kubectl_pxauth.token.profile import PROFILES, find_profile

HELP = """The CronJob runs `kubectl pxauth renew` in the namespace of the Secret that holds the
key. It may read that Secret, and list and patch Secrets in the namespace that it
serves. The command finds the key and the issuer now and writes into the job where
they are. If the job exists, the command changes what you name and keeps the rest;
without any setting it shows the job's settings."""

_OWN_IMAGE = "registry.example.com/kubectl-pxauth:v1"

EXAMPLES = (
    (
        "Renew the tokens of namespace portworx every night",
        f"kubectl pxauth schedule -n portworx \\\n  --image {_OWN_IMAGE}",
    ),
    (
        "Renew those of all namespaces on Sundays",
        f'kubectl pxauth schedule -A --schedule "0 3 * * 0" \\\n  --image {_OWN_IMAGE}',
    ),
    (
        "Give each namespace that gets a label a token with a user of its own",
        "kubectl pxauth schedule --issue kubernetes --schedule '*/5 * * * *' \\\n"
        f"  --namespace-selector px-tenant=true \\\n  --image {_OWN_IMAGE}",
    ),
    (
        "Print the manifests for kubectl or for Git",
        f"kubectl pxauth schedule -n portworx --dry-run=client -o yaml \\\n  --image {_OWN_IMAGE}",
    ),
)

_CRON = re.compile(r"@\S.*|\S+( +\S+){4}")
_IMAGE = f"kubectl-pxauth/kubectl-pxauth:v{__version__}"
_WORD = r"[a-z0-9]+(([.]|_{1,2}|-+)[a-z0-9]+)*"
# Source: the grammar in distribution/reference, regexp.go.
_IMAGE_NAME = re.compile(
    rf"(([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:\d+)?/)?{_WORD}(/{_WORD})*"
    r"(:\w[\w.-]{0,127})?(@[A-Za-z][\w+.-]*:[0-9A-Fa-f]{32,})?",
    re.ASCII,
)
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_RESOURCE = r"[a-z0-9./-]+"

Repeatable = list[str] | None


@takes_groups
def command(
    *,
    cron: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            metavar="CRON",
            help="When the job runs, in the syntax of CronJobs.",
            show_default="0 3 * * *",
        ),
    ] = None,
    time_zone: Annotated[
        str | None,
        typer.Option(
            "--timezone",
            metavar="NAME",
            help="Time zone of the schedule, like Europe/Berlin.",
            show_default="that of the control plane, most often UTC",
        ),
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Renew tokens that end within this time, or in the last third of their life if"
            " that is shorter: 12h, 30d.",
            show_default="30d",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(metavar="IMAGE", help="Image of kubectl-pxauth.", show_default=_IMAGE),
    ] = None,
    namespace: RenewedNamespaceFlag = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="Renew the tokens of all namespaces.")
    ] = False,
    selector: SelectorFlag = None,
    issue: Annotated[
        str | None,
        typer.Option(
            metavar="PROFILE",
            autocompletion=lambda: list(PROFILES),
            help="Issue tokens of this profile, kubernetes or admin, as well, where they are"
            ' missing in the namespaces of --namespace-selector. Implies -A; "" takes it back.',
        ),
    ] = None,
    namespace_selector: Annotated[
        str | None,
        typer.Option(
            metavar="SELECTOR", help="Issue tokens in namespaces that match these labels."
        ),
    ] = None,
    job_namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Namespace to run the job in. Whoever can create pods there can read the key.",
            show_default="the namespace of the key's Secret",
        ),
    ] = None,
    requests: Annotated[
        Repeatable,
        typer.Option(
            metavar="NAME=AMOUNT,...",
            help="Resource requests of the container; 0 removes one.",
            show_default="cpu=50m,memory=64Mi",
        ),
    ] = None,
    limits: Annotated[
        Repeatable,
        typer.Option(
            metavar="NAME=AMOUNT,...",
            help="Resource limits of the container; 0 removes one.",
            show_default="cpu=100m,memory=128Mi",
        ),
    ] = None,
    toleration: Annotated[
        Repeatable,
        typer.Option(
            metavar="KEY[=VALUE][:EFFECT]", help="Taint that the pod tolerates; repeatable."
        ),
    ] = None,
    node_selector: Annotated[
        Repeatable,
        typer.Option(metavar="KEY=VALUE", help="Label that the pod's node must have; repeatable."),
    ] = None,
    priority_class: Annotated[
        str | None, typer.Option(metavar="NAME", help="PriorityClass of the pod.")
    ] = None,
    image_pull_secret: Annotated[
        Repeatable,
        typer.Option(metavar="NAME", help="Secret to pull the image with; repeatable."),
    ] = None,
    metadata: MetadataFlags,
    authority: AuthorityFlags,
    write: WriteFlags,
    connection_flags: ConnectionFlags,
) -> None:
    """Parse, schedule, print."""
    connection = connection_flags.connection()
    source = read_signing_source(authority)
    changes = JobChanges(
        default_image=_IMAGE,
        image=optional(image, _image),
        schedule=optional(cron, _cron),
        time_zone=time_zone,
        within=optional(within, _within),
        selector=selector,
        issuing=_issuing(issue, namespace_selector),
        requests=optional(requests, lambda given: _resources("--requests", given)),
        limits=optional(limits, lambda given: _resources("--limits", given)),
        tolerations=optional(
            toleration, lambda given: tuple(_toleration(text) for text in given if text)
        ),
        node_selector=optional(
            node_selector, lambda given: read_pairs("--node-selector", _texts(given))
        ),
        priority_class=priority_class,
        image_pull_secrets=optional(image_pull_secret, lambda given: tuple(filter(None, given))),
        labels=optional(metadata.label, lambda given: _metadata("--label", given)),
        annotations=optional(metadata.annotation, lambda given: _metadata("--annotation", given)),
    )
    if issue is not None and namespace is not None:
        raise UsageError("--issue goes with -A, not with --namespace")
    everywhere = all_namespaces or issue is not None
    request = ScheduleRequest(
        scope=None if everywhere else read_namespace(namespace, connection),
        changes=changes,
        job_namespace=optional(job_namespace, check_namespace),
        dry_run=write.dry_run,
        now=datetime.now(UTC),
    )
    done = schedule(request, source, connection.open)
    _show(done, write)
    if write.form is None and not write.quiet and not changes.any() and source == KeySource():
        _show_settings(done, request.now)


def _show(steps: ObjectChanges, write: WriteFlags) -> None:
    """Say what becomes of each object, or print those that are there at the end as one list."""
    output.warnings(steps.warnings)
    if write.form in (output.Format.JSON, output.Format.YAML):
        items = [step.manifest for step in steps.changes if step.change is not Change.DELETED]
        output.objects({"apiVersion": "v1", "kind": "List", "items": items}, write.form)
        return
    for step in steps.changes:
        output.written(step.kubectl_name, step.change, {}, write.dry_run, write.form)


def _show_settings(done: ObjectChanges, now: datetime) -> None:
    """What is set, and how it goes."""
    from kubectl_pxauth.cluster.cron import next_run

    job = done.job
    if job is None:
        return
    settings = job.settings
    status = (done.cron_job.manifest.get("status") or {}) if done.cron_job else {}
    suspended = bool(done.cron_job and done.cron_job.manifest["spec"].get("suspend"))
    run = next_run(settings.schedule, settings.time_zone, now)
    time_zone = settings.time_zone or "the control plane's time zone, most often UTC"
    rows = [
        ("schedule", f"{settings.schedule} ({time_zone})"),
        ("renews", _scope(job.scope, settings.selector, settings.within)),
    ]
    if issuing := settings.issuing:
        rows.append(
            ("issues", f"{issuing.profile}, in namespaces with {issuing.namespace_selector}")
        )
    rows += [
        ("image", settings.image),
        ("runs in", f"namespace {job.namespace}"),
        ("key", f"{job.key.display_name}, issuer {job.issuer}"),
        ("last success", str(status.get("lastSuccessfulTime", "none yet"))),
        ("next run", "suspended" if suspended else timestamp(run) or "not known"),
    ]
    for label, value in rows:
        print(f"  {label:<13} {output.printable(value)}")


def _scope(scope: str | None, selector: str | None, within: str) -> str:
    where = f"namespace {scope}" if scope else "all namespaces"
    labels = f", Secrets with {selector}" if selector else ""
    return f"{where}{labels}, what ends within {within}"


def _cron(text: str) -> str:
    """Pass on what may be a schedule; what is in its fields is for the server to judge."""
    if not _CRON.fullmatch(text.strip()):
        raise UsageError(
            f'"{text}" is not a schedule',
            hint='five fields, like "0 3 * * *" for three at night, or @daily',
        )
    return text.strip()


def _within(text: str) -> str:
    read_duration("--within", text)
    return text


def _image(name: str) -> str:
    """A name that a kubelet can read: the API server takes any, and no pod would ever start."""
    if not _IMAGE_NAME.fullmatch(name):
        raise UsageError(
            f'"{name}" is not an image',
            hint=f"a registry, a path in lower case, and a tag or a digest, like {_OWN_IMAGE}",
        )
    return name


def _issuing(profile: str | None, selector: str | None) -> Issuing | Literal[""] | None:
    if selector is None and not profile:
        return None if profile is None else ""
    if not profile or not selector:
        raise UsageError(
            "--issue and --namespace-selector go together",
            hint="for example: --issue kubernetes --namespace-selector px-tenant=true",
        )
    find_profile(profile)
    refuse_empty_selector("--namespace-selector", selector)
    return Issuing(profile, selector)


def _resources(flag: str, arguments: list[str]) -> dict[str, str | None]:
    """Amounts by resource, as `kubectl set resources` takes them: 0 is none at all."""
    pairs = read_pairs(flag, _texts(arguments))
    return {name: None if amount in ("", "0") else amount for name, amount in pairs.items()}


def _texts(arguments: list[str]) -> list[str]:
    """What is given with commas or with a flag each."""
    return [text for argument in arguments for text in argument.split(",") if text]


def _toleration(text: str) -> Toleration:
    """Read KEY[=VALUE][:EFFECT], as `kubectl taint` writes a taint; * is any key."""
    taint, colon, effect = text.rpartition(":")
    if not colon:
        taint, effect = text, ""
    if effect and effect not in _EFFECTS:
        raise UsageError(f'toleration "{text}": the effect is not {" or ".join(_EFFECTS)}')
    key, equals, value = taint.partition("=")
    return Toleration(
        key=None if key in ("", "*") else key,
        value=value if equals else None,
        effect=effect or None,
    )


def _metadata(flag: str, arguments: list[str]) -> dict[str, str | None]:
    """KEY=VALUE, or KEY- to take it away, as with `kubectl label`."""
    gone = [text[:-1] for text in arguments if text.endswith("-") and "=" not in text]
    said = read_pairs(flag, [text for text in arguments if "=" in text or not text.endswith("-")])
    return {**dict.fromkeys(gone), **said}
