"""A command in a pod: what goes in, what comes out, and how its end is told."""

import json

import pytest

from kubectl_pxauth.cluster import exec as pod_exec
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.exec import run_in_pod
from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, read_kubeconfig
from kubectl_pxauth.cluster.pods import Pod
from kubectl_pxauth.errors import ClusterError
from tests.conftest import Portworx


@pytest.mark.parametrize("protocol", ["v5.channel.k8s.io", "v4.channel.k8s.io"])
def test_both_protocols(portworx: Portworx, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setattr(pod_exec, "_PROTOCOLS", (protocol,))
    options = ConnectionOptions(kubeconfig=portworx.shell.environment["KUBECONFIG"])
    cluster = Cluster(read_kubeconfig(options).target())
    pod = Pod(portworx.shell.namespace, "portworx-node-a", "node-a", ready=True)
    command = ["sh", "-c", 'read -r x; seq 20000; echo "$x" >&2; exit 3']
    done = run_in_pod(cluster, pod, "portworx", command, "ä line")
    assert done.output == "".join(f"{number}\n" for number in range(1, 20001))
    assert (done.code, done.errors) == (3, "ä line\n")
    assert run_in_pod(cluster, pod, "portworx", ["echo", "a b"]).output == "a b\n"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        # As a kubelet writes it: k8s.io/cri-streaming, pkg/streaming/remotecommand/exec.go.
        (
            {
                "status": "Failure",
                "reason": "NonZeroExitCode",
                "message": "command terminated with non-zero exit code: exit status 42",
                "details": {"causes": [{"reason": "ExitCode", "message": "42"}]},
            },
            42,
        ),
        ({"status": "Failure", "reason": "InternalError", "message": "no such container"}, None),
        ({"status": "Success"}, 0),
    ],
)
def test_the_end_of_a_command(status: dict[str, object], code: int | None) -> None:
    channels = {1: bytearray(), 2: bytearray(), 3: bytearray(json.dumps(status).encode())}
    assert pod_exec._finished(channels, Pod("n", "p", "", ready=True)).code == code


@pytest.mark.parametrize("status", [b"", b"[]", b"{}", b"{"])
def test_an_end_without_a_word(status: bytes) -> None:
    channels = {1: bytearray(), 2: bytearray(), 3: bytearray(status)}
    with pytest.raises(ClusterError, match="pod n/p: the connection broke"):
        pod_exec._finished(channels, Pod("n", "p", "", ready=True))
