"""Whether the user may do what each command does."""

from collections.abc import Iterator, Mapping
from threading import Event

from kubectl_pxauth.cluster.access import Right, has_right
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, ok, warning
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.settings import PXKEYS

_AT_ONCE = 16
_KEYS_NAMESPACE = PXKEYS.namespace
_STORAGE_CLASSES = "storageclasses.storage.k8s.io"
_ROLES = ("roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io")
_OF_A_JOB = ("cronjobs.batch", "serviceaccounts", *_ROLES)


def check_rights(cluster: Cluster, namespace: str) -> Iterator[Diagnosis]:
    """A line for all commands that are allowed, and one for each other; raises ClusterErrors.

    What takes a namespace is asked for in that one. Who may not is warned: not everybody has to.
    """
    wanted = needs(namespace)
    rights = dict.fromkeys(right for all_of_one in wanted.values() for right in all_of_one)
    has = dict(
        run_concurrently(
            lambda right: (right, has_right(cluster, right)), rights, _AT_ONCE, Event()
        )
    )
    allowed = [command for command, needed in wanted.items() if all(has[right] for right in needed)]
    if allowed:
        yield ok("rights", f"you may {', '.join(allowed)}")
    for command, needed in wanted.items():
        if missing := [right for right in needed if not has[right]]:
            message = f"`{command}` is not for you: you may not {_listed(missing)}"
            yield warning("rights", message, missing[0].question)


def _listed(rights: list[Right]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(right.what, []).append(right.verb)
    return "; ".join(f"{', '.join(verbs[what])} {what}" for what in verbs)


def needs(namespace: str) -> Mapping[str, list[Right]]:
    """The rights that each command takes, beside the one to read the key."""
    return {
        "discover": [
            Right("list", "storageclusters.core.libopenstorage.org", None),
            Right("list", "daemonsets.apps", None),
        ],
        "issue": [Right(verb, "secrets", namespace) for verb in ("get", "create", "patch")],
        "list -A": [Right("list", "secrets", None)],
        "renew -A": [Right(verb, "secrets", None) for verb in ("list", "patch")],
        "keys create": [
            Right(verb, "secrets", _KEYS_NAMESPACE) for verb in ("get", "create", "patch")
        ],
        "keys rotate": [Right(verb, "secrets", None) for verb in ("get", "list", "patch")],
        "storageclass": [Right(verb, _STORAGE_CLASSES, "") for verb in ("get", "create", "patch")],
        "context": [
            Right("list", "pods", None),
            *(Right(verb, "pods/exec", None) for verb in ("get", "create")),
        ],
        "schedule": [
            Right(verb, resource, place)
            for verb in ("get", "list", "create", "patch", "delete")
            # The job runs beside the key, and has rights where its tokens are.
            for place, resources in ((_KEYS_NAMESPACE, _OF_A_JOB), (namespace, _ROLES))
            for resource in resources
        ],
    }
