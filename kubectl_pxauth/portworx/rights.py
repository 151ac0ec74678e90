"""The smallest rights of each command, from which the doctor, the reference and the tests come.

tests/test_rights.py runs each command with just these, and once without each of them.
"""

from collections.abc import Iterator

from kubectl_pxauth.cluster.access import Rule
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.settings import APPLICATIONS_SECRET, OPERATOR_SECRET

JOB_RENEWS = ("get", "list", "patch")
"""What the scheduled job does with Secrets: it lists them, patches those that are due, and gets one
again whose patch met another's."""

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Places:
    """Where a command finds what it needs.

    namespace and secret are those of the token, name is that of a class, portworx is the namespace
    of Portworx' pods, None where no flag says it, and job is the name of the scheduled job.
    """

    key: SecretKeyReference
    namespace: str
    secret: str = "px-k8s-user"  # noqa: S105 - a Secret's name
    name: str = "px-sc"
    portworx: str | None = None
    job: str = "pxauth-renew-portworx"


@dataclass(frozen=True)
class CommandRights:
    """What a command takes; when says in which case, if it takes more or less in others.

    reads_key says that it also gets the Secret with the key, which has a rule of its own. With
    optional rules it finds more, or is quicker; without them it does its work all the same.
    """

    command: str
    rules: tuple[Rule, ...]
    when: str = ""
    reads_key: bool = True
    optional: tuple[Rule, ...] = ()

    def required(self, places: Places) -> tuple[Rule, ...]:
        """All that it can't do without."""
        return (*((read_key(places),) if self.reads_key else ()), *self.rules)


def read_key(places: Places) -> Rule:
    """The right to sign: to read the Secret that the key is in."""
    return Rule(("get",), "secrets", places.key.namespace, (places.key.name,))


def find_portworx() -> tuple[Rule, ...]:
    """What tells where Portworx has its key and its issuer; else both go by usual names."""
    return (
        Rule(("list",), "storageclusters.core.libopenstorage.org", None),
        Rule(("list",), "daemonsets.apps", None),
    )


def command_rights(places: Places) -> Iterator[CommandRights]:
    """The rights of each command, in the order of the help."""
    here, key, found = places.namespace, places.key, find_portworx()
    list_all = Rule(("list",), "secrets", None)
    pods = Rule(("list",), "pods", places.portworx)
    execute = Rule(("get", "create"), "pods/exec", places.portworx)

    def secrets(*verbs: str, name: str = "", namespace: str | None = here) -> Rule:
        return Rule(verbs, "secrets", namespace, (name,) if name else ())

    key_and_found = (read_key(places), *found)
    token = places.secret
    yield CommandRights(
        "issue",
        (secrets("get", name=token), secrets("create")),
        "the Secret is made",
        optional=found,
    )
    yield CommandRights(
        "issue", (secrets("get", "patch", name=token),), "the Secret is there", optional=found
    )
    namespaces = Rule(("list",), "namespaces", "")
    yield CommandRights(
        "issue --namespace-selector",
        (namespaces, secrets("get", name=token, namespace=None), secrets("create", namespace=None)),
        "the Secrets are made",
        optional=(*found, list_all),
    )
    yield CommandRights(
        "issue --namespace-selector",
        (namespaces, secrets("get", "patch", name=token, namespace=None)),
        "the Secrets are there",
        optional=(*found, list_all),
    )
    yield CommandRights("token", (), optional=found)
    for resource, command in (
        ("storageclasses.storage.k8s.io", "storageclass"),
        ("volumesnapshotclasses.snapshot.storage.k8s.io", "snapshotclass"),
    ):
        # Whether its Secret has a token that Portworx takes.
        looks = (secrets("get", name=token), *key_and_found)
        made = (Rule(("get",), resource, "", (places.name,)), Rule(("create",), resource, ""))
        yield CommandRights(command, made, "the class is made", reads_key=False, optional=looks)
        there = (Rule(("get", "patch"), resource, "", (places.name,)),)
        yield CommandRights(command, there, "the class is there", reads_key=False, optional=looks)
    yield CommandRights("list", (secrets("list"),), reads_key=False, optional=key_and_found)
    yield CommandRights("list -A", (list_all,), reads_key=False, optional=key_and_found)
    yield CommandRights("renew SECRET", (secrets("get", "patch", name=token),), optional=found)
    yield CommandRights("renew --all", (secrets("list", "patch"),), optional=(*found, list_all))
    yield CommandRights("renew -A", (secrets("list", "patch", namespace=None),), optional=found)
    yield from _job_rights(places, found, secrets(*JOB_RENEWS))
    yield CommandRights(
        "inspect", (secrets("get", name=token),), reads_key=False, optional=key_and_found
    )
    yield CommandRights("verify", (secrets("get", name=token),), optional=found)
    yield CommandRights("discover", (), optional=found)
    yield CommandRights(
        "keys create",
        (secrets("create", namespace=key.namespace),),
        "the Secret is made",
        optional=found,
    )
    yield CommandRights(
        "keys create",
        (secrets("patch", name=key.name, namespace=key.namespace),),
        "the Secret lacks keys",
        optional=found,
    )
    adopted = Rule(("get",), "secrets", here, (OPERATOR_SECRET, APPLICATIONS_SECRET))
    yield CommandRights("keys adopt", (adopted, secrets("create")), optional=found)
    yield CommandRights(
        "keys rotate", (secrets("list", "patch", namespace=None),), optional=(*found, pods)
    )
    yield CommandRights("keys status", (), optional=(*found, list_all, pods))
    yield CommandRights("pxctl", (pods, execute), optional=found)
    yield CommandRights("context create", (pods, execute), optional=found)
    yield CommandRights("context list, set, delete", (pods, execute), reads_key=False)


def _job_rights(places: Places, found: tuple[Rule, ...], renews: Rule) -> Iterator[CommandRights]:
    """What makes and deletes the job of one namespace.

    Who makes it has to hold the rights that it gets: the API server sees to that.
    """
    here, home = places.namespace, places.key.namespace
    kinds = ("cronjobs.batch", "serviceaccounts", f"roles.{_RBAC}", f"rolebindings.{_RBAC}")
    objects = [
        *((kind, home, places.job) for kind in kinds[:2]),
        *((kind, here, places.job) for kind in kinds[2:]),
        *((kind, home, f"{places.job}-key") for kind in kinds[2:]),
    ]
    yield CommandRights(
        "schedule",
        (
            renews,
            *(Rule(("list",), kind, here) for kind in kinds),
            *(Rule(("get", "patch"), kind, place, (name,)) for kind, place, name in objects),
            *(Rule(("create",), kind, place) for kind, place, _ in objects),
        ),
        optional=(
            *found,
            *(Rule(("list",), kind, None) for kind in kinds),
            Rule(("get",), "namespaces", "", tuple(dict.fromkeys((here, home)))),
            Rule(("create",), "pods", home),
        ),
    )
    yield CommandRights(
        "unschedule",
        (
            *(Rule(("list",), kind, None) for kind in kinds),
            *(Rule(("delete",), kind, place, (name,)) for kind, place, name in objects),
        ),
        reads_key=False,
    )
