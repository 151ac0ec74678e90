"""Labels and annotations that are asked for on what is made: they are there, and stay there."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import Shell

ASKED = ["--label=team=px", "--annotation=cost-centre=a, b"]


def want_a_team(shell: Shell, action: str) -> None:
    """Let a policy want a team on every Secret of the namespace, and else do that."""
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
    binding = {"policyName": name, "validationActions": [action]}
    for what, spec in (("", policy), ("Binding", binding)):
        manifest: dict[str, Any] = {"kind": f"ValidatingAdmissionPolicy{what}", "spec": spec}
        shell.create(kind | manifest | {"metadata": {"name": name, "namespace": None}})


def test_a_policys_warning_is_said_as_kubectl_says_it(shell: Shell) -> None:
    want_a_team(shell, "Warn")
    secret = ("create", "secret", "generic", "x", "-n", shell.namespace, "--dry-run=server")
    for _ in range(600):  # a policy counts a little after it was made
        kubectl = shell.kubectl(*secret)
        if kubectl.err:
            break
    assert kubectl.err.startswith("Warning: Validation failed for ValidatingAdmissionPolicy")
    done = shell.issue("kubernetes")
    assert done.err == kubectl.err.replace("Warning", "warning")
    many = shell.pxauth("renew", "--all", "-n", shell.namespace)
    assert many.err.count("label team is missing") == 1
    assert "label team" not in shell.issue("kubernetes", *ASKED).err
    assert "label team" not in shell.pxauth("list", "-n", shell.namespace).err


def test_of_several_clusters_the_one_that_warns_is_named(shell: Shell, tmp_path: Path) -> None:
    want_a_team(shell, "Warn")
    kubeconfig = yaml.safe_load(Path(shell.environment["KUBECONFIG"]).read_text())
    current = kubeconfig["contexts"][0]
    kubeconfig["contexts"].append(current | {"name": "other"})
    file = tmp_path / "two.kubeconfig"
    file.write_text(yaml.safe_dump(kubeconfig))
    contexts = [current["name"], "other"]
    flags = [f"--kubeconfig={file}", *(f"--context={context}" for context in contexts)]
    for _ in range(600):  # a policy counts a little after it was made
        done = shell.pxauth(
            "issue", "kubernetes", "-n", shell.namespace, "--dry-run=server", *flags
        )
        if done.err.count("warning") == len(contexts):
            break
    for context in contexts:
        assert f"warning: context {context}: Validation failed" in done.err


def test_a_policy_that_wants_a_label_gets_it(shell: Shell) -> None:
    want_a_team(shell, "Deny")
    issue = ["issue", "kubernetes", "-n", shell.namespace]
    for _ in range(600):  # a policy counts a little after it was made
        done = shell.pxauth(*issue, "--dry-run=server")
        if done.code:
            break
    assert "label team is missing" in done.err
    assert shell.refused(*issue).err.count("error: ") == 1
    shell.issue("kubernetes", *ASKED)
    first = shell.secret()["metadata"]
    assert first["labels"]["team"] == "px"
    assert first["annotations"]["cost-centre"] == "a, b"
    assert shell.issue("kubernetes").out.startswith("secret/px-k8s-user configured")
    renewed = shell.pxauth("renew", "--all", "-n", shell.namespace)
    assert renewed.code == 0, renewed.err
    metadata = shell.secret()["metadata"]
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
