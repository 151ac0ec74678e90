"""Kubeconfigs in text, and whom kubectl and the plugin turn out to be with them."""

import base64
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

from controlplane.run import ControlPlane
from tests.conftest import Shell

CLUSTER = "server: SERVER\ncertificate-authority: CAFILE"
USER = "client-certificate: CERTFILE\nclient-key: KEYFILE"


def write_kubeconfig(path: Path, plane: ControlPlane, cluster: str, user: str) -> Path:
    """One cluster, one user and a context, in YAML, with what stands for the plane filled in."""
    certificate, key = plane.client_cert("alice")
    text = "\n".join(
        (
            "apiVersion: v1\nkind: Config\ncurrent-context: c",
            "clusters:\n- name: c\n  cluster:",
            textwrap.indent(cluster, "    "),
            "contexts: [{name: c, context: {cluster: c, user: u}}]",
            "users:\n- name: u\n  user:",
            textwrap.indent(user, "    "),
        )
    )
    for name, file in (("CA", plane.ca_file), ("CERT", certificate), ("KEY", key)):
        data = base64.b64encode(file.read_bytes()).decode()
        lines = textwrap.wrap(data, 64)
        text = text.replace(f"{name}FILE", str(file)).replace(f"{name}64", data)
        text = re.sub(f"( *){name}LINES", lambda at, lines=lines: _indented(lines, at[1]), text)  # type: ignore[misc]
        twice = base64.b64encode("\n".join(lines).encode()).decode()
        text = text.replace(f"{name}TWICE", twice).replace(f"{name}QUOTED", "\\n".join(lines))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.replace("SERVER", plane.server).replace("<CR>", "\r").encode())
    return path


def _indented(lines: list[str], indent: str) -> str:
    return "\n".join(indent + line for line in lines)


def users(shell: Shell, *flags: str) -> dict[str, str | None]:
    """For kubectl and for the plugin: the user that the server sees, if it is anybody."""
    done = shell.kubectl("auth", "whoami", "-o", "json", *flags)
    seen = json.loads(done.out)["status"]["userInfo"]["username"] if done.code == 0 else None
    return {"kubectl": seen, "pxauth": user_of_plugin(shell, *flags)}


def user_of_plugin(shell: Shell, *flags: str) -> str | None:
    """A user without rights is named in the server's refusal."""
    done = shell.refused("issue", "kubernetes", *flags)
    found = re.search(r'"(\S+)" may not get', done.err)
    return found[1] if found and found[1] != "system:anonymous" else None


def texts(value: object) -> Iterator[str]:
    """All texts in something read from YAML or JSON."""
    if isinstance(value, dict):
        for part in value.values():
            yield from texts(part)
    elif isinstance(value, list):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value
