"""`make demo`: issue a token on a real API server, look at it, and let OpenStorage judge it."""

import base64
import json
import os
import secrets
import shlex
import subprocess
import tempfile
from pathlib import Path

from controlplane.build import openstorage_tool
from controlplane.run import ControlPlane


def run(command: str) -> str:
    """Show a command, run it, show what it prints."""
    print(f"$ {command}", flush=True)
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout, flush=True)
    return done.stdout


def main() -> None:
    """The page's third step in one command, twice."""
    with ControlPlane() as plane, tempfile.TemporaryDirectory() as folder:
        os.environ["KUBECONFIG"] = str(plane.kubeconfig())
        os.environ.pop("PORTWORX_AUTH_SHARED_SECRET", None)
        shared_secret = base64.b64encode(secrets.token_bytes(64))
        key = Path(folder) / "shared-secret"
        key.write_bytes(shared_secret)
        run(f"kubectl create secret generic pxkeys -n kube-system --from-file={key}")
        run("kubectl create namespace portworx")
        run("kubectl pxauth issue kubernetes -n portworx")
        run("kubectl pxauth issue kubernetes -n portworx")
        run("kubectl describe secret px-k8s-user -n portworx")
        token = subprocess.run(
            [
                *("kubectl", "get", "secret", "px-k8s-user", "--namespace=portworx"),
                "--output=go-template={{index .data `auth-token` | base64decode}}",
            ],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        print("The claims of the token:", json.dumps(claims, indent=2), sep="\n")
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
        accepted = json.loads(verdict)["accepted"]
        print(f"\nOpenStorage's verifier {'accepts' if accepted else 'REFUSES'} it.")


if __name__ == "__main__":
    main()
