"""How the CronJob that renews tokens looks, with the rights that it needs and no more.

What it may do follows from the operations behind `renew` and `issue`: it lists the Secrets, patches
those that are due, gets one again whose patch met another's, and makes those that are missing only
where it issues.
"""

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from kubectl_pxauth.cluster.access import Rule
from kubectl_pxauth.cluster.applied import Applied, Kind, manifest_of
from kubectl_pxauth.cluster.names import check_namespace
from kubectl_pxauth.cluster.objects import FIELD_MANAGER, MANAGED_BY
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.portworx.rights import JOB_RENEWS
from kubectl_pxauth.token.duration import parse_duration

JOB_LABEL = "kubectl-pxauth/job"
"""The label that tells a job's objects from all others; its value is the job's name.

Not app.kubernetes.io/instance, which Argo CD takes to say whose application an object is.
"""
GIVEN = "kubectl-pxauth/given"
"""The annotation that says what of a CronJob was said, and not found in the cluster."""

RENEWING, ISSUING = "pxauth-renew", "pxauth-issue"
"""The containers' names; the first is also that of the job for all namespaces."""
NAME_LABEL = "app.kubernetes.io/name"
OLD_OBJECTS = (
    f"{NAME_LABEL}={RENEWING},{MANAGED_BY}={FIELD_MANAGER},!{JOB_LABEL}"  # of release 0.1.0
)

_RBAC = "rbac.authorization.k8s.io"
SERVICE_ACCOUNT = Kind("ServiceAccount", "serviceaccounts")
ROLE = Kind("Role", "roles", _RBAC)
ROLE_BINDING = Kind("RoleBinding", "rolebindings", _RBAC)
CLUSTER_ROLE = Kind("ClusterRole", "clusterroles", _RBAC, namespaced=False)
CLUSTER_ROLE_BINDING = Kind("ClusterRoleBinding", "clusterrolebindings", _RBAC, namespaced=False)
CRON_JOB = Kind("CronJob", "cronjobs", "batch")
# The job first, so that it never runs without rights.
KINDS = (CRON_JOB, CLUSTER_ROLE_BINDING, CLUSTER_ROLE, ROLE_BINDING, ROLE, SERVICE_ACCOUNT)
BINDINGS = (ROLE_BINDING, CLUSTER_ROLE_BINDING)

_TOO_LATE_SECONDS = 3600
_LONGEST_RUN_SECONDS = 3600
_KEPT_SECONDS = 7 * 24 * 3600
_LONGEST_NAME = 52  # of a CronJob: kubernetes/kubernetes, pkg/apis/batch/validation

# A sidecar that proxies would not end with it, nor let it reach the API server at once.
# Sources: istio/istio pkg/kube/inject/inject.go (label, then annotation); linkerd/linkerd2
# pkg/k8s/labels.go; kumahq/kuma pkg/plugins/runtime/k8s/webhooks/injector (label, then
# annotation); hashicorp/consul-k8s control-plane/connect-inject/constants.
_NO_MESH_LABELS = {"sidecar.istio.io/inject": "false", "kuma.io/sidecar-injection": "disabled"}
_NO_MESH_ANNOTATIONS = {
    "sidecar.istio.io/inject": "false",
    "linkerd.io/inject": "disabled",
    "consul.hashicorp.com/connect-inject": "false",
}


@dataclass(frozen=True)
class Toleration:
    """A taint that the pod tolerates; None is any effect, value or time."""

    key: str | None
    value: str | None = None
    effect: str | None = None
    seconds: int | None = None

    def manifest(self) -> dict[str, object]:
        """As it stands in a pod's spec."""
        said = {
            "key": self.key,
            "operator": "Exists" if self.value is None else "Equal",
            "value": self.value,
            "effect": self.effect,
            "tolerationSeconds": self.seconds,
        }
        return {key: value for key, value in said.items() if value is not None}


@dataclass(frozen=True)
class Issuing:
    """What the job also issues, and does not only renew: a profile's token, in which namespaces."""

    profile: str
    namespace_selector: str


@dataclass(frozen=True)
class JobSettings:
    """When to renew which tokens, with which image, in a pod of which kind.

    schedule and time_zone are as a CronJob takes them, within as `renew` takes it; selector has the
    labels of the Secrets, None for any. requests and limits are Kubernetes' quantities by resource.
    labels and annotations go onto all that is made.
    """

    image: str
    schedule: str = "0 3 * * *"
    time_zone: str | None = None
    within: str = "30d"
    selector: str | None = None
    issuing: Issuing | None = None
    # A quota may want all four said; a LimitRange may allow a ratio of 2 at most.
    requests: Mapping[str, str] = field(default_factory=lambda: {"cpu": "50m", "memory": "64Mi"})
    limits: Mapping[str, str] = field(default_factory=lambda: {"cpu": "100m", "memory": "128Mi"})
    tolerations: tuple[Toleration, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    priority_class: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RenewalJob:
    """A CronJob: whose tokens it renews (None for all namespaces'), where it runs, and as what.

    given says which of "issuer" and "shared-secret-from" the user named, so that they are not
    looked up again, and whether "allow-weak-key" was.
    """

    scope: str | None
    namespace: str
    settings: JobSettings
    issuer: str
    key: SecretKeyReference
    given: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What all its objects are called."""
        return job_name(self.scope)

    @property
    def is_confined(self) -> bool:
        """Whether it has no right outside of the namespace that it serves and runs in."""
        return self.scope == self.namespace == self.key.namespace

    def arguments(self) -> list[str]:
        """What it calls the plugin with."""
        scope = ["--namespace", self.scope] if self.scope else ["--all-namespaces"]
        selector = self.settings.selector
        return ["renew", *scope, *(["--selector", selector] if selector else []), *self._common()]

    def issue_arguments(self, issuing: Issuing) -> list[str]:
        """What it calls the plugin with to make what is missing."""
        metadata = [("--label", self.settings.labels), ("--annotation", self.settings.annotations)]
        return [
            *("issue", issuing.profile, "--namespace-selector", issuing.namespace_selector),
            *("--if-needed", *self._common()),
            *(
                word
                for flag, pairs in metadata
                for key, value in pairs.items()
                for word in (flag, f"{key}={value}")
            ),
        ]

    def _common(self) -> list[str]:
        return [
            *("--within", self.settings.within),
            *("--issuer", self.issuer, "--shared-secret-from", str(self.key)),
            *(["--allow-weak-key"] if "allow-weak-key" in self.given else []),
        ]

    def objects(self) -> list[Applied]:
        """All that has to be there, the job last."""
        # Only the job's own pods are to have it.
        account = {"automountServiceAccountToken": False}
        given = {GIVEN: ",".join(self.given)} if self.given else {}
        return [
            self._object(SERVICE_ACCOUNT, self.namespace, self.name, account),
            *self._rights(),
            self._object(
                CRON_JOB, self.namespace, self.name, {"spec": self._cron_job()}, annotations=given
            ),
        ]

    def _rights(self) -> list[Applied]:
        if self.scope is None:
            issuing = self.settings.issuing
            rules = [Rule((*JOB_RENEWS, *(("create",) if issuing else ())), "secrets", None)]
            if issuing:
                rules.append(Rule(("list",), "namespaces", ""))
            return self._role(None, self.name, rules)
        rights = self._role(self.scope, self.name, [Rule(JOB_RENEWS, "secrets", self.scope)])
        # Otherwise it may read the key with what it may already.
        if self.key.namespace != self.scope:
            read_key = Rule(("get",), "secrets", self.key.namespace, (self.key.name,))
            rights += self._role(self.key.namespace, f"{self.name}-key", [read_key])
        return rights

    def _role(self, namespace: str | None, name: str, rules: list[Rule]) -> list[Applied]:
        """A role in a namespace or in all, and the account bound to it."""
        role, binding = (ROLE, ROLE_BINDING) if namespace else (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
        account = {"kind": SERVICE_ACCOUNT.name, "name": self.name, "namespace": self.namespace}
        reference = {"apiGroup": _RBAC, "kind": role.name, "name": name}
        return [
            self._object(role, namespace, name, {"rules": [rule.manifest() for rule in rules]}),
            self._object(binding, namespace, name, {"roleRef": reference, "subjects": [account]}),
        ]

    def _object(
        self,
        kind: Kind,
        namespace: str | None,
        name: str,
        content: Mapping[str, object],
        annotations: Mapping[str, str] | None = None,
    ) -> Applied:
        annotations = {**self.settings.annotations, **(annotations or {})}
        labels = self._labels()
        return manifest_of(kind, namespace, name, content, labels=labels, annotations=annotations)

    def _labels(self) -> dict[str, str]:
        ours = {MANAGED_BY: FIELD_MANAGER, NAME_LABEL: RENEWING, JOB_LABEL: self.name}
        return {**self.settings.labels, **ours}

    def _cron_job(self) -> dict[str, object]:
        settings = self.settings
        time_zone = {"timeZone": settings.time_zone} if settings.time_zone else {}
        return {
            "schedule": settings.schedule,
            **time_zone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": _TOO_LATE_SECONDS,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": self._template_metadata({}, {}),
                "spec": {
                    "backoffLimit": 2,
                    # A run that hangs would hold back all the later ones.
                    "activeDeadlineSeconds": _LONGEST_RUN_SECONDS,
                    "ttlSecondsAfterFinished": _KEPT_SECONDS,
                    "template": self.pod_template(),
                },
            },
        }

    def _template_metadata(
        self, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> dict[str, object]:
        annotations = {**annotations, **self.settings.annotations}
        metadata: dict[str, object] = {"labels": {**labels, **self._labels()}}
        return metadata | ({"annotations": annotations} if annotations else {})

    def pod_template(self) -> dict[str, Any]:
        """A pod that the Pod Security Standard "restricted" lets in.

        The user is the image's, which has a number: OpenShift gives each namespace one of its own,
        and would refuse another.
        """
        settings = self.settings
        calls = [(RENEWING, self.arguments())]
        if settings.issuing:
            # Beside the other and not before it: what fails in one is no hindrance for the other.
            calls.append((ISSUING, self.issue_arguments(settings.issuing)))
        spec: dict[str, Any] = {
            "serviceAccountName": self.name,
            "automountServiceAccountToken": True,
            "restartPolicy": "Never",
            "nodeSelector": {"kubernetes.io/os": "linux", **settings.node_selector},
            "securityContext": {
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [self._container(name, arguments) for name, arguments in calls],
        }
        if settings.tolerations:
            spec["tolerations"] = [one.manifest() for one in settings.tolerations]
        if settings.priority_class:
            spec["priorityClassName"] = settings.priority_class
        if settings.image_pull_secrets:
            spec["imagePullSecrets"] = [{"name": name} for name in settings.image_pull_secrets]
        return {
            "metadata": self._template_metadata(_NO_MESH_LABELS, _NO_MESH_ANNOTATIONS),
            "spec": spec,
        }

    def _container(self, name: str, arguments: list[str]) -> dict[str, object]:
        return {
            "name": name,
            "image": self.settings.image,
            "command": ["kubectl-pxauth"],
            "args": [_literal(argument) for argument in arguments],
            "resources": {
                "requests": dict(self.settings.requests),
                "limits": dict(self.settings.limits),
            },
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            },
        }


def job_name(scope: str | None) -> str:
    """The name of the job for that namespace, or for all; another one for each."""
    if scope is None:
        return RENEWING
    name = f"{RENEWING}-{scope}"
    if len(name) <= _LONGEST_NAME:
        return name
    from hashlib import sha256

    digest = sha256(scope.encode()).hexdigest()[:8]
    return f"{name[: _LONGEST_NAME - len(digest) - 1]}-{digest}"


def named_scope(name: str) -> str | None:
    """The reverse of job_name; empty where it is no job's name, or so long that it may be cut."""
    scope = name.removeprefix(RENEWING).removeprefix("-") or None
    return scope if job_name(scope) == name and len(name) < _LONGEST_NAME else ""


def is_job_object(found: Applied) -> bool:
    """Whether an object is one of a job, of this release's or of 0.1.0's."""
    labels = found.labels
    ours = labels.get(MANAGED_BY) == FIELD_MANAGER and labels.get(NAME_LABEL) == RENEWING
    return JOB_LABEL in labels or ours


def read_job(cron_job: Applied) -> RenewalJob | None:
    """The job that a CronJob is, also one of 0.1.0; None where its containers were changed."""
    spec = cron_job.manifest["spec"]
    template = spec["jobTemplate"]["spec"]["template"]
    pod = template["spec"]
    containers = {one["name"]: one for one in pod["containers"]}
    if RENEWING not in containers or cron_job.namespace is None:
        return None
    container = containers[RENEWING]
    flags = _Flags(container)
    named, within = flags.get("--shared-secret-from"), flags.get("--within") or "30d"
    scope = flags.get("--namespace")
    if not named:
        return None
    try:  # anybody may have written them
        if scope is not None:
            check_namespace(scope)
        key = SecretKeyReference.parse(named, default=SecretKeyReference("", "", ""))
        parse_duration(within)
    except UsageError:
        return None
    issuing = None
    if ISSUING in containers:
        issue = _Flags(containers[ISSUING])
        selector = issue.get("--namespace-selector")
        issuing = Issuing(issue.words[1], selector) if selector and len(issue.words) > 1 else None
    resources = container.get("resources") or {}
    metadata = spec["jobTemplate"].get("metadata") or {}
    given = (cron_job.manifest["metadata"].get("annotations") or {}).get(GIVEN)
    node_selector = {
        label: value
        for label, value in (pod.get("nodeSelector") or {}).items()
        if label != "kubernetes.io/os"
    }
    settings = JobSettings(
        image=container["image"],
        schedule=spec["schedule"],
        time_zone=spec.get("timeZone"),
        within=within,
        selector=flags.get("--selector"),
        issuing=issuing,
        tolerations=tuple(map(_toleration, pod.get("tolerations") or ())),
        node_selector=node_selector,
        priority_class=pod.get("priorityClassName"),
        image_pull_secrets=tuple(one["name"] for one in pod.get("imagePullSecrets") or ()),
        labels=_others_labels(metadata.get("labels") or {}),
        annotations=metadata.get("annotations") or {},
        # Those of 0.1.0 were nobody's choice.
        **_resources(resources) if JOB_LABEL in cron_job.labels else {},
    )
    return RenewalJob(
        scope=scope,
        namespace=cron_job.namespace,
        settings=settings,
        issuer=flags.get("--issuer") or "",
        key=key,
        given=tuple(given.split(",")) if given else (),
    )


class _Flags:
    """A container's command line, as the kubelet hands it on."""

    def __init__(self, container: dict[str, Any]) -> None:
        arguments: list[str] = container.get("args") or []
        self.words = [word.replace("$$", "$") for word in arguments]

    def get(self, flag: str) -> str | None:
        """What stands behind that flag."""
        if flag not in self.words[:-1]:
            return None
        return self.words[self.words.index(flag) + 1]


def _resources(resources: dict[str, Any]) -> dict[str, Mapping[str, str]]:
    return {kind: resources.get(kind) or {} for kind in ("requests", "limits")}


def _others_labels(labels: Mapping[str, str]) -> dict[str, str]:
    ours = {MANAGED_BY, NAME_LABEL, JOB_LABEL}
    if JOB_LABEL not in labels:
        ours.add("app.kubernetes.io/instance")  # 0.1.0 took it for itself
    return {key: value for key, value in labels.items() if key not in ours}


def _toleration(manifest: dict[str, Any]) -> Toleration:
    value = manifest.get("value", "")
    return Toleration(
        key=manifest.get("key"),
        value=None if manifest.get("operator") == "Exists" else value,
        effect=manifest.get("effect"),
        seconds=manifest.get("tolerationSeconds"),
    )


def _literal(argument: str) -> str:
    """An argument in which the kubelet finds no variable to fill in."""
    return argument.replace("$", "$$")
