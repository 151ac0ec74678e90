"""`make demo`: tokens on a real API server, from the first one to a rotated key."""

import base64
import json
import os
import secrets
import subprocess
import tempfile
from pathlib import Path

from controlplane.build import openstorage_tool
from controlplane.run import ControlPlane
from demo.story import heading, run


def main() -> None:
    """Tell the story of a cluster's tokens, and let OpenStorage judge one."""
    with ControlPlane() as plane, tempfile.TemporaryDirectory() as folder:
        os.environ["KUBECONFIG"] = str(plane.kubeconfig())
        shared_secret = base64.b64encode(secrets.token_bytes(64))
        key = Path(folder) / "shared-secret"
        key.write_bytes(shared_secret)

        heading("A cluster with a shared secret, where the Portworx docs put it")
        run(f"kubectl create secret generic pxkeys -n kube-system --from-file={key}")
        run("kubectl create namespace portworx")

        heading("Issue the token for Kubernetes")
        run("kubectl pxauth issue kubernetes -n portworx")

        heading("Issue it again: the user stays, and so the volumes keep their owner")
        run("kubectl pxauth issue kubernetes -n portworx")

        heading("See what the token says, and what else is in the cluster")
        run("kubectl pxauth inspect -n portworx")
        run("kubectl pxauth list -A")

        heading("Ask OpenStorage, whose verifier is in Portworx")
        print(f"OpenStorage's verifier {'accepts' if _accepts(shared_secret) else 'REFUSES'} it.")

        heading("Create the StorageClass that uses it")
        run("kubectl pxauth storageclass px-sc -n portworx -p repl=3")

        heading("Find out how the cluster is")
        run("kubectl pxauth status", fails=True)  # no Portworx is there to use the key


def _accepts(shared_secret: bytes) -> bool:
    """Whether OpenStorage's verifier takes the token in Secret portworx/px-k8s-user."""
    token = subprocess.run(
        [
            *("kubectl", "get", "secret", "px-k8s-user", "--namespace=portworx"),
            "--output=go-template={{index .data `auth-token` | base64decode}}",
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    question = {
        "token": token,
        "issuer": "portworx.com",
        "shared_secret_base64": base64.b64encode(shared_secret).decode(),
    }
    verdict = subprocess.run(
        [openstorage_tool("verify")],
        input=json.dumps(question),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    return bool(json.loads(verdict)["accepted"])


if __name__ == "__main__":
    main()
