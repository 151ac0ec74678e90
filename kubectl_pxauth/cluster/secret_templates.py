"""Templates in the parameters of classes that name a Secret, as the CSI sidecars fill them in.

Sources: kubernetes-csi/external-provisioner, pkg/controller/controller.go (getSecretReference,
resolveTemplate), and kubernetes-csi/external-snapshotter, pkg/utils/util.go (GetSecretReference,
GetGroupSnapshotSecretReference).
"""

import re
from collections.abc import Mapping

from kubectl_pxauth.cluster.names import check_namespace, check_secret_name
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.frozen import dataclass

_TEMPLATE = re.compile(r"\$\{([^}]*)\}")
_ANNOTATION = "pvc.annotations['KEY']"
_ANNOTATIONS = re.compile(r"pvc\.annotations\['.+'\]")


@dataclass(frozen=True)
class SecretTemplates:
    """What a sidecar fills in within `${…}`: in a Secret's name, and in its namespace."""

    in_name: tuple[str, ...]
    in_namespace: tuple[str, ...]

    def check_name(self, text: str) -> str:
        """Pass on a Secret's name that may have templates; raises UsageError for a wrong one."""
        if not is_template(text):
            return check_secret_name(text)
        _check(text, self.in_name, "a Secret's name")
        check_secret_name(_TEMPLATE.sub("x", text), shown=text)
        return text

    def check_namespace(self, text: str) -> str:
        """Pass on a namespace that may have templates; raises UsageError for a wrong one."""
        if not is_template(text):
            return check_namespace(text)
        _check(text, self.in_namespace, "a Secret's namespace")
        check_namespace(_TEMPLATE.sub("x", text), shown=text)
        return text

    def wrong(self, namespace: str, name: str) -> str | None:
        """What of a Secret's namespace and name no sidecar fills in, in words; None if nothing."""
        found = {
            "its name": _unknown(name, self.in_name),
            "its namespace": _unknown(namespace, self.in_namespace),
        }
        parts = [f"{', '.join(wrong)} in {part}" for part, wrong in found.items() if wrong]
        return " and ".join(parts) or None


STORAGE_CLASS = SecretTemplates(
    in_name=("pv.name", "pvc.namespace", "pvc.name", _ANNOTATION),
    in_namespace=("pv.name", "pvc.namespace"),
)
"""Those of a StorageClass, for each of its pairs of parameters."""

SNAPSHOT_CLASS = SecretTemplates(
    in_name=("volumesnapshotcontent.name", "volumesnapshot.namespace", "volumesnapshot.name"),
    in_namespace=("volumesnapshotcontent.name", "volumesnapshot.namespace"),
)
"""Those of a VolumeSnapshotClass, for the Secret that makes and deletes snapshots."""

SNAPSHOT_LIST = SecretTemplates(
    in_name=("volumesnapshotcontent.name",), in_namespace=("volumesnapshotcontent.name",)
)
"""Those for the Secret that lists snapshots: no VolumeSnapshot is known there."""

GROUP_SNAPSHOT_CLASS = SecretTemplates(
    in_name=(
        "volumegroupsnapshotcontent.name",
        "volumegroupsnapshot.namespace",
        "volumegroupsnapshot.name",
    ),
    in_namespace=("volumegroupsnapshotcontent.name", "volumegroupsnapshot.namespace"),
)
"""Those of a VolumeGroupSnapshotClass, for the Secret that makes and deletes such groups."""

GROUP_SNAPSHOT_GET = SecretTemplates(
    in_name=("volumegroupsnapshotcontent.name",), in_namespace=("volumegroupsnapshotcontent.name",)
)
"""Those for the Secret that looks at a group: no VolumeGroupSnapshot is known there."""


def is_template(text: str) -> bool:
    """Whether something is to be filled in."""
    return "$" in text


def fill_in(text: str, values: Mapping[str, str]) -> str | None:
    """The text with each template's value; None where one has none."""
    if any(name not in values for name in _TEMPLATE.findall(text)):
        return None
    return _TEMPLATE.sub(lambda found: values[found[1]], text)


def _check(text: str, known: tuple[str, ...], what: str) -> None:
    if wrong := _unknown(text, known):
        raise UsageError(
            f'"{text}" has {", ".join(wrong)}, which is not filled into {what}',
            hint=f"what is filled in there: {', '.join(f'${{{name}}}' for name in known)}",
        )


def _unknown(text: str, known: tuple[str, ...]) -> list[str]:
    wrong = [
        f"${{{name}}}"
        for name in _TEMPLATE.findall(text)
        if name not in known and not (_ANNOTATION in known and _ANNOTATIONS.fullmatch(name))
    ]
    # Go's os.Expand takes $name without braces as well, and knows none of those.
    return wrong + (["$"] if is_template(_TEMPLATE.sub("", text)) else [])
