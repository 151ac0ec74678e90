"""What a node leaves behind, and what is said where there can be none."""

import os
import subprocess
import sys
from pathlib import Path

from controlplane.node import Cluster, Node
from tests.e2e.waiting import eventually

_OWNER = """
import time
from controlplane.node import Node
with Node() as node:
    node.start("sleep", "sleep", "1000")
    print(node.folder, flush=True)
    time.sleep(1000)
"""


def test_a_node_ends_with_an_owner_that_is_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        folder = Path(owner.stdout.readline().strip())
        owner.kill()
    (folder / "left").touch()
    interface = Path("/sys/class/net") / folder.name.replace("-node-", "")
    eventually(lambda: not interface.exists(), "a network interface that is gone")
    with Node() as node:  # the next of that number
        assert node.folder == folder
        assert not (folder / "left").exists()
        assert interface.exists()
    assert not folder.exists()
    assert list(Path("/sys/fs/cgroup").glob(f"*/{folder.name}")) == []
    assert not interface.exists()


def test_the_host_does_not_see_what_the_node_mounts(cluster: Cluster) -> None:
    mounts = cluster.node.run("cat", "/proc/self/mounts", check=True) or ""
    assert str(cluster.node.folder) in mounts
    assert str(cluster.node.folder) not in Path("/proc/self/mounts").read_text()


def test_who_is_not_root_is_told_so() -> None:
    done = subprocess.run(
        ["setpriv", "--reuid=65534", sys.executable, "-m", "controlplane.node"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: a node needs root: ")
