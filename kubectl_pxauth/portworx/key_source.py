"""What the user says of key and issuer; apart, as a run that is told both needs no more."""

from typing import TYPE_CHECKING

from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import WeakKeyError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.jwt import SigningKey
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.portworx.stated_values import FoundKey
    from kubectl_pxauth.token.verdict import Trust, UsernameClaim

DEFAULT_ISSUER = "portworx.com"


@dataclass(frozen=True)
class KeySource:
    """What the user says of key and issuer; None where the cluster is to be asked.

    signing_key also verifies; from_environment is whether it is only in the environment, and no
    flag names it. The public keys only verify. portworx_namespace narrows the search for what is
    not said. allow_weak_key lets a key sign that can be guessed.
    """

    issuer: str | None = None
    signing_key: SigningKey | None = None
    rsa_public_pem: bytes | None = None
    ecdsa_public_pem: bytes | None = None
    shared_secret_from: SecretKeyReference | None = None
    username_claim: "UsernameClaim | None" = None
    portworx_namespace: str | None = None
    from_environment: bool = False
    allow_weak_key: bool = False

    @property
    def has_key(self) -> bool:
        """Whether a key is at hand, so that none is looked for in the cluster."""
        return bool(self.signing_key or self.rsa_public_pem or self.ecdsa_public_pem)

    @property
    def without_key(self) -> str:
        """How to have the cluster's key taken instead of the one that is given."""
        if self.from_environment:
            return "unset PORTWORX_AUTH_SHARED_SECRET"
        return f"leave out --shared-secret-{'from' if self.shared_secret_from else 'file'}"

    @property
    def is_complete(self) -> bool:
        """Whether the user gives both, so that the cluster need not be searched."""
        return bool(self.issuer and (self.signing_key or self.shared_secret_from))

    def local_signer(self) -> Signer | None:
        """The signer, if the user gave its key; None where the cluster has to be asked.

        A key of the environment may be left from another cluster, so it is enough only with an
        issuer.
        """
        return None if self.from_environment and not self.issuer else self.given_signer()

    def given_signer(self) -> Signer | None:
        """The signer by what the user gave alone; None where that is no key that signs."""
        if self.signing_key is None:
            return None
        self.check_strength(self.signing_key)
        return Signer(self.issuer or DEFAULT_ISSUER, self.signing_key, self.signing_key.warnings())

    def check_strength(self, key: SigningKey) -> None:
        """Raise WeakKeyError for a key that can be guessed, unless the user allows that."""
        if key.weakness and not self.allow_weak_key:
            hint = "to sign with it all the same: --allow-weak-key"
            if key is not self.signing_key:  # it was found in the cluster
                from kubectl_pxauth.portworx.key_secret import key_flags

                flags = key_flags(self.shared_secret_from, self.portworx_namespace)
                hint = f"put a new one in its place: kubectl pxauth keys rotate{flags}; {hint}"
            raise WeakKeyError(key.weakness, hint)

    def trust(
        self, issuer: str | None, key: "FoundKey | None", username_claim: str = "sub"
    ) -> "Trust":
        """What a cluster trusts that has this issuer and key, and the given public keys."""
        from kubectl_pxauth.token.verdict import Trust

        given = self.signing_key if isinstance(self.signing_key, SharedSecret) else None
        shared_secret = key.shared_secret if key else given
        return Trust(
            issuer=issuer,
            shared_secret=shared_secret.value if shared_secret else None,
            rsa_public_pem=self.rsa_public_pem,
            ecdsa_public_pem=self.ecdsa_public_pem,
            username_claim=self.username_claim or known_claim(username_claim),
        )


def known_claim(stated: str) -> "UsernameClaim":
    """The claim that Portworx takes for the user where this is stated: sub for any other word."""
    return "email" if stated == "email" else "name" if stated == "name" else "sub"
