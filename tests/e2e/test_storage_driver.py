"""The driver that stands for Portworx: it lets in whom Portworx does, and is a CSI driver."""

import json
import os
import subprocess
from pathlib import Path

from controlplane import build
from tests.conftest import BIN, SHARED_SECRET, Shell

_CALLS = (  # those for which csi-sanity takes secrets, and the driver asks for a token
    "CreateVolume",
    "DeleteVolume",
    "ControllerValidateVolumeCapabilities",
    "NodePublishVolume",
    "CreateSnapshot",
    "DeleteSnapshot",
    "ControllerExpandVolume",
    "ListSnapshots",
)


def test_the_driver_asks_for_tokens_as_portworx_does() -> None:
    # With the flags of the build, whose compiled packages serve again.
    command = [str(BIN / "go"), "test", "-trimpath", "-buildvcs=false", "-vet=off", "-count=1", "."]
    done = subprocess.run(
        command,
        cwd=Path(build.__file__).parent / "csi",
        env=os.environ | {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_driver_is_a_csi_driver(offline: Shell, tmp_path: Path) -> None:
    token = offline.pxauth("token", "kubernetes", "--issuer=portworx.com").out.strip()
    secrets = {f"{call}Secret": {"auth-token": token} for call in _CALLS}
    (tmp_path / "secrets.yaml").write_text(json.dumps(secrets))
    socket, state = tmp_path / "csi.sock", tmp_path / "volumes"
    key = {"PORTWORX_AUTH_JWT_SHAREDSECRET": SHARED_SECRET.decode()}
    # In mounts of its own, which end with it.
    command = [
        "unshare",
        "--mount",
        str(build.csi_driver()),
        f"-socket={socket}",
        f"-state={state}",
    ]
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
