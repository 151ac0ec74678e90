"""Making a class that names the Secret of a token, and telling what will keep it from working."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from datetime import UTC, datetime
from typing import Any

from kubectl_pxauth.cluster.classes import Class, ClassContent, make_class
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.objects import Change, DryRun
from kubectl_pxauth.cluster.secret_templates import is_template
from kubectl_pxauth.cluster.secrets import find_secret
from kubectl_pxauth.errors import ClusterError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.signing import find_trusted_keys
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.portworx.token_secrets import unusable


@dataclass(frozen=True)
class ClassResult:
    """What was written, or with a dry run would be; manifest is the class as an object."""

    name: str
    change: Change
    manifest: dict[str, Any] = field(repr=False)
    warnings: tuple[str, ...] = ()


def make_class_and_check(
    kind: type[Class],
    name: str,
    content: ClassContent[Class],
    dry_run: DryRun,
    *,
    connect: Callable[[], Cluster],
    find_warnings: Callable[[Cluster], Iterable[str]],
) -> ClassResult:
    """Make the class, or change what differs, and meanwhile find what will keep it from working.

    A client-side dry run calls nobody. What keeps us from looking is a warning as well. Raises
    PxauthErrors, and then has changed nothing.
    """
    if dry_run is DryRun.CLIENT:
        return ClassResult(name, Change.CREATED, content.manifest(name))
    cluster = connect()
    warnings: list[str] = []
    looking = Background(lambda: attempt(lambda: warnings.extend(find_warnings(cluster))))
    change, made = make_class(cluster, kind, name, content, dry_run)
    if isinstance(problem := looking.result(), PxauthError):
        warnings.append(f"whether the class will work was not checked: {problem}")
    return ClassResult(name, change, made.manifest, tuple(warnings))


def secret_problems(
    namespace: str, name: str, source: KeySource, cluster: Cluster, *, needed: str
) -> Iterator[str]:
    """What is wrong with the Secret, as warnings; needed is what can't be done without it.

    Nothing is said of templates: each claim or each namespace has a Secret of its own, which may be
    yet to come.
    """
    if is_template(namespace + name):
        return
    where = f"Secret {namespace}/{name}"
    try:
        secret = find_secret(cluster, namespace, name)
    except ClusterError as error:
        yield f"{where} was not checked for a valid token: {error}"
        return
    if secret is None:
        yield (
            f"{where} does not exist, and without its token {needed}:"
            f" kubectl pxauth issue kubernetes --secret {name} -n {namespace}"
        )
        return
    trusted = find_trusted_keys(cluster, source)
    if trusted.is_off:
        return  # it may be there for encryption alone
    if trusted.no_key and AUTH_TOKEN in secret.data and not trusted.is_providers_alone:
        yield f"the signature of the token in {where} was not checked: {trusted.no_key}"
    if not trusted.no_key:
        yield from trusted.warnings
    if problem := unusable(secret, trusted, datetime.now(UTC)):
        yield f"{where} {problem}"
