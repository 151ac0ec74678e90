"""What is fuzzed: everything that reads what others wrote, as functions of some bytes.

Whatever the bytes are, each answers or raises an error that is said in one line.
"""

import json
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any

from kubectl_pxauth.cluster.exec import Finished
from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, read_kubeconfig
from kubectl_pxauth.cluster.names import check_data_key, check_namespace, check_secret_name
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.operations.context import list_contexts
from kubectl_pxauth.portworx.pxctl import PxctlNode
from kubectl_pxauth.portworx.settings import MalformedError, read_daemon_set, read_storage_cluster
from kubectl_pxauth.text import printable
from kubectl_pxauth.token.duration import format_duration, parse_duration
from kubectl_pxauth.token.user_file import read_user_file
from kubectl_pxauth.token.verdict import Trust, judge

CORPUS = Path(__file__).parents[1] / "tests" / "corpus"
"""A folder for each target: seeds, and what was ever found."""
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TRUST = Trust("portworx.com", b"k" * 64)


def user_file(data: bytes) -> None:
    read_user_file(data, "file")


def token(data: bytes) -> None:
    verdict = judge(data, TRUST, NOW)
    for finding in verdict.findings:
        assert finding.message.isprintable(), finding


def kubeconfig(data: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(data)
        file.flush()
        read_kubeconfig(ConnectionOptions(kubeconfig=file.name), {})


def storage_cluster(data: bytes) -> None:
    _read_object(data, read_storage_cluster)


def daemon_set(data: bytes) -> None:
    _read_object(data, read_daemon_set)


def _read_object(data: bytes, read: Callable[[dict[str, Any], str, str], object]) -> None:
    with suppress(ValueError, RecursionError):  # the API server sends nothing but JSON
        item = json.loads(data)
        if isinstance(item, dict):
            metadata = item.get("metadata")
            # Without a name it comes no further than cluster/answers.py.
            item["metadata"] = (metadata if isinstance(metadata, dict) else {}) | {"name": "x"}
            with suppress(MalformedError):
                read(item, "px", "Object px/x")


def contexts(data: bytes) -> None:
    said = Finished(0, data.decode(errors="replace"), "", "")

    def execute(*_: object) -> Finished:
        return said

    node = PxctlNode("node", "pxctl", ready=True, execute=execute)
    for result in list_contexts([node], Event()):
        for context in result.value or ():
            assert isinstance(context.name, str)
            assert isinstance(context.subject, str | None)


def duration(data: bytes) -> None:
    assert parse_duration(format_duration(parse_duration(_text(data)))) is not None


def name(data: bytes) -> None:
    for check in (check_secret_name, check_namespace, check_data_key):
        with suppress(PxauthError):
            checked = check(_text(data))
            assert checked.isascii()
            assert printable(checked) == checked


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


TARGETS: dict[str, Callable[[bytes], None]] = {
    target.__name__: target
    for target in (
        user_file,
        token,
        kubeconfig,
        storage_cluster,
        daemon_set,
        contexts,
        duration,
        name,
    )
}


def run(target: str, data: bytes) -> None:
    """Feed a target; raises what is a bug of ours, and nothing else."""
    try:
        TARGETS[target](data)
    except PxauthError as error:
        words = f"{error}{error.hint or ''}"
        assert len(words) < 100_000, words[:200]
