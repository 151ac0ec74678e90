"""The names that Kubernetes takes, checked before anything is asked of a server.

Source: Kubernetes docs, concepts/overview/working-with-objects/names.
"""

import re

from kubectl_pxauth.errors import UsageError

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_KEY = r"[-._a-zA-Z0-9]+"
_NAMESPACE_LENGTH = 63
_SUBDOMAIN_LENGTH = 253


def check_secret_name(name: str, *, shown: str | None = None) -> str:
    """Pass on a Secret's name, also as -o name has it; raises UsageError for a wrong one.

    shown is what errors say in its place.
    """
    return _check_subdomain(name.removeprefix("secret/"), "Secret", shown)


def check_storage_class_name(name: str) -> str:
    """Pass on a StorageClass's name, also as -o name has it; raises UsageError for a wrong one."""
    return _check_subdomain(
        re.sub(r"^storageclass(\.storage\.k8s\.io)?/", "", name), "StorageClass"
    )


def check_snapshot_class_name(name: str) -> str:
    """Pass on a VolumeSnapshotClass's name, also as -o name has it; raises UsageError."""
    name = re.sub(r"^volumesnapshotclass(\.snapshot\.storage\.k8s\.io)?/", "", name)
    return _check_subdomain(name, "VolumeSnapshotClass")


def _check_subdomain(name: str, kind: str, shown: str | None = None) -> str:
    if not re.fullmatch(_SUBDOMAIN, name) or len(name) > _SUBDOMAIN_LENGTH:
        raise UsageError(
            f'"{shown or name}" is not a name for a {kind}',
            hint="a name has lower case letters, digits, '-' and '.', begins and ends with a"
            f" letter or digit, and has {_SUBDOMAIN_LENGTH} characters at most",
        )
    return name


def check_namespace(name: str, *, shown: str | None = None) -> str:
    """Pass on a namespace's name; raises UsageError for one that Kubernetes would refuse.

    shown is what errors say in its place.
    """
    if not is_namespace_name(name):
        raise UsageError(
            f'"{shown or name}" is not a name for a namespace',
            hint="a namespace has lower case letters, digits and '-', begins and ends with a"
            f" letter or digit, and has {_NAMESPACE_LENGTH} characters at most",
        )
    return name


def is_namespace_name(name: str) -> bool:
    """Whether a namespace can have that name."""
    return len(name) <= _NAMESPACE_LENGTH and bool(re.fullmatch(_LABEL, name))


def check_data_key(key: str) -> str:
    """Pass on a key of a Secret's data; raises UsageError for one that Kubernetes would refuse."""
    if (
        not re.fullmatch(_KEY, key)
        or len(key) > _SUBDOMAIN_LENGTH
        or key == "."
        or key.startswith("..")
    ):
        raise UsageError(
            f'"{key}" is not a key for a Secret\'s data',
            hint="a key has letters, digits, '-', '_' and '.', and"
            f" {_SUBDOMAIN_LENGTH} characters at most",
        )
    return key
