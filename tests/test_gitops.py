"""Whose fields are whose where Git, through kubectl or Argo CD, keeps the same objects as we do.

Argo CD applies a manifest as `kubectl apply` does, or server-side as `argocd-controller`
(argoproj/argo-cd, docs/user-guide/sync-options.md); Flux applies server-side as
`kustomize-controller` (fluxcd/kustomize-controller, docs/spec/v1/kustomizations.md).
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from tests.conftest import Run, Shell

CLIENT_SIDE = ("apply",)
SERVER_SIDE = ("apply", "--server-side")
ARGO = (*SERVER_SIDE, "--field-manager=argocd-controller", "--force-conflicts")
FLUX = (*SERVER_SIDE, "--field-manager=kustomize-controller", "--force-conflicts")
WAYS = pytest.mark.parametrize("apply", [CLIENT_SIDE, ARGO, FLUX], ids=["kubectl", "Argo", "Flux"])
TOKEN = "f:auth-token"


def in_git(shell: Shell, **more: Any) -> str:
    """The Secret as Git has it: all but the token."""
    metadata = {"name": "px-k8s-user", "namespace": shell.namespace, "labels": {"team": "px"}}
    whole = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
    return json.dumps(whole | more)


def sync(shell: Shell, apply: Sequence[str], manifest: str) -> Run:
    return shell.kubectl(*apply, "-f", "-", stdin=manifest)


def owners(shell: Shell, *path: str) -> set[str]:
    """The field managers that own a field of the Secret."""
    shown = shell.kubectl(
        *("get", "secret", "px-k8s-user", "-n", shell.namespace),
        *("-o", "json", "--show-managed-fields"),
    )
    found = set()
    for entry in json.loads(shown.out)["metadata"]["managedFields"]:
        fields = entry["fieldsV1"]
        for name in path:
            fields = fields.get(name)
            if fields is None:
                break
        else:
            found.add(entry["manager"])
    return found


@WAYS
def test_a_sync_leaves_the_token_alone_and_issue_what_git_has(
    shell: Shell, apply: Sequence[str]
) -> None:
    manifest = in_git(shell)
    assert sync(shell, apply, manifest).code == 0
    shell.issue("kubernetes")
    token = shell.token()
    assert sync(shell, apply, manifest).code == 0
    assert shell.token() == token
    shell.issue("kubernetes", "--duration=2y")
    assert shell.token() != token
    assert shell.secret()["metadata"]["labels"]["team"] == "px"
    assert shell.secret()["metadata"]["annotations"]["kubectl-pxauth/issuer"] == "portworx.com"
    assert owners(shell, "f:data", TOKEN) == {"kubectl-pxauth"}
    assert "kubectl-pxauth" not in owners(shell, "f:metadata", "f:labels", "f:team")


@WAYS
def test_a_secret_that_issue_made_can_go_into_git_afterwards(
    shell: Shell, apply: Sequence[str]
) -> None:
    shell.issue("kubernetes")
    token = shell.token()
    assert sync(shell, apply, in_git(shell)).code == 0
    assert shell.token() == token
    assert shell.issue("kubernetes", "--if-needed").out.startswith("secret/px-k8s-user unchanged")


def test_a_diff_with_git_is_empty_after_issue(shell: Shell) -> None:
    manifest = in_git(shell)
    sync(shell, CLIENT_SIDE, manifest)
    shell.issue("kubernetes")
    done = shell.kubectl("diff", "-f", "-", stdin=manifest)
    assert (done.code, done.out) == (0, "")
    other = json.dumps(json.loads(manifest) | {"metadata": {**json.loads(manifest)["metadata"]}})
    changed = other.replace('"team": "px"', '"team": "db"')
    assert shell.kubectl("diff", "-f", "-", stdin=changed).code == 1  # a difference is one


OLD = {"data": {"auth-token": base64.b64encode(b"an old one").decode()}}


def test_a_token_in_git_conflicts_where_kubectl_applies_it_server_side(shell: Shell) -> None:
    shell.issue("kubernetes")
    token = shell.token()
    done = sync(shell, SERVER_SIDE, in_git(shell, **OLD))
    assert done.code == 1
    assert 'conflict with "kubectl-pxauth"' in done.err
    assert shell.token() == token


@WAYS
def test_a_token_in_git_is_put_back_at_each_sync(shell: Shell, apply: Sequence[str]) -> None:
    """Why a token does not belong into Git; `issue` puts a new one there whenever it is run."""
    shell.issue("kubernetes")
    assert sync(shell, apply, in_git(shell, **OLD)).code == 0
    assert shell.token() == "an old one"
    shell.issue("kubernetes")
    assert shell.token().startswith("eyJ")


@WAYS
def test_a_storage_class_from_git_is_the_one_that_the_command_makes(
    shell: Shell, apply: Sequence[str]
) -> None:
    name = f"class-{shell.namespace}"
    command = ("storageclass", name, "--multitenant", "-p", "repl=3")
    manifest = shell.pxauth(*command, "--dry-run=client", "-o", "yaml").out
    assert sync(shell, apply, manifest).code == 0
    done = shell.pxauth(*command)
    assert (done.code, done.out) == (0, f"storageclass.storage.k8s.io/{name} unchanged\n")
    assert shell.kubectl("diff", "-f", "-", stdin=manifest).code == 0


@WAYS
def test_a_job_from_git_is_the_one_that_the_command_makes(
    shell: Shell, apply: Sequence[str]
) -> None:
    command = ("schedule", "-n", shell.namespace, "--image=registry.example.com/pxauth:v1")
    manifest = shell.pxauth(*command, "--dry-run=client", "-o", "yaml").out
    done = sync(shell, apply, manifest)
    assert done.code == 0, done.err
    # Only the namespace as an owner is added: a manifest that is made without a server lacks it.
    first = shell.pxauth(*command)
    assert first.code == 0, first.err
    for _ in range(2):
        done = shell.pxauth(*command)
        assert done.code == 0, done.err
        assert {line.split()[1] for line in done.out.splitlines() if "/" in line.split()[0]} == {
            "unchanged"
        }
        assert sync(shell, apply, manifest).code == 0
