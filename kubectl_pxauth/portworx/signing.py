"""Who signs in a cluster: the key and the issuer, given by the user, referenced, or found.

KeySearch.key is the one place that decides which key counts. Signing (find_signer) and verifying
(find_trusted_keys) are two views of what it finds.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import DiscoveryError, ForbiddenError, PxauthError, SharedSecretError
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.discovery import (
    BY_DEFAULT,
    DEFAULT_ISSUER,
    FoundKey,
    Search,
    VerifierSettings,
    default_issuer,
    read_shared_secret,
)
from kubectl_pxauth.token.jwt import SigningKey
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.token.verdict import Trust, UsernameClaim, Verdict

_EXPLAINED = (DiscoveryError, SharedSecretError, ForbiddenError)
"""Errors that say something about the cluster, and not that it can't be asked."""

AS_GIVEN = "as given"
"""What FoundKey.stated_by says of a key that the user named."""


@dataclass(frozen=True)
class KeySource:
    """What the user says of key and issuer; None where the cluster is to be asked.

    signing_key also verifies; the public keys only verify. portworx_namespace narrows the search
    for what is not said.
    """

    issuer: str | None = None
    signing_key: SigningKey | None = None
    rsa_public_pem: bytes | None = None
    ecdsa_public_pem: bytes | None = None
    shared_secret_from: SecretKeyReference | None = None
    username_claim: "UsernameClaim | None" = None
    portworx_namespace: str | None = None

    @property
    def has_key(self) -> bool:
        """Whether a key is at hand, so that none is looked for in the cluster."""
        return bool(self.signing_key or self.rsa_public_pem or self.ecdsa_public_pem)

    def local_signer(self) -> Signer | None:
        """The signer, if the user gave its key; None where the cluster has to be asked."""
        if self.signing_key is None:
            return None
        return Signer(self.issuer or DEFAULT_ISSUER, self.signing_key, self.signing_key.warnings())

    def trust(
        self, issuer: str | None, key: FoundKey | None, username_claim: str = "sub"
    ) -> "Trust":
        """What a cluster trusts that has this issuer and key beside the given public keys."""
        from kubectl_pxauth.token.verdict import Trust

        given = self.signing_key if isinstance(self.signing_key, SharedSecret) else None
        shared_secret = key.shared_secret if key else given
        # Portworx takes any other word for sub.
        found: UsernameClaim = (
            "email" if username_claim == "email" else "name" if username_claim == "name" else "sub"
        )
        return Trust(
            issuer=issuer,
            shared_secret=shared_secret.value if shared_secret else None,
            rsa_public_pem=self.rsa_public_pem,
            ecdsa_public_pem=self.ecdsa_public_pem,
            username_claim=self.username_claim or found,
        )


class KeySearch:
    """The key and the verifier's settings, by the user's word and else by the cluster's.

    Nothing is asked for before it is needed, and each thing once.
    """

    def __init__(self, cluster: Cluster, source: KeySource) -> None:
        """Begin to read the Secret that the user names, if the user names one."""
        self._cluster = cluster
        self.source = source
        self._discovery: Search | None = None
        self._referenced: Background[FoundKey] | None = None
        if (reference := source.shared_secret_from) and not source.has_key:
            self._referenced = Background(
                lambda: FoundKey(read_shared_secret(cluster, reference), reference, AS_GIVEN)
            )

    def discovery(self) -> Search:
        """What the cluster itself says; the first call begins to read it, and does not wait."""
        if self._discovery is None:
            self._discovery = Search(
                self._cluster, self.source.portworx_namespace, beside=self.source.shared_secret_from
            )
        return self._discovery

    def key(self) -> FoundKey | None:
        """The shared secret that counts; None where the user gave a key of another kind.

        Raises as Search.key does.
        """
        if isinstance(self.source.signing_key, SharedSecret):
            return FoundKey(self.source.signing_key, None, AS_GIVEN)
        if self.source.has_key:
            return None
        if self._referenced:
            return self._referenced.result()
        return self.discovery().key()

    def settings(self, key: FoundKey | None, issuer: str | None) -> VerifierSettings:
        """What the verifier accepts beside that key; a given issuer is not sought.

        Raises as Search.settings does.
        """
        reference = key.reference if key else self.source.shared_secret_from
        return self.discovery().settings(issuer, default_issuer(reference))


def find_signer(cluster: Cluster, source: KeySource) -> Signer:
    """What signs in this cluster, with what the user does not give found there.

    Raises DiscoveryError where it can't be found, SharedSecretError where it can't be used, and
    ClusterErrors.
    """
    search = KeySearch(cluster, source)
    if source.issuer and (source.signing_key or source.shared_secret_from):
        return _signer(source.issuer, search.key(), source, ())
    search.discovery()
    key = search.key()
    settings = search.settings(key, source.issuer)
    return _signer(settings.issuer.value, key, source, settings.warnings)


def _signer(
    issuer: str, found: FoundKey | None, source: KeySource, warnings: tuple[str, ...]
) -> Signer:
    key = found.shared_secret if found else source.signing_key
    if key is None:
        raise DiscoveryError("a public key does not sign", hint="name the key that signs")
    return Signer(issuer, key, (*warnings, *key.warnings()))


@dataclass(frozen=True)
class TrustedKeys:
    """What tokens are verified against, as far as it could be found.

    no_key is why signatures can't be verified, or None; settings is an error where the verifier's
    settings could not be found, and None where nobody was asked for them.
    """

    trust: "Trust"
    no_key: PxauthError | None
    settings: VerifierSettings | PxauthError | None

    @property
    def unknown(self) -> PxauthError | None:
        """Why a token can't be judged for sure, or None."""
        return self.no_key or (self.settings if isinstance(self.settings, PxauthError) else None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is only guessed, and what could not be found."""
        if self.no_key:
            return (f"signatures are not checked: {self.no_key}",)
        if isinstance(self.settings, VerifierSettings):
            return self.settings.warnings
        return (f"issuers are not checked: {self.settings}",) if self.settings else ()

    def problems(self, verdict: "Verdict") -> tuple[str, ...]:
        """Why Portworx would refuse a token, as far as that can be told."""
        return tuple(
            f"{found.check}: {found.message}"
            for found in verdict.problems()
            if self.no_key is None or found.check != "signature"
        )


def find_trusted_keys(cluster: Cluster, source: KeySource) -> TrustedKeys:
    """What this cluster trusts; what the cluster does not say or RBAC hides is told in the result.

    Raises other ClusterErrors.
    """
    search = KeySearch(cluster, source)
    search.discovery()
    key = attempt(search.key, _EXPLAINED)
    found = None if isinstance(key, PxauthError) else key
    settings = attempt(lambda: search.settings(found, source.issuer), _EXPLAINED)
    return trusted_keys(source, key, settings)


def trusted_keys(
    source: KeySource,
    key: FoundKey | PxauthError | None,
    settings: VerifierSettings | PxauthError | None,
) -> TrustedKeys:
    """What is trusted where the search had these results, beside what the user gave."""
    found, no_key = (None, key) if isinstance(key, PxauthError) else (key, None)
    if not isinstance(settings, VerifierSettings):
        return TrustedKeys(source.trust(source.issuer, found), no_key, settings)
    issuer = settings.issuer
    # The default issuer goes with the key that was found: without one it is no guess worth making.
    known = None if no_key and issuer.stated_by == BY_DEFAULT else issuer.value
    trust = source.trust(source.issuer or known, found, settings.username_claim.value)
    return TrustedKeys(trust, no_key, settings)
