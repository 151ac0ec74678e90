"""The cluster that the flags name."""

from functools import cache

from kubectl_pxauth.cli import output
from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.kubeconfig import ConnectionOptions, Kubeconfig, read_kubeconfig
from kubectl_pxauth.frozen import dataclass

read = cache(read_kubeconfig)
opened: list[Cluster] = []
"""The clusters of this run."""


@cache
def _open(options: ConnectionOptions, *, log_requests: bool, shown: str) -> Cluster:
    log = output.log if log_requests else None
    cluster = Cluster(
        read(options).target(),
        options.request_timeout,
        log,
        tell=lambda text: output.note(text, shown),
        warn=lambda text: output.warnings([text], shown),
    )
    opened.append(cluster)
    return cluster


@dataclass(frozen=True)
class Connection:
    """The cluster that the flags name; nothing is read before it is asked for.

    shown is the context's name, where several are worked on.
    """

    options: ConnectionOptions
    log_requests: bool = False
    shown: str = ""

    @property
    def kubeconfig(self) -> Kubeconfig:
        """What the kubeconfig files and the flags say; raises ClusterError."""
        return read(self.options)

    def open(self) -> Cluster:
        """A cluster to send requests to; raises ClusterError."""
        return _open(self.options, log_requests=self.log_requests, shown=self.shown)
