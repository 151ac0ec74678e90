"""`make try`: what a token is and says, in seconds, without a cluster."""

import base64
import os
import secrets
import tempfile
from pathlib import Path

from demo.story import heading, run

_KEY = "--shared-secret-file key"


def main() -> None:
    """Make a token, look at it, judge it, and print what a cluster would get."""
    os.environ["KUBECONFIG"] = os.devnull
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for key in ("key", "another-key"):
            (folder / key).write_bytes(base64.b64encode(secrets.token_bytes(64)))
        print(
            "No cluster is asked here. The file `key` holds a shared secret made just now, in the"
        )
        print("place of the one that a cluster keeps in Secret kube-system/pxkeys.")

        heading("Make a token for the storage administrator")
        run(f"kubectl pxauth token admin {_KEY} --duration 12h --output admin.jwt", folder)

        heading("See what it says, without pasting it into a web page")
        run(f"kubectl pxauth inspect --token-file admin.jwt {_KEY} --issuer portworx.com", folder)

        heading("Would Portworx accept it? The exit code says so too")
        verify = "kubectl pxauth verify --token-file admin.jwt --issuer portworx.com"
        run(f"{verify} {_KEY}", folder)

        heading("Would a cluster with another key accept it?")
        run(f"{verify} --shared-secret-file another-key", folder, fails=True)

        heading("The Secret that `issue` would write for Kubernetes, and its StorageClass")
        dry = "-n portworx --dry-run=client -o yaml"
        run(f"kubectl pxauth issue kubernetes {dry} {_KEY}", folder)
        run(f"kubectl pxauth storageclass px-sc {dry} -p repl=3 {_KEY}", folder)

        heading("Next")
        print("With a cluster:      kubectl pxauth issue kubernetes -n portworx")
        print("With a test cluster: make demo (the first time it builds one, in minutes)")
        print("All commands:        kubectl pxauth help")


if __name__ == "__main__":
    main()
