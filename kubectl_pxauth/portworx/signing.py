"""Who signs in a cluster: the key and the issuer, given by the user, referenced, or found.

KeySearch.key is the one place that decides which key counts. Signing (find_signer) and verifying
(find_trusted_keys) are two views of what it finds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from kubectl_pxauth.cluster.connection import Cluster
from kubectl_pxauth.errors import (
    ClusterError,
    DiscoveryError,
    ForbiddenError,
    NoClusterError,
    NoSharedSecretError,
    PxauthError,
    SharedSecretError,
)
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.parallel import Background, attempt
from kubectl_pxauth.portworx.discovery import BY_DEFAULT, Search, VerifierSettings, default_issuer
from kubectl_pxauth.portworx.key_source import KeySource, known_claim
from kubectl_pxauth.portworx.settings import APPLICATION_ISSUERS
from kubectl_pxauth.portworx.stated_values import FoundKey, FoundText, read_shared_secret
from kubectl_pxauth.text import shown
from kubectl_pxauth.token.minting import Signer
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.token.verdict import Severity, Trust, Verdict

_EXPLAINED = (DiscoveryError, SharedSecretError, ForbiddenError)
"""Errors that say something about the cluster, and not that it can't be asked."""

AS_GIVEN = "as given"
"""What FoundKey.stated_by says of a key that the user named."""

BY_OTHER_KEY = "made with the other key of the rotation that is under way"
"""What a verdict says of a signature that the cluster's key did not make for this reason."""


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
                self._cluster,
                self.source.portworx_namespace,
                near=self.source.shared_secret_from,
                try_usual=not self.source.is_complete,
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
        """What else than that key the verifier is configured with; a given issuer is not sought.

        Raises as Search.settings does.
        """
        reference = key.reference if key else self.source.shared_secret_from
        return self.discovery().settings(issuer, default_issuer(reference), key)

    def contradictions(self, key: FoundKey | None) -> tuple[str, ...]:
        """Where what the user gives is not what Portworx is started with, as far as is known.

        Nothing that can't be read, or is not clear, is a contradiction, and none of it an error.
        """
        found = attempt(lambda: tuple(self._contradictions(key)))
        return () if isinstance(found, PxauthError) else found

    def _contradictions(self, key: FoundKey | None) -> Iterator[str]:
        source, discovery = self.source, self.discovery()
        if source.issuer and discovery.specs().specs:
            stated = attempt(lambda: discovery.stated_issuer(key))
            if isinstance(stated, FoundText) and stated.value != source.issuer:
                yield (
                    f'the issuer "{source.issuer}" is given, but Portworx is started with'
                    f' "{stated.value}" ({stated.stated_by}), and refuses tokens of any other'
                )
        if key and (other := self._other_key(key)):
            yield other

    def has_other_key(self, key: FoundKey | None) -> bool:
        """Whether the key that the user gives is known not to be the cluster's."""
        found = attempt(lambda: self._other_key(key) if key else "")
        return bool(found) and not isinstance(found, PxauthError)

    def _other_key(self, key: FoundKey) -> str:
        """That the key which the user gives is not the cluster's; empty where nothing says so."""
        source, discovery = self.source, self.discovery()
        given, specs = key.shared_secret, discovery.specs()
        if specs.specs and (source.signing_key or source.shared_secret_from):
            used = discovery.stated_key()
        elif source.from_environment and not (specs.specs or specs.forbidden):
            used = discovery.named_key()
        else:
            return ""
        if used is None:
            says = f"the key that is given ({given.source}) may be none that Portworx takes"
            return f"{says}: {keyless}" if (keyless := discovery.keyless()) else ""
        if used.shared_secret.value == given.value:
            return ""
        if specs.specs:
            return (
                f"the key that is given ({given.label}) is not the one that Portworx is started"
                f" with ({used.shared_secret.label}; {used.stated_by})"
            )
        return (
            f"the key in {given.label} is not the one that the cluster has"
            f" ({used.shared_secret.label})"
        )


def find_signer(cluster: Cluster, source: KeySource) -> Signer:
    """What signs in this cluster, with what the user does not give found there.

    Where the user gives something, the cluster is asked whether it says otherwise: that is a
    warning. Raises DiscoveryError where what is missing can't be found, SharedSecretError where
    it can't be used, and ClusterErrors.
    """
    search = KeySearch(cluster, source)
    discovery = search.discovery()
    key = search.key()
    if source.is_complete:
        issuer, warnings = source.issuer or "", search.contradictions(key)
    else:
        settings = search.settings(key, source.issuer)
        issuer = settings.issuer.value
        warnings = (*settings.warnings, *search.contradictions(key))
    signer = _signer(cluster, issuer, key, source, warnings)
    if search.has_other_key(key):
        signer = replace(signer, without_key=source.without_key)
    specs = attempt(discovery.specs)
    if isinstance(specs, PxauthError):
        return signer
    claim = attempt(lambda: discovery.username_claim(key))
    return replace(
        signer,
        username_claim=known_claim("" if isinstance(claim, PxauthError) else claim.value),
        operators_namespace=specs.operators_namespace,
        namespaces=signer.namespaces | discovery.namespaces_of(key),
    )


def signer_for_one_token(source: KeySource, connect: Callable[[], Cluster]) -> Signer:
    """As find_signer; where no cluster answers, a key of the environment signs as it is."""
    try:
        return find_signer(connect(), source)
    except ForbiddenError:
        raise
    except ClusterError as error:
        signer = source.given_signer() if source.from_environment else None
        if signer is None:
            raise
        if isinstance(error, NoClusterError):
            return signer
        unasked = (
            "the cluster could not be asked whether it has the key of the environment and the"
            f' issuer "{signer.issuer}": {error}'
        )
        return replace(signer, warnings=(*signer.warnings, unasked))


def _signer(
    cluster: Cluster,
    issuer: str,
    found: FoundKey | None,
    source: KeySource,
    warnings: tuple[str, ...],
) -> Signer:
    key = found.shared_secret if found else source.signing_key
    if key is None:
        raise DiscoveryError("a public key does not sign", hint="name the key that signs")
    source.check_strength(key)
    named = source.portworx_namespace
    reference = found.reference if found else None
    where = {named, reference.namespace if reference else None}
    namespaces = frozenset(filter(None, where))
    read_again = (lambda: read_shared_secret(cluster, reference)) if reference else None
    under_way = (found.shared_secret.rotation,) if found and found.shared_secret.rotation else ()
    return Signer(
        issuer,
        key,
        (*under_way, *warnings, *key.warnings()),
        namespaces=namespaces,
        read_again=read_again,
    )


@dataclass(frozen=True)
class TrustedKeys:
    """What tokens are verified against, as far as it could be found.

    no_key is why signatures can't be verified, or None; settings is an error where the verifier's
    settings could not be found, and None where nobody was asked for them. key is the shared
    secret; application_keys are those of Portworx' own applications, by their issuer.
    contradictions say where a key of the environment is not the cluster's. is_off is whether
    Portworx is known to ask for no tokens.
    """

    trust: "Trust"
    no_key: PxauthError | None
    settings: VerifierSettings | PxauthError | None
    key: FoundKey | None = None
    application_keys: Mapping[str, FoundKey] = field(default_factory=dict)
    contradictions: tuple[str, ...] = ()
    is_off: bool = False

    @property
    def provider(self) -> FoundText | None:
        """The OpenID Connect provider whose tokens are taken as well."""
        return self.settings.provider if isinstance(self.settings, VerifierSettings) else None

    @property
    def is_providers_alone(self) -> bool:
        """Whether a provider verifies all tokens, so that nobody here could have the key."""
        alone = isinstance(self.no_key, NoSharedSecretError) and self.public_key_file is None
        return alone and self.provider is not None

    @property
    def public_key_file(self) -> FoundText | None:
        """The file on the nodes with a public key that verifies tokens as well."""
        return (
            self.settings.public_key_file if isinstance(self.settings, VerifierSettings) else None
        )

    def judge(self, token: bytes, now: datetime) -> "Verdict":
        """The verdict on a token by what its issuer's tokens are verified with.

        What can't be verified here, as only a provider or Portworx' own applications have the
        key, has a warning in place of its signature's check. In a rotation the verdict says
        BY_OTHER_KEY of what the other key signed.
        """
        from kubectl_pxauth.token.verdict import Severity, Trust, judge

        verdict = self._judge(token, now)
        other = self.key.shared_secret.other if self.key else b""
        if other and verdict.problems("signature") and judge(token, Trust(None, other), now).signed:
            return _with_signature(verdict, Severity.PROBLEM, BY_OTHER_KEY)
        return verdict

    def _judge(self, token: bytes, now: datetime) -> "Verdict":
        from kubectl_pxauth.token.verdict import Severity, judge

        verdict = judge(token, self.trust, now)
        issuer = verdict.issuer
        if issuer == self.trust.issuer and self.trust.shared_secret:
            return verdict
        if self.provider and issuer == self.provider.value:
            verdict = judge(token, replace(self.trust, issuer=issuer), now)
            words = "verified by the provider, not here"
            return _with_signature(verdict, Severity.WARNING, words)
        if issuer in APPLICATION_ISSUERS:
            return self._judge_application(token, issuer, now)
        return verdict

    def _judge_application(self, token: bytes, issuer: str, now: datetime) -> "Verdict":
        from kubectl_pxauth.token.verdict import Severity, Trust, judge

        if key := self.application_keys.get(issuer):
            return judge(token, Trust(issuer, key.shared_secret.value), now)
        verdict = judge(token, Trust(issuer), now)
        words = "of Portworx' own applications, whose key is not at hand"
        return _with_signature(verdict, Severity.WARNING, words)

    def maker(self, issuer: str) -> str | None:
        """Who else makes the tokens of that issuer, where the cluster takes such tokens."""
        if issuer == self.trust.issuer and self.trust.shared_secret:
            return None
        if issuer in APPLICATION_ISSUERS or (self.provider and issuer == self.provider.value):
            return made_elsewhere(issuer) or f'the OpenID Connect provider "{issuer}" makes it'
        return None

    def key_of(self, verdict: "Verdict") -> FoundKey | None:
        """The shared secret that the token's signature was checked with, if one was."""
        if not verdict.header or not str(verdict.header.get("alg")).startswith("HS"):
            return None
        if self.maker(verdict.issuer):
            return self.application_keys.get(verdict.issuer)
        return self.key

    @property
    def unknown(self) -> PxauthError | None:
        """Why a token can't be judged for sure, or None."""
        return self.no_key or (self.settings if isinstance(self.settings, PxauthError) else None)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is only guessed, and what could not be found."""
        if self.is_providers_alone and isinstance(self.settings, VerifierSettings):
            return self.settings.ignored
        if self.no_key:
            return (f"signatures are not checked: {self.no_key}",)
        rotation = self.key.shared_secret.rotation if self.key else ""
        found = ((rotation,) if rotation else ()) + self.contradictions
        if isinstance(self.settings, VerifierSettings):
            return (*found, *self.settings.warnings)
        unchecked = (f"issuers are not checked: {self.settings}",) if self.settings else ()
        return (*found, *unchecked)

    def problems(self, verdict: "Verdict") -> tuple[str, ...]:
        """Why Portworx would refuse a token, as far as that can be told."""
        return tuple(
            f"{found.check}: {found.message}"
            for found in verdict.problems()
            if self.no_key is None or found.check != "signature"
        )


def made_elsewhere(issuer: str) -> str | None:
    """Who else makes the tokens of that issuer, so that they are not ours to make again.

    None for an issuer of self-signed tokens, which never begins with https://.
    """
    if issuer in APPLICATION_ISSUERS:
        return "Portworx' own applications make it for themselves"
    if issuer.startswith("https://"):
        return f"the OpenID Connect provider {shown(issuer)} makes it"
    return None


def _with_signature(verdict: "Verdict", severity: "Severity", words: str) -> "Verdict":
    """The verdict with another finding in place of its signature's."""
    from kubectl_pxauth.token.verdict import Finding

    findings = (
        Finding(severity, "signature", words) if one.check == "signature" else one
        for one in verdict.findings
    )
    return replace(verdict, findings=tuple(findings))


def find_trusted_keys(cluster: Cluster, source: KeySource) -> TrustedKeys:
    """What this cluster trusts; what the cluster does not say or RBAC hides is told in the result.

    Raises other ClusterErrors.
    """
    search = KeySearch(cluster, source)
    reading = Background(search.discovery().application_keys)
    key = attempt(search.key, _EXPLAINED)
    found = None if isinstance(key, PxauthError) else key
    settings = attempt(lambda: search.settings(found, source.issuer), _EXPLAINED)
    applications = attempt(reading.result)
    trusted = trusted_keys(
        source, key, settings, {} if isinstance(applications, PxauthError) else applications
    )
    # A key in an argument is meant; one of the environment may be left from another cluster.
    contradictions = search.contradictions(found) if source.from_environment else ()
    is_off = attempt(search.discovery().is_authorization_off) is True
    return replace(trusted, contradictions=contradictions, is_off=is_off)


def trusted_keys(
    source: KeySource,
    key: FoundKey | PxauthError | None,
    settings: VerifierSettings | PxauthError | None,
    application_keys: Mapping[str, FoundKey] | None = None,
) -> TrustedKeys:
    """What is trusted where the search had these results, and what the user gave."""
    found, no_key = (None, key) if isinstance(key, PxauthError) else (key, None)
    if found is None and isinstance(source.signing_key, SharedSecret):
        found = FoundKey(source.signing_key, None, AS_GIVEN)
    others = application_keys or {}
    if not isinstance(settings, VerifierSettings):
        trust = source.trust(source.issuer, found)
        return TrustedKeys(trust, no_key, settings, found, others)
    issuer = settings.issuer
    # The default issuer goes with the key that was found: without one it is no guess worth making.
    known = None if no_key and issuer.stated_by == BY_DEFAULT else issuer.value
    if isinstance(no_key, NoSharedSecretError) and settings.provider:
        known = settings.provider.value
    trust = source.trust(source.issuer or known, found, settings.username_claim.value)
    return TrustedKeys(trust, no_key, settings, found, others)
