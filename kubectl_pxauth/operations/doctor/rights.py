"""Whether the user may do what each command does."""

import json
from collections.abc import Iterator
from threading import Event

from kubectl_pxauth.cluster.access import Right, Rule, has_right, role_manifests
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.operations.doctor.diagnosis import Diagnosis, ok, warning
from kubectl_pxauth.parallel import run_concurrently
from kubectl_pxauth.portworx.renewal_job import job_name
from kubectl_pxauth.portworx.rights import Places, command_rights

_AT_ONCE = 16
_SHOWN = 3
_ASKED = (
    "issue",
    "list -A",
    "renew -A",
    "keys create",
    "keys rotate",
    "storageclass",
    "context create",
    "schedule",
)


def check_rights(cluster: Cluster, namespace: str, key: SecretKeyReference) -> Iterator[Diagnosis]:
    """A line for all commands that are allowed, and one for each other; raises ClusterErrors.

    What takes a namespace is asked for in that one, what is beside the key, like the job, where
    the key is, and whether it may be read is another check's. A missing right is a warning: not
    everybody needs it.
    """
    needs: dict[str, dict[Right, None]] = {command: {} for command in _ASKED}
    for one in command_rights(Places(key, namespace, job=job_name(namespace))):
        if one.command in needs:
            rights = [right for rule in one.rules for right in rule.rights()]
            needs[one.command].update(dict.fromkeys(rights))
    asked = dict.fromkeys(right for all_of_one in needs.values() for right in all_of_one)
    has = dict(
        run_concurrently(lambda right: (right, has_right(cluster, right)), asked, _AT_ONCE, Event())
    )
    allowed = [command for command, needed in needs.items() if all(has[right] for right in needed)]
    if allowed:
        yield ok("rights", f"you may {', '.join(allowed)}")
    for command, needed in needs.items():
        if missing := [right for right in needed if not has[right]]:
            message = f"you can't run `{command}`: you may not {_listed(missing)}"
            yield warning("rights", message, _granted_by(missing))


def _granted_by(rights: list[Right]) -> str:
    """The RBAC that an administrator can grant them with, for a Role to be copied into."""
    verbs: dict[tuple[str, str | None, str], list[str]] = {}
    for right in rights:
        verbs.setdefault((right.resource, right.namespace, right.name), []).append(right.verb)
    rules = [
        Rule(tuple(of_one), resource, namespace, (name,) if name else ())
        for (resource, namespace, name), of_one in verbs.items()
    ]
    roles = []
    for role in role_manifests("", rules):
        namespace = role["metadata"].get("namespace")
        where = f' in namespace "{namespace}"' if namespace else ""
        roles.append(f"a {role['kind']}{where} with rules {json.dumps(role['rules'])}")
    return f"ask for {', and '.join(roles)}"


def _listed(rights: list[Right]) -> str:
    verbs: dict[str, list[str]] = {}
    for right in rights:
        verbs.setdefault(right.what, []).append(right.verb)
    listed = [f"{', '.join(verbs[what])} {what}" for what in verbs]
    more = [f"and {len(listed) - _SHOWN} more"] if listed[_SHOWN:] else []
    return "; ".join(listed[:_SHOWN] + more)
