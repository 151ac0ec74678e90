"""Which answer is what was asked for, without a server."""

from typing import Any

import pytest

from kubectl_pxauth.cluster.answers import misfit
from kubectl_pxauth.cluster.objects import holds

CORE = ("api", "v1")
SECRET = (*CORE, "namespaces", "n", "secrets", "s")
SECRETS = (*CORE, "namespaces", "n", "secrets")
ALL_SECRETS = (*CORE, "secrets")
NAMESPACE = (*CORE, "namespaces", "n")
CLASSES = ("apis", "storage.k8s.io", "v1", "storageclasses")
CLUSTERS = ("apis", "core.libopenstorage.org", "v1", "storageclusters")


def an_object(kind: str, name: str = "s", namespace: str | None = "n") -> dict[str, Any]:
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"kind": kind, "metadata": metadata}


def a_list(kind: str, *items: object) -> dict[str, Any]:
    return {"kind": kind, "metadata": {}, "items": list(items)}


@pytest.mark.parametrize(
    ("answer", "method", "path"),
    [
        (an_object("Secret"), "GET", SECRET),
        (an_object("Secret"), "PATCH", SECRET),
        (an_object("Secret", "any"), "POST", SECRETS),
        (a_list("SecretList"), "GET", SECRETS),
        (a_list("SecretList", {"metadata": {"name": "a", "namespace": "n"}}), "GET", SECRETS),
        (a_list("SecretList", {"metadata": {"name": "a", "namespace": "n"}}), "GET", ALL_SECRETS),
        (a_list("PartialObjectMetadataList"), "GET", ALL_SECRETS),
        (a_list("PartialObjectMetadataList") | {"items": None}, "GET", ALL_SECRETS),
        (an_object("Namespace", "n", None), "GET", NAMESPACE),
        (a_list("NamespaceList", {"metadata": {"name": "a"}}), "GET", (*CORE, "namespaces")),
        (an_object("StorageClass", "c", None), "GET", (*CLASSES, "c")),
        (a_list("StorageClassList"), "GET", CLASSES),
        (a_list("StorageClusterList"), "GET", CLUSTERS),
        ({"kind": "Status", "status": "Success", "metadata": {}}, "DELETE", SECRET),
        (an_object("Secret"), "DELETE", SECRET),
        ({"gitVersion": "v1"}, "GET", ("version",)),
        ({"kind": "Eviction"}, "POST", (*CORE, "namespaces", "n", "pods", "p", "eviction")),
        (
            {"kind": "SelfSubjectAccessReview", "metadata": {}},
            "POST",
            ("apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"),
        ),
        (
            a_list("NetworkPolicyList"),
            "GET",
            ("apis", "networking.k8s.io", "v1", "networkpolicies"),
        ),
    ],
)
def test_what_was_asked_for(answer: dict[str, Any], method: str, path: tuple[str, ...]) -> None:
    assert misfit(answer, method, path) is None


@pytest.mark.parametrize(
    ("answer", "method", "path", "words"),
    [
        ({}, "GET", SECRET, "an object of no kind"),
        ({"kind": 5}, "GET", SECRET, "an object of no kind"),
        (an_object("ConfigMap"), "GET", SECRET, "kind ConfigMap"),
        (an_object("Secret", "other"), "GET", SECRET, "kind Secret without proper metadata"),
        (an_object("Secret", "s", None), "GET", SECRET, "kind Secret without proper metadata"),
        ({"kind": "Secret"}, "GET", SECRET, "kind Secret without proper metadata"),
        ({"kind": "Secret", "metadata": []}, "GET", SECRET, "kind Secret without proper metadata"),
        (a_list("SecretList"), "GET", SECRET, "kind SecretList"),
        (an_object("Secret"), "GET", SECRETS, "kind Secret"),
        (a_list("ConfigMapList"), "GET", SECRETS, "kind ConfigMapList"),
        (a_list("SecretList", {}), "GET", SECRETS, "kind SecretList without proper items"),
        (a_list("SecretList", None), "GET", SECRETS, "kind SecretList without proper items"),
        (
            a_list("SecretList", {"metadata": {"name": "a"}}),
            "GET",
            SECRETS,
            "kind SecretList without proper items",
        ),
        (
            {"kind": "SecretList", "metadata": {}},
            "GET",
            SECRETS,
            "kind SecretList without proper items",
        ),
        ({"kind": "SecretList", "items": []}, "GET", SECRETS, "kind SecretList without proper"),
        ({"kind": "Status", "status": "Failure"}, "DELETE", SECRET, "kind Status"),
        ({"kind": "Status", "status": "Success"}, "GET", SECRET, "kind Status"),
    ],
)
def test_what_was_not(
    answer: dict[str, Any], method: str, path: tuple[str, ...], words: str
) -> None:
    found = misfit(answer, method, path)
    assert found is not None
    assert found.startswith(words)


@pytest.mark.parametrize(
    ("there", "wanted", "answer"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, False),
        ({"a": 1}, {"a": 1, "b": None}, True),
        ({"a": 1, "b": 2}, {"b": None}, False),
        ({"a": 1}, {"labels": {}}, True),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        (None, {"a": 1}, False),
    ],
)
def test_whether_an_object_has_what_was_written(
    there: object, wanted: object, answer: bool
) -> None:
    assert holds(there, wanted) is answer
