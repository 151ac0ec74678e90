"""What a machine needs for a real node, and how Debian gets it."""

import os
import shutil
import subprocess
import sys

# What a node and its images are made with: a program of each package, by which it is found.
_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}


def lacking() -> list[str]:
    """Return what keeps this machine from having a node, each as a sentence; empty if nothing."""
    if sys.platform != "linux":
        return [f"a node needs Linux, and this is {sys.platform}"]
    found = []
    if os.geteuid() != 0:
        found.append("a node needs root: it mounts, and makes network interfaces and cgroups")
    if packages := _packages():
        found.append(
            f"there are no packages {' '.join(packages)}: make e2e installs them on Debian"
        )
    return found


def install() -> None:
    """Install the packages that are not there. Does nothing where it can't; `lacking` says why."""
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    if packages := _packages():
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        install = ["apt-get", "install", "--yes", "--no-install-recommends"]
        for command in (["apt-get", "update"], [*install, *packages]):
            # What apt-get says is on the terminal; a package that is not there is found missing.
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL)


def _packages() -> list[str]:
    return [package for program, package in _PACKAGES.items() if shutil.which(program) is None]
