"""Labels and annotations that are asked for on what is made: they are there, and stay there."""

from typing import Any

import pytest

from tests.conftest import Shell

ASKED = ["--label=team=px", "--annotation=cost-centre=a, b"]


@pytest.fixture
def strict(shell: Shell) -> Shell:
    """A namespace in which a policy wants a team on every Secret."""
    name = f"team-{shell.namespace}"
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"]}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": shell.namespace}},
            "resourceRules": [rule | {"operations": ["CREATE", "UPDATE"]}],
        },
        "validations": [
            {
                "expression": "has(object.metadata.labels) && 'team' in object.metadata.labels",
                "message": "label team is missing",
            }
        ],
    }
    binding = {"policyName": name, "validationActions": ["Deny"]}
    for what, spec in (("", policy), ("Binding", binding)):
        manifest: dict[str, Any] = {"kind": f"ValidatingAdmissionPolicy{what}", "spec": spec}
        shell.create(kind | manifest | {"metadata": {"name": name, "namespace": None}})
    return shell


def test_a_policy_that_wants_a_label_gets_it(strict: Shell) -> None:
    issue = ["issue", "kubernetes", "-n", strict.namespace]
    for _ in range(600):  # a policy counts a little after it was made
        done = strict.pxauth(*issue, "--dry-run=server")
        if done.code:
            break
    assert "label team is missing" in done.err
    assert strict.refused(*issue).err.count("error: ") == 1
    strict.issue("kubernetes", *ASKED)
    first = strict.secret()["metadata"]
    assert first["labels"]["team"] == "px"
    assert first["annotations"]["cost-centre"] == "a, b"
    assert strict.issue("kubernetes").out.startswith("secret/px-k8s-user configured")
    renewed = strict.pxauth("renew", "--all", "-n", strict.namespace)
    assert renewed.code == 0, renewed.err
    metadata = strict.secret()["metadata"]
    assert metadata["labels"] == first["labels"]
    assert metadata["annotations"].keys() == first["annotations"].keys()


def test_a_secret_that_was_there_gets_the_same_as_a_new_one(shell: Shell) -> None:
    shell.issue("kubernetes", *ASKED)
    shell.create({"metadata": {"name": "there"}, "stringData": {"other": "x"}})
    shell.issue("kubernetes", "--secret=there", *ASKED)
    made, there = shell.secret()["metadata"], shell.secret("there")["metadata"]
    assert made["labels"] == there["labels"]
    assert made["annotations"].keys() == there["annotations"].keys()


def test_a_token_that_stays_gets_them_too(shell: Shell) -> None:
    shell.issue("kubernetes")
    before = shell.token()
    if_needed = ["kubernetes", "--if-needed", *ASKED]
    assert "configured" in shell.issue(*if_needed).out
    assert shell.token() == before
    assert shell.secret()["metadata"]["labels"]["team"] == "px"
    version = shell.secret()["metadata"]["resourceVersion"]
    assert "unchanged" in shell.issue(*if_needed).out
    assert shell.secret()["metadata"]["resourceVersion"] == version


def test_a_storage_class_gets_them(shell: Shell) -> None:
    shell.issue("kubernetes")
    command = ["storageclass", f"sc-{shell.namespace}", "-n", shell.namespace]

    def metadata() -> dict[str, Any]:
        found: dict[str, Any] = yaml_of(shell, command[1])["metadata"]
        return found

    try:
        assert shell.pxauth(*command).out.endswith("created\n")
        assert shell.pxauth(*command, *ASKED, "--default").out.endswith("configured\n")
        assert metadata()["labels"]["team"] == "px"
        assert metadata()["annotations"] == {
            "cost-centre": "a, b",
            "storageclass.kubernetes.io/is-default-class": "true",
        }
        assert shell.pxauth(*command).out.endswith("unchanged\n")
        assert shell.pxauth(*command, *ASKED).out.endswith("unchanged\n")
        assert metadata()["labels"]["team"] == "px"
    finally:
        shell.kubectl("delete", "storageclass", command[1])


def yaml_of(shell: Shell, name: str) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads(shell.kubectl("get", "storageclass", name, "-o", "json").out)
    return found


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (["--label", "team"], '--label "team" is not KEY=VALUE'),
        (["--label", "=x"], '--label "=x" is not KEY=VALUE'),
        (["--annotation", "a=1", "--annotation", "a=2"], '--annotation "a" is given twice'),
    ],
)
def test_what_is_no_label_is_refused(shell: Shell, flags: list[str], problem: str) -> None:
    done = shell.refused("issue", "kubernetes", *flags, code=2)
    assert problem in done.err
