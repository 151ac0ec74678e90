"""Which kubeconfig is read, where no kubectl is there to compare with."""

from pathlib import Path

import pytest

from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, read_kubeconfig


def test_without_the_variable_no_home_is_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container's user may have none at all, and asking for it is an error."""
    config = tmp_path / ".kube" / "config"
    config.parent.mkdir()
    config.write_text(
        "clusters: [{name: c, cluster: {server: https://c}}]\n"
        "contexts: [{name: c, context: {cluster: c}}]\ncurrent-context: c\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_kubeconfig(ConnectionOptions(), {"HOME": str(tmp_path)}).cluster
    assert read_kubeconfig(ConnectionOptions(), {}).cluster is None
