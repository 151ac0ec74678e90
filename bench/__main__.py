"""`make bench`: the plugin beside the docs' pipeline, both on a real API server."""

import argparse
import base64
import secrets
import tempfile
from pathlib import Path

from bench.many import many_namespaces
from bench.one import single_token
from bench.workplace import prepare
from controlplane.run import ControlPlane


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs for one token (20)")
    parser.add_argument("--many-runs", type=int, default=5, help="runs for many (5)")
    arguments = parser.parse_args()
    # As the Portworx docs make one.
    shared_secret = base64.b64encode(secrets.token_bytes(64)).decode()
    with ControlPlane() as plane, tempfile.TemporaryDirectory() as name:
        workplace = prepare(plane, Path(name), shared_secret)
        if arguments.runs:
            single_token(workplace, shared_secret, arguments.runs)
        if arguments.many_runs:
            many_namespaces(workplace, arguments.many_runs)


if __name__ == "__main__":
    main()
