"""Who keeps a Secret, and whether a token may be written into it."""

from kubectl_pxauth.cluster.secrets import Secret
from kubectl_pxauth.errors import ClusterError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.text import printable

_LONGEST_NAME = 253  # of an object
_SERVICE_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"  # noqa: S105 - a type's name


def storage_cluster_of(secret: Secret) -> str | None:
    """The StorageCluster whose operator keeps this Secret, if one does."""
    for owner in secret.manifest["metadata"].get("ownerReferences") or []:
        group = owner.get("apiVersion", "").partition("/")[0]
        if owner.get("kind") == "StorageCluster" and group == "core.libopenstorage.org":
            return _short(owner["name"])
    return None


def _short(name: object) -> str:
    """The name of an owner or in a mark, which nobody checks: anybody may have written it."""
    return printable(str(name), _LONGEST_NAME)


def why_unwritable(secret: Secret) -> ClusterError | None:
    """Why a token must not be written here, if it must not."""
    if secret.manifest.get("immutable"):
        return ClusterError(
            f"{secret.display_name} is immutable",
            hint=f"choose another with --secret, or make room for it:"
            f" kubectl delete secret {secret.name} -n {secret.namespace}",
        )
    if secret.manifest.get("type") == _SERVICE_ACCOUNT_TOKEN:
        return ClusterError(
            f"{secret.display_name} holds a service account's token ({_SERVICE_ACCOUNT_TOKEN})",
            hint="choose another with --secret",
        )
    if storage_cluster := storage_cluster_of(secret):
        return ClusterError(
            f"{secret.display_name} is kept by the Portworx operator (StorageCluster"
            f" {storage_cluster}), which would undo the change",
            hint="choose another with --secret",
        )
    return None


@dataclass(frozen=True)
class Keeper:
    """A tool that keeps a Secret, and may undo what others write into it.

    remedy is what to do there; is_copy says that it copies the Secret from another one.
    """

    name: str
    remedy: str
    is_copy: bool = False


def keeper_warnings(secret: Secret | None) -> tuple[str, ...]:
    """What to say where something is written into a Secret that a tool keeps."""
    keeper = keeper_of(secret) if secret else None
    if secret is None or keeper is None:
        return ()
    return (
        f"{secret.display_name} is kept by {keeper.name}, which may undo this: {keeper.remedy}",
    )


def keeper_of(secret: Secret) -> Keeper | None:
    """The tool that keeps a Secret, by the owner that controls it or by the tool's own marks.

    A mark that was copied with the Secret from elsewhere, and says so, is nobody's.
    """
    for owner in secret.manifest["metadata"].get("ownerReferences") or []:
        kind, name = _short(owner.get("kind")), _short(owner.get("name"))
        tool = _OWNERS.get(kind)
        if tool or owner.get("controller"):
            said = f"{tool} ({kind} {name})" if tool else f"{kind} {name}"
            return Keeper(said, f"change it where {kind} {name} takes it from")
    marks = {**secret.labels, **secret.annotations}
    let_go = {tool for mark, value, tool in _LET_GO if marks.get(mark, "").lower() == value}
    tracked = marks.get("argocd.argoproj.io/tracking-id", "")
    if tracked.endswith(f"/Secret:{secret.namespace}/{secret.name}"):
        application = _short(tracked.partition(":")[0])
        return Keeper(
            f"Argo CD (application {application})",
            "change it in the application's source, or let Argo CD ignore its data",
        )
    instance = marks.get("app.kubernetes.io/instance")
    if instance and _ARGO_CD in secret.managers:
        return Keeper(f"Argo CD (application {instance})", _SOURCE)
    if marks.get("app.kubernetes.io/managed-by") == "Helm" and marks.get(_HELM_RELEASE):
        release = _short(marks[_HELM_RELEASE])
        return Keeper(f"Helm (release {release})", "change it in the release's values")
    for mark, tool, remedy, is_copy in _MARKS:
        value = marks.get(mark, "")
        if value.lower() not in _NO and tool not in let_go:
            name = f"{tool} ({_short(value)})" if mark in _NAMES else tool
            return Keeper(name, remedy, is_copy)
    return None


def original_of(secret: Secret) -> str | None:
    """The Secret that a tool copies this one from, as NAMESPACE/NAME; None where no mark says it.

    Whoever may write a Secret can put the mark on it: to be believed only against itself.
    """
    marks = {**secret.labels, **secret.annotations}
    for mark in _COPIED_FROM:
        if value := marks.get(mark):
            name, slash, _ = value.partition("/")
            return value if slash else f"{secret.namespace}/{name}"
    if inherited := marks.get(_INHERITED_FROM):
        return f"{inherited}/{secret.name}"
    return None


_HELM_RELEASE = "meta.helm.sh/release-name"
# Many set app.kubernetes.io/instance; it is Argo CD's where Argo CD has written it. Source:
# argoproj/argo-cd, common/common.go (ArgoCDSSAManager).
_ARGO_CD = "argocd-controller"

# Some make themselves an owner that does not control: hashicorp/vault-secrets-operator,
# helpers/secrets.go; DopplerHQ/kubernetes-operator, controllers; 1Password/onepassword-operator.
_OWNERS = {
    "ExternalSecret": "External Secrets",
    "SealedSecret": "Sealed Secrets",
    "VaultStaticSecret": "the Vault Secrets Operator",
    "VaultDynamicSecret": "the Vault Secrets Operator",
    "VaultPKISecret": "the Vault Secrets Operator",
    "HCPVaultSecretsApp": "the Vault Secrets Operator",
    "OnePasswordItem": "the 1Password operator",
    "DopplerSecret": "the Doppler operator",
    "InfisicalSecret": "the Infisical operator",
}
_NAMES = (
    "argocd.argoproj.io/instance",
    "kustomize.toolkit.fluxcd.io/name",
    "helm.toolkit.fluxcd.io/name",
    "generate.kyverno.io/policy-name",
    "reflector.v1.k8s.emberstack.com/reflects",
    "replicator.v1.mittwald.de/replicate-from",
    "kubed.appscode.com/origin.name",
    "hnc.x-k8s.io/inherited-from",
    "objectset.rio.cattle.io/owner-name",
)
"""Marks whose value says what of the tool's, or from where."""
_NO = ("", "false", "disable")
"""Values of a mark that say that the tool does not keep the Secret."""
_COPIED_FROM = (
    "reflector.v1.k8s.emberstack.com/reflects",
    "replicator.v1.mittwald.de/replicate-from",
)
"""Marks that name the original, as NAMESPACE/NAME or where it is near as NAME."""
_INHERITED_FROM = "hnc.x-k8s.io/inherited-from"
"""The mark that names the original's namespace; its name is the same."""
_LET_GO = (
    # fluxcd/kustomize-controller, docs/spec/v1/kustomizations.md: annotations or labels
    ("kustomize.toolkit.fluxcd.io/reconcile", "disabled", "Flux"),
    ("kustomize.toolkit.fluxcd.io/ssa", "ignore", "Flux"),
    ("kustomize.toolkit.fluxcd.io/ssa", "ifnotpresent", "Flux"),
)
"""Marks, with their values in small letters, by which a tool leaves what it has made alone."""
_STORE = "change it in the store that it is read from"
_SOURCE = "change it in its source in Git"
_SEALED = "seal it again"
_ORIGINAL = "change the original"
_POLICY = "change its policy, or what that clones"
_MARKS = (
    # external-secrets/external-secrets, apis/externalsecrets/v1/externalsecret_types.go
    ("reconcile.external-secrets.io/data-hash", "External Secrets", _STORE, False),
    ("reconcile.external-secrets.io/managed", "External Secrets", _STORE, False),
    ("reconcile.external-secrets.io/created-by", "External Secrets", _STORE, False),
    # bitnami-labs/sealed-secrets, pkg/apis/sealedsecrets/v1alpha1/types.go
    ("sealedsecrets.bitnami.com/managed", "Sealed Secrets", _SEALED, False),
    ("sealedsecrets.bitnami.com/patch", "Sealed Secrets", _SEALED, False),
    ("secrets.hashicorp.com/vso-ownerRefUID", "the Vault Secrets Operator", _STORE, False),
    ("operator.1password.io/item-path", "the 1Password operator", _STORE, False),
    # DopplerHQ/kubernetes-operator, controllers/dopplersecret_controller_secrets.go
    ("secrets.doppler.com/subtype", "the Doppler operator", _STORE, False),
    # Infisical/kubernetes-operator, internal/constants/constants.go
    ("secrets.infisical.com/version", "the Infisical operator", _STORE, False),
    # kubernetes-sigs/secrets-store-csi-driver, controllers
    ("secrets-store.csi.k8s.io/managed", "the Secrets Store CSI driver", _STORE, False),
    # What Argo CD's own docs advise in place of app.kubernetes.io/instance, which others set too:
    # argoproj/argo-cd, docs/user-guide/resource_tracking.md.
    ("argocd.argoproj.io/instance", "Argo CD", _SOURCE, False),
    ("kustomize.toolkit.fluxcd.io/name", "Flux", _SOURCE, False),
    ("helm.toolkit.fluxcd.io/name", "Flux", _SOURCE, False),
    ("objectset.rio.cattle.io/id", "Fleet", _SOURCE, False),
    # k3s leaves the id empty: rancher/wrangler, pkg/apply.
    ("objectset.rio.cattle.io/owner-name", "Rancher", "change the manifest it applies", False),
    ("config.k8s.io/owning-inventory", "Config Sync", _SOURCE, False),
    ("kapp.k14s.io/app", "kapp", _SOURCE, False),
    ("generate.kyverno.io/policy-name", "Kyverno", _POLICY, False),
    ("policy.kyverno.io/synchronize", "Kyverno", _POLICY, False),  # before 1.10
    ("reflector.v1.k8s.emberstack.com/reflects", "Reflector", _ORIGINAL, True),
    ("replicator.v1.mittwald.de/replicate-from", "kubernetes-replicator", _ORIGINAL, True),
    # On what the original pushes, which has no replicate-from: mittwald/kubernetes-replicator.
    ("replicator.v1.mittwald.de/replicated-at", "kubernetes-replicator", _ORIGINAL, True),
    # zakkg3/ClusterSecret, src/consts.py
    ("clustersecret.io/created-by", "ClusterSecret", _ORIGINAL, True),
    # kubeops/config-syncer, pkg/syncer/syncer.go
    ("kubed.appscode.com/origin.name", "Config Syncer", _ORIGINAL, True),
    ("kubed.appscode.com/origin", "Config Syncer", _ORIGINAL, True),
    # kubernetes-sigs/hierarchical-namespaces, docs/user-guide/concepts.md
    ("hnc.x-k8s.io/inherited-from", "the Hierarchical Namespace Controller", _ORIGINAL, True),
    # rancher/rancher, pkg/controllers/managementuser/secret/project_scoped_secrets.go; the original
    # has the label of the same name without -copy.
    ("management.cattle.io/project-scoped-secret-copy", "Rancher", _ORIGINAL, True),
)
"""Labels and annotations that a tool puts on what it keeps, and what to do at each."""
