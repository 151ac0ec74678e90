"""`make bench`: the plugin beside the page's pipeline, both on a real API server."""

import argparse
import base64
import secrets
import subprocess
import tempfile
from pathlib import Path

from bench.installs import kubectl
from bench.one import one
from controlplane.run import ControlPlane


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of each command (20)")
    runs = parser.parse_args().runs
    # As the page makes one.
    shared_secret = base64.b64encode(secrets.token_bytes(64)).decode()
    with ControlPlane() as plane, tempfile.TemporaryDirectory() as name:
        subprocess.run(
            [
                *(kubectl(), "create", "secret", "generic", "pxkeys", "--namespace=kube-system"),
                f"--from-literal=shared-secret={shared_secret}",
            ],
            env={"KUBECONFIG": str(plane.kubeconfig())},
            stdout=subprocess.PIPE,
            check=True,
        )
        one(plane, Path(name), shared_secret, runs)


if __name__ == "__main__":
    main()
