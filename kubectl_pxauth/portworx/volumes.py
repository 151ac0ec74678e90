"""How a StorageClass names the Secret with the token that its volumes are asked for with.

Which parameters those are: Portworx docs, security, shared-secret model, StorageClass setup.
"""

from enum import StrEnum

CLAIMS_NAMESPACE = "${pvc.namespace}"  # which the CSI provisioner fills in


class TokenModel(StrEnum):
    """Whose token a volume is asked for with, and through which provisioner."""

    CSI = "csi"
    MULTITENANT = "multitenant"
    IN_TREE = "in-tree"

    @property
    def provisioner(self) -> str:
        """The StorageClass's provisioner."""
        if self is TokenModel.IN_TREE:
            return "kubernetes.io/portworx-volume"
        return "pxd.portworx.com"

    def secret_parameters(self, name: str, namespace: str) -> dict[str, str]:
        """The StorageClass's parameters that name the token's Secret."""
        if self is TokenModel.MULTITENANT:
            namespace = CLAIMS_NAMESPACE
        pairs = _IN_TREE_PAIRS if self is TokenModel.IN_TREE else _CSI_PAIRS
        values = {"name": name, "namespace": namespace}
        return {f"{pair}-{part}": value for pair in pairs for part, value in values.items()}


_CSI_PAIRS = tuple(
    f"csi.storage.k8s.io/{step}-secret"
    for step in ("provisioner", "node-publish", "controller-expand")
)
_IN_TREE_PAIRS = ("openstorage.io/auth-secret",)
SECRET_PAIRS = {
    TokenModel.CSI.provisioner: _CSI_PAIRS,
    TokenModel.IN_TREE.provisioner: _IN_TREE_PAIRS,
}
"""For each provisioner what the parameters that name the Secret begin with, before -name and
-namespace; the first pair's token makes volumes."""
SECRET_PARAMETERS = frozenset(
    f"{pair}-{part}" for pair in _CSI_PAIRS + _IN_TREE_PAIRS for part in ("name", "namespace")
)
"""The names of all parameters that name the token's Secret, in each model."""
