"""Whether an answer of the API server is what was asked for."""

from typing import Any

_ROOTS = {"api": 2, "apis": 3}  # how many parts of a path come before what it names


def misfit(answer: dict[str, Any], method: str, path: tuple[str, ...]) -> str | None:
    """What an answer is instead of the object or the list that the path names, if it is."""
    names = path[_ROOTS.get(path[0], len(path)) :]
    namespaced = names[:1] == ("namespaces",) and len(names) > 2  # noqa: PLR2004 - it and its name
    plural, *name = names[2:] if namespaced else names or ("",)
    if not plural or len(name) > 1:  # such as /version, or a subresource with a kind of its own
        return None
    kind = answer.get("kind")
    if method == "DELETE" and kind == "Status" and answer.get("status") == "Success":
        return None
    is_list = method == "GET" and not name
    if not isinstance(kind, str) or not _fits(kind, plural, is_list=is_list):
        return f"kind {kind}" if isinstance(kind, str) else "an object of no kind"
    if is_list:
        items = answer.get("items")
        if items is None and kind == "PartialObjectMetadataList":
            items = []  # kube-apiserver writes null where there are none
        named = isinstance(items, list) and all(_is_named(item, namespaced) for item in items)
        fine = named and isinstance(answer.get("metadata"), dict)
    else:
        # A review has no name: nothing is kept.
        fine = kind.endswith("Review") or _is_named(answer, namespaced, *name)
    return None if fine else f"kind {kind} without proper {'items' if is_list else 'metadata'}"


def _fits(kind: str, plural: str, *, is_list: bool) -> bool:
    """Whether a kind is that of a resource: StorageClass is of storageclasses."""
    if kind == ("PartialObjectMetadataList" if is_list else "PartialObjectMetadata"):
        return True
    singular = (kind.removesuffix("List") if is_list else kind).lower()
    plurals = (f"{singular}s", f"{singular}es", f"{singular[:-1]}ies", singular)
    return is_list == kind.endswith("List") and plural in plurals


def _is_named(item: object, namespaced: bool, name: str | None = None) -> bool:
    """Whether there is an object, and it has a name, or the name that it must have."""
    metadata = item.get("metadata") if isinstance(item, dict) else None
    if not isinstance(metadata, dict):
        return False
    wanted = ["name", *(["namespace"] if namespaced else [])]
    return all(isinstance(metadata.get(key), str) for key in wanted) and (
        name in (None, metadata["name"])
    )
