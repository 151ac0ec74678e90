"""The Portworx that runs: its pods, when each was started, and how to restart it.

Portworx takes its key from its environment: a pod has the key that was there at its start.
"""

from collections.abc import Iterable
from datetime import datetime

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.pods import Pod, find_pods
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.settings import PortworxSpec

_LABEL = "name=portworx"
_DAEMON_SET, _STORAGE_CLUSTER = "DaemonSet ", "StorageCluster "


@dataclass(frozen=True)
class RunningPortworx:
    """The pods in Portworx' namespace, and the object that starts them, empty if unknown."""

    namespace: str
    owner: str
    pods: tuple[Pod, ...]

    def started_before(self, time: datetime) -> tuple[Pod, ...]:
        """The pods that were started before that time, and so have what was there then."""
        return tuple(pod for pod in self.pods if pod.started_at and pod.started_at < time)

    def restart_commands(self, pods: Iterable[Pod] | None = None) -> tuple[str, ...]:
        """What to run so that these pods, or all, are started again, in this order.

        A DaemonSet is restarted by kubectl. The operator has no DaemonSet: it makes the pods, and
        replaces one that is deleted (libopenstorage/operator, pkg/controller/storagecluster). It
        does not restart them where a key changes: it looks at the Secret's name, and not at its
        content (the same, update.go, isSecurityBounceRequired).
        """
        if self.owner.startswith(_DAEMON_SET):
            place = f"daemonset/{self.owner.rpartition('/')[2]} -n {self.namespace}"
            return f"kubectl rollout restart {place}", f"kubectl rollout status {place}"
        commands: list[str] = []
        for pod in self.pods if pods is None else pods:
            if not pod.node:
                continue  # it takes the key that is there once a node starts it
            # Pods of other nodes are ready all the time, and the new one has another name.
            new = f"pod -l {_LABEL} -n {pod.namespace} --field-selector=spec.nodeName={pod.node}"
            commands += [
                f"kubectl delete pod {pod.name} -n {pod.namespace}",
                f"kubectl wait --for=create {new} --timeout=30m",
                f"kubectl wait --for=condition=Ready {new} --timeout=30m",
            ]
        return tuple(commands)


def find_running(
    cluster: Cluster, specs: Iterable[PortworxSpec], namespace: str
) -> RunningPortworx:
    """What runs where these objects start it, else in that namespace; raises ClusterErrors."""
    owners = [spec.owner for spec in specs]
    owner = next((owner for owner in owners if owner.startswith(_STORAGE_CLUSTER)), "")
    owner = owner or next(iter(owners), "")
    if owner:
        namespace = owner.partition(" ")[2].partition("/")[0]
    pods = sorted(find_pods(cluster, namespace, _LABEL), key=lambda pod: pod.name)
    return RunningPortworx(namespace, owner, tuple(pods))
