"""The CSI driver that stands for Portworx is one, by the conformance tests of Kubernetes."""

import json
import os
import subprocess
from pathlib import Path

from controlplane import build
from tests.conftest import SHARED_SECRET, Shell

_CALLS = (
    "CreateVolume",
    "DeleteVolume",
    "ControllerValidateVolumeCapabilities",
    "NodePublishVolume",
    "CreateSnapshot",
    "DeleteSnapshot",
    "ControllerExpandVolume",
    "ListSnapshots",
)


def test_the_driver_is_a_csi_driver(offline: Shell, tmp_path: Path) -> None:
    token = offline.pxauth("token", "kubernetes", "--issuer=portworx.com").out.strip()
    secrets = {f"{call}Secret": {"auth-token": token} for call in _CALLS}
    (tmp_path / "secrets.yaml").write_text(json.dumps(secrets))
    socket, state = tmp_path / "csi.sock", tmp_path / "volumes"
    key = {"PORTWORX_AUTH_JWT_SHAREDSECRET": SHARED_SECRET.decode()}
    # In mounts of its own, which end with it.
    command = ["unshare", "--mount", build.csi_driver(), f"-socket={socket}", f"-state={state}"]
    driver = subprocess.Popen([*command, "-jwt_issuer=portworx.com"], env=os.environ | key)
    try:
        done = subprocess.run(
            [
                build.csi_sanity(),
                f"--csi.endpoint=unix:{socket}",
                f"--csi.secrets={tmp_path / 'secrets.yaml'}",
                f"--csi.mountdir={tmp_path / 'mount'}",
                f"--csi.stagingdir={tmp_path / 'staging'}",
            ],
            capture_output=True,
            text=True,
        )
    finally:
        driver.kill()
        driver.wait()
    assert done.returncode == 0, done.stdout[-8000:]
    assert "0 Failed" in done.stdout
    assert not list(state.glob("*/data")), "it left volumes behind"
