"""The CronJob that renews tokens inside the cluster, and the rights that it needs and no more.

What it may do follows from the operation behind `renew`: it lists the Secrets, patches those that
are due, and gets one again whose patch met another's.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_pxauth.cluster.applied import Applied, Kind, manifest_of
from kubectl_pxauth.cluster.objects import FIELD_MANAGER, MANAGED_BY
from kubectl_pxauth.cluster.secrets import SecretKeyReference

NAME = "pxauth-renew"
INSTANCE = "app.kubernetes.io/instance"
"""The label that says which namespace's job an object belongs to."""

_RBAC = "rbac.authorization.k8s.io"
SERVICE_ACCOUNT = Kind("ServiceAccount", "serviceaccounts")
ROLE = Kind("Role", "roles", _RBAC)
ROLE_BINDING = Kind("RoleBinding", "rolebindings", _RBAC)
CLUSTER_ROLE = Kind("ClusterRole", "clusterroles", _RBAC, namespaced=False)
CLUSTER_ROLE_BINDING = Kind("ClusterRoleBinding", "clusterrolebindings", _RBAC, namespaced=False)
CRON_JOB = Kind("CronJob", "cronjobs", "batch")

_RENEW = ("get", "list", "patch")
_TOO_LATE_SECONDS = 3600
_LONGEST_RUN_SECONDS = 3600
_KEPT_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class RenewalPlan:
    """When to renew which tokens, and with which image; namespace is where the job runs.

    It renews the tokens of that namespace, or of all; selector has the labels of their Secrets,
    None for any. schedule is as a CronJob takes it, within as `renew` takes it.
    """

    namespace: str
    everywhere: bool
    selector: str | None
    schedule: str
    within: str
    image: str


@dataclass(frozen=True)
class RenewalJob:
    """A plan, the issuer of the tokens, and the Secret's key that signs them."""

    plan: RenewalPlan
    issuer: str
    key: SecretKeyReference

    def arguments(self) -> list[str]:
        """What it calls the plugin with."""
        plan = self.plan
        scope = ["--all-namespaces"] if plan.everywhere else ["--namespace", plan.namespace]
        selector = ["--selector", plan.selector] if plan.selector else []
        return [
            *("renew", *scope, *selector, "--within", plan.within),
            *("--issuer", self.issuer, "--shared-secret-from", str(self.key)),
        ]

    def objects(self) -> list[Applied]:
        """All that has to be there, the job last."""
        namespace = self.plan.namespace
        labels = job_labels(namespace)
        account = manifest_of(
            SERVICE_ACCOUNT,
            namespace,
            NAME,
            labels,
            # Only the job's own pods are to have it.
            {"automountServiceAccountToken": False},
        )
        rights = [*self._role(None if self.plan.everywhere else namespace, NAME, _secrets(*_RENEW))]
        # Otherwise it may read the key with what it may already.
        if not self.plan.everywhere and self.key.namespace != namespace:
            read_key = _secrets("get") | {"resourceNames": [self.key.name]}
            rights += self._role(self.key.namespace, f"{NAME}-{namespace}", read_key)
        job = manifest_of(CRON_JOB, namespace, NAME, labels, {"spec": self._cron_job()})
        return [account, *rights, job]

    def _role(self, namespace: str | None, name: str, rule: dict[str, object]) -> list[Applied]:
        """A role with one rule in a namespace or in all, and the account bound to it."""
        role, binding = (ROLE, ROLE_BINDING) if namespace else (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
        labels = job_labels(self.plan.namespace)
        subject = {"kind": SERVICE_ACCOUNT.name, "name": NAME, "namespace": self.plan.namespace}
        bound = {
            "roleRef": {"apiGroup": _RBAC, "kind": role.name, "name": name},
            "subjects": [subject],
        }
        return [
            manifest_of(role, namespace, name, labels, {"rules": [rule]}),
            manifest_of(binding, namespace, name, labels, bound),
        ]

    def _cron_job(self) -> dict[str, object]:
        return {
            "schedule": self.plan.schedule,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _TOO_LATE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": {"labels": job_labels(self.plan.namespace)},
                "spec": {
                    "backoffLimit": 2,
                    # A run that hangs would hold back all the later ones.
                    "activeDeadlineSeconds": _LONGEST_RUN_SECONDS,
                    "ttlSecondsAfterFinished": _KEPT_SECONDS,
                    "template": {
                        "metadata": {"labels": job_labels(self.plan.namespace)},
                        "spec": self._pod(),
                    },
                },
            },
        }

    def _pod(self) -> dict[str, object]:
        """A pod that the Pod Security Standard "restricted" lets in.

        The user is the image's, which has a number: OpenShift gives each namespace one of its own,
        and would refuse another.
        """
        return {
            "serviceAccountName": NAME,
            "automountServiceAccountToken": True,
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": NAME,
                    "image": self.plan.image,
                    "command": ["kubectl-pxauth"],
                    "args": [_literal(argument) for argument in self.arguments()],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi"},
                        "limits": {"memory": "256Mi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        }


def job_labels(namespace: str) -> Mapping[str, str]:
    """What tells the objects of the job in this namespace from all others."""
    return {MANAGED_BY: FIELD_MANAGER, "app.kubernetes.io/name": NAME, INSTANCE: namespace}


def _secrets(*verbs: str) -> dict[str, object]:
    return {"apiGroups": [""], "resources": ["secrets"], "verbs": list(verbs)}


def _literal(argument: str) -> str:
    """An argument in which the kubelet finds no variable to fill in."""
    return argument.replace("$", "$$")
