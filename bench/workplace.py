"""What both benchmarks run in: a cluster, a folder, and the plugin as its users have it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench.installs import install_wheel, kubectl, path_without_the_checkout, unpack_archive
from controlplane.build import openstorage_tool
from controlplane.run import ControlPlane

_USER_FILE = """\
name: Kubernetes
email: kubernetes@example.com
sub: kubernetes@example.com
roles: ["system.user"]
groups: ["kubernetes"]
"""
# The steps of the Portworx docs: the generator is another program, and the Secret may be there.
_PIPELINE = """\
set -eu -o pipefail
PORTWORX_AUTH_SHARED_SECRET=$(kubectl -n kube-system get secret pxkeys -o json |
  jq -r '.data."shared-secret"' | base64 -d)
KUBE_TOKEN=$(generate --auth-config=kubernetes.yaml --issuer=portworx.com \
  --shared-secret="$PORTWORX_AUTH_SHARED_SECRET" --token-duration=1y)
kubectl -n $NAMESPACE create secret generic $SECRET --from-literal=auth-token="$KUBE_TOKEN" \
  --dry-run=client -o yaml | kubectl apply -f -
"""


@dataclass(frozen=True)
class Workplace:
    """A cluster, a folder with programs in it, and the environment that finds them.

    installs are the folders of the plugin's programs, by how it was installed.
    """

    plane: ControlPlane
    folder: Path
    environment: dict[str, str]
    installs: dict[str, Path]


def prepare(plane: ControlPlane, folder: Path, shared_secret: str) -> Workplace:
    """Fill the cluster and the folder."""
    if not shutil.which("jq"):
        raise SystemExit("the docs' pipeline needs jq: apt-get install jq")
    (folder / "kubernetes.yaml").write_text(_USER_FILE)
    (folder / "pipeline.sh").write_text(_PIPELINE)
    programs = folder / "programs"
    programs.mkdir()
    (programs / "kubectl-noop").write_text("#!/bin/sh\n")
    (programs / "kubectl-noop").chmod(0o755)
    (programs / "generate").symlink_to(openstorage_tool("generate"))
    (programs / "kubectl").symlink_to(kubectl())
    environment = {
        "HOME": str(folder),
        "KUBECONFIG": str(plane.kubeconfig()),
        "NAMESPACE": "pipeline",
        "SECRET": "px-k8s-user",
        "PATH": f"{programs}:{path_without_the_checkout()}",
    }
    for command in (
        "create namespace pipeline",
        "create namespace portworx",
        "create secret generic pxkeys --namespace=kube-system"
        f" --from-literal=shared-secret={shared_secret}",
    ):
        words = ["kubectl", *command.split()]
        subprocess.run(words, env=environment, stdout=subprocess.PIPE, check=True)
    installs = {
        "wheel": install_wheel(folder / "wheel"),
        "archive": unpack_archive(folder / "archive"),
    }
    return Workplace(plane, folder, environment, installs)
