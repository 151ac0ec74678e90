"""Whether Portworx would take a token, and why not: OpenStorage's verifier, told in findings.

The verifier is pkg/auth of libopenstorage/openstorage (selfsigned.go, token.go, claims.go) on
golang-jwt v4. Its releases up to v9 stand on dgrijalva/jwt-go v3, which takes what v4 refuses:
- an exp that is this very second;
- an exp, iat or nbf that is no number: for jwt-go it is absent;
- an exp between -1 and 1: jwt-go drops the fraction first, and 0 is absent;
- an exp so far off that time.Time wraps around;
- a segment that is padded with "=".
It refuses most tokens with newlines inside or behind, which v4 skips.
"""

import binascii
import hashlib
import hmac
import math
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.text import shown
from kubectl_pxauth.token.claims import LONGEST, renewal_window
from kubectl_pxauth.token.go_json import GoJSONError, kind, read_object
from kubectl_pxauth.token.identity import NOBODY, OWNER_CLAIMS, PartialIdentity, is_placeholder
from kubectl_pxauth.token.private_key import GOOD_RSA_BITS, LEAST_RSA_BITS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

UsernameClaim = Literal["sub", "name", "email"]

_REQUIRED = ("iss", "sub", "exp", "iat", "name", "email")
_TEXTS = ("iss", "sub", "name", "email")
_LISTS = ("roles", "groups")
_ALGORITHMS = tuple(f"{family}{bits}" for family in ("HS", "RS", "ES") for bits in (256, 384, 512))
_GENERATED = ("HS256", "RS256", "ES256")
_CURVE_BITS = {"ES256": 256, "ES384": 384, "ES512": 521}

_CHECKS = (
    "format", "algorithm", "signature", "claims", "issuer", "username", "roles", "issued-at",
    "not-before", "expiry",
)  # fmt: skip

NO_KEY = "the cluster has no key for"
"""How the finding about a signature begins where there is nothing to check it with."""

_SEGMENTS = 3
_SEGMENT = re.compile(rb"[A-Za-z0-9_-]*")
_LEFTOVER_BITS = {2: 0x0F, 3: 0x03}
_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_FROM_URL = bytes.maketrans(b"-_", b"+/")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_ONE = int((datetime(1, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds())
_FRESH = timedelta(minutes=5).total_seconds()
_LONG_LIFE = timedelta(days=3653).total_seconds()
_SPELLINGS = 4  # of one claim that are named


class Severity(StrEnum):
    """How much a finding matters; only a problem makes the verifier refuse."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


_SEVERITIES = tuple(Severity)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    check is format, algorithm, signature, claims, issuer, username, roles, issued-at, not-before
    or expiry; findings come in this order. message is one printable line, without token or key.
    """

    severity: Severity
    check: str
    message: str


@dataclass(frozen=True)
class Trust:
    """What a cluster trusts; a key that is None or empty is one that it does not have.

    An issuer that is None is not checked. username_claim is what -username_claim of Portworx
    says: the claim by which volumes find their owner.
    """

    issuer: str | None
    shared_secret: bytes | None = field(default=None, repr=False)
    rsa_public_pem: bytes | None = None
    ecdsa_public_pem: bytes | None = None
    username_claim: UsernameClaim = "sub"


@dataclass(frozen=True)
class Verdict:
    """Whether the verifier takes a token, with at most one finding a check.

    header and claims are what the token says, the last of each duplicate; empty where unreadable.
    user is whom the verifier would take it for, None for what it does not say; issued_at and
    expires_at are as the verifier reads them, None where there is none or it is beyond any date.
    """

    findings: tuple[Finding, ...]
    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    user: PartialIdentity = NOBODY
    issued_at: datetime | None = None
    expires_at: datetime | None = None

    @property
    def accepted(self) -> bool:
        """Whether the verifier would take it."""
        return not self.problems()

    @property
    def signed(self) -> bool:
        """Whether one of the cluster's keys made its signature."""
        return any(found.check == "signature" for found in self.findings) and not self.problems(
            "signature"
        )

    @property
    def is_jwt(self) -> bool:
        """Whether it has the form of one, whatever it says."""
        return not self.problems("format")

    @property
    def issuer(self) -> str:
        """The issuer that it names, or nothing."""
        issuer = self.claims.get("iss")
        return issuer if isinstance(issuer, str) else ""

    def is_ending(self, within: timedelta, now: datetime) -> bool:
        """Whether it has ended or is about to, which renewal_window says of every token."""
        if self.expires_at is None:
            return False
        left = self.expires_at - now
        return left <= renewal_window(within, self.issued_at, self.expires_at)

    def is_due(self, within: timedelta | None, now: datetime) -> bool:
        """Whether it is refused or about to end; without a time it is due whenever."""
        return within is None or not self.accepted or self.is_ending(within, now)

    def problems(self, *checks: str) -> list[Finding]:
        """Why the verifier would refuse it: what these checks found, or all of them."""
        return [
            found
            for found in self.findings
            if found.severity is Severity.PROBLEM and (not checks or found.check in checks)
        ]


def judge(token: bytes, trust: Trust, now: datetime) -> Verdict:
    """The verdict of a cluster's verifier on these very bytes at that moment.

    Nothing is stripped: the verifier skips newlines inside a token but no other whitespace. Any
    bytes get a verdict; raises KeyFileError where one of the public keys can't be read, for with
    it no cluster would start. now must know its time zone.
    """
    keys = _Keys.read(trust)
    seconds = (now - _EPOCH) // timedelta(seconds=1)
    notes = _Notes()
    if len(token) > LONGEST:
        notes.problem("format", f"{len(token)} bytes; gRPC carries no token of more than {LONGEST}")
        return Verdict(notes.findings(), {}, {})
    segments = token.split(b".")
    if len(segments) != _SEGMENTS:
        dots = len(segments) - 1
        notes.problem("format", f"a token has three parts and so two dots; this has {dots}")
        return Verdict(notes.findings(), {}, {})
    if b"\n" in token or b"\r" in token:
        notes.warning(
            "format",
            "newlines, which the verifier skips but gRPC does not carry in a header: remove them",
        )
    header = _read_segment("header", segments[0], token, notes)
    claims = _read_segment("claims", segments[1], token, notes)
    if header is not None:
        algorithm = _check_algorithm(header, notes)
        if algorithm:
            _check_signature(algorithm, segments, keys, notes)
    user, issued_at, expires_at = NOBODY, None, None
    if claims is not None:
        user = _check_claims(claims, trust, notes)
        issued_at, expires_at = _check_times(dict(claims), seconds, notes)
    notes.ok("format", "three parts that can be read")
    return Verdict(
        notes.findings(), dict(header or []), dict(claims or []), user, issued_at, expires_at
    )


_Members = list[tuple[str, Any]]


class _Notes:
    """Findings as they come up; a check's odd ones become one line, in place of its good one."""

    def __init__(self) -> None:
        self._found: dict[str, list[tuple[Severity, str]]] = {}

    def ok(self, check: str, message: str) -> None:
        self._found.setdefault(check, [(Severity.OK, message)])

    def warning(self, check: str, message: str) -> None:
        self._add(Severity.WARNING, check, message)

    def problem(self, check: str, message: str) -> None:
        self._add(Severity.PROBLEM, check, message)

    def _add(self, severity: Severity, check: str, message: str) -> None:
        self._found.setdefault(check, []).append((severity, message))

    def findings(self) -> tuple[Finding, ...]:
        return tuple(self._join(check) for check in _CHECKS if check in self._found)

    def _join(self, check: str) -> Finding:
        found = self._found[check]
        worst = max((severity for severity, _ in found), key=_SEVERITIES.index)
        return Finding(worst, check, "; ".join(message for _, message in found))


@dataclass(frozen=True)
class _Keys:
    shared: bytes | None
    rsa: "RSAPublicKey | None"
    ecdsa: "EllipticCurvePublicKey | None"

    @classmethod
    def read(cls, trust: Trust) -> "_Keys":
        rsa = ecdsa = None
        if trust.rsa_public_pem or trust.ecdsa_public_pem:
            from kubectl_pxauth.token.public_key import read_ecdsa_key, read_rsa_key

            rsa = read_rsa_key(trust.rsa_public_pem) if trust.rsa_public_pem else None
            ecdsa = read_ecdsa_key(trust.ecdsa_public_pem) if trust.ecdsa_public_pem else None
        return cls(trust.shared_secret or None, rsa, ecdsa)


def _read_segment(what: str, segment: bytes, token: bytes, notes: _Notes) -> _Members | None:
    raw = _decode(what, segment, notes)
    if raw is None:
        if token[:7].lower() == b"bearer ":
            notes.problem("format", 'it begins with "bearer ": the token is what follows')
        else:
            notes.problem("format", f"the {what} part is not unpadded URL-safe base64")
        return None
    try:
        return read_object(raw)
    except GoJSONError as error:
        notes.problem("format", f"the {what} part {error}")
        return None


def _decode(what: str, segment: bytes, notes: _Notes) -> bytes | None:
    """A part's bytes, or None, as base64.RawURLEncoding of Go has them."""
    digits = segment.translate(None, b"\r\n")
    if not _SEGMENT.fullmatch(digits) or len(digits) % 4 == 1:
        return None
    if _ALPHABET.find(digits[-1:]) & _LEFTOVER_BITS.get(len(digits) % 4, 0):
        notes.warning("format", f"the {what} part ends in bits that are not zero, to no effect")
    return binascii.a2b_base64(digits.translate(_FROM_URL) + b"=" * (-len(digits) % 4))


def _check_algorithm(header: _Members, notes: _Notes) -> str | None:
    algorithm = dict(header).get("alg")
    if not isinstance(algorithm, str):
        found = "names none" if algorithm is None else f"has {kind(algorithm)} for one"
        notes.problem("algorithm", f"the header {found}")
        return None
    if algorithm not in _ALGORITHMS:
        notes.problem(
            "algorithm",
            f"the verifier does not take {shown(algorithm)}; it takes {', '.join(_ALGORITHMS)}",
        )
        return None
    if algorithm not in _GENERATED:
        notes.warning("algorithm", f"{algorithm}, which no generator writes, but is taken")
    if [key for key, _ in header].count("alg") > 1:
        notes.warning("algorithm", "the header names several; the last counts")
    notes.ok("algorithm", algorithm)
    return algorithm


def _check_signature(algorithm: str, segments: list[bytes], keys: _Keys, notes: _Notes) -> None:
    signed = b".".join(segments[:2])
    signature = _decode("signature", segments[2], notes)
    if signature is None:
        notes.problem("signature", "the last part is not unpadded URL-safe base64")
        return
    if algorithm.startswith("HS"):
        right = _check_hmac(algorithm, signed, signature, keys.shared, notes)
    elif algorithm.startswith("RS"):
        right = _check_rsa(algorithm, signed, signature, keys.rsa, notes)
    else:
        right = _check_ecdsa(algorithm, signed, signature, keys.ecdsa, notes)
    if right is None:
        notes.problem("signature", f"{NO_KEY} {algorithm}")
    elif right:
        notes.ok("signature", "made with the cluster's key")
    else:
        notes.problem("signature", "not made with the cluster's key, or the token was changed")


def _check_hmac(
    algorithm: str, signed: bytes, signature: bytes, key: bytes | None, notes: _Notes
) -> bool | None:
    if key is None:
        return None
    name = f"sha{algorithm[2:]}"
    size = hashlib.new(name).digest_size
    if len(key) < size:
        notes.warning(
            "signature",
            f"the shared secret has {len(key)} bytes; {algorithm} wants {size} or more",
        )
    return hmac.compare_digest(hmac.digest(key, signed, name), signature)


def _check_rsa(
    algorithm: str, signed: bytes, signature: bytes, key: "RSAPublicKey | None", notes: _Notes
) -> bool | None:
    if key is None:
        return None
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    if key.key_size < LEAST_RSA_BITS:
        notes.problem(
            "signature", f"the RSA key has {key.key_size} bits; Go verifies from {LEAST_RSA_BITS}"
        )
    elif key.key_size < GOOD_RSA_BITS:
        notes.warning(
            "signature", f"the RSA key has {key.key_size} bits; use {GOOD_RSA_BITS} or more"
        )
    sha = getattr(hashes, f"SHA{algorithm[2:]}")
    try:
        key.verify(signature, signed, PKCS1v15(), sha())
    except InvalidSignature:
        return False
    return len(signature) == (key.key_size + 7) // 8


def _check_ecdsa(
    algorithm: str,
    signed: bytes,
    signature: bytes,
    key: "EllipticCurvePublicKey | None",
    notes: _Notes,
) -> bool | None:
    if key is None:
        return None
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    bits = _CURVE_BITS[algorithm]
    size = (bits + 7) // 8
    if key.key_size != bits:
        # golang-jwt minds the curve when it signs, not when it verifies.
        notes.warning(
            "signature", f"the ECDSA key has {key.key_size} bits; {algorithm} is for {bits}"
        )
    if len(signature) != 2 * size:
        return False
    sha = getattr(hashes, f"SHA{algorithm[2:]}")
    r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
    try:
        key.verify(encode_dss_signature(r, s), signed, ECDSA(sha()))
    except InvalidSignature:
        return False
    return True


def _check_claims(claims: _Members, trust: Trust, notes: _Notes) -> PartialIdentity:
    present = [key for key, _ in claims]
    missing = [name for name in _REQUIRED if name not in present]
    if missing:
        notes.problem("claims", f"missing: {', '.join(missing)}")
    texts, lists = _read_fields(claims, notes)
    spellings: dict[str, list[str]] = {}
    for key in present:
        spellings.setdefault(_fold(key), []).append(key)
    for name in (*_TEXTS, *_LISTS):
        spelled = spellings.get(name, [name])
        if spelled != [name]:
            more = f" and {len(spelled) - _SPELLINGS} more" if len(spelled) > _SPELLINGS else ""
            keys = ", ".join(map(shown, spelled[:_SPELLINGS]))
            notes.warning("claims", f"{keys}{more}: counts as {name}, the last value wins")
    notes.ok("claims", "all that are required")
    _check_issuer(texts["iss"], trust.issuer, notes)
    _check_user(texts, trust.username_claim, notes)
    roles = lists["roles"] or ()
    if not roles:
        notes.warning("roles", "none: Portworx takes the token, but it may do next to nothing")
    notes.ok("roles", ", ".join(shown(role) for role in roles[:8]))
    owner = {claim: texts[claim] or None for claim in OWNER_CLAIMS}
    return PartialIdentity(
        owner["sub"], owner["name"], owner["email"], lists["roles"], lists["groups"]
    )


def _read_fields(
    claims: _Members, notes: _Notes
) -> tuple[dict[str, str], dict[str, tuple[str, ...] | None]]:
    """The claims as the verifier's struct has them: it minds no case, and null changes nothing."""
    texts = dict.fromkeys(_TEXTS, "")
    lists: dict[str, tuple[str, ...] | None] = dict.fromkeys(_LISTS)
    below: dict[str, list[str]] = {name: [] for name in _LISTS}
    for key, value in claims:
        name = _fold(key)
        if name in _TEXTS and value is not None:
            if isinstance(value, str):
                texts[name] = value
            else:
                notes.problem("claims", f"{name} is {kind(value)}, not text")
        elif name in _LISTS:
            items = [] if value is None else value
            check = "roles" if name == "roles" else "claims"
            if not isinstance(items, list):
                notes.problem(check, f"{name} is {kind(items)}, not a list")
            elif wrong := [item for item in items if not isinstance(item, str | None)]:
                notes.problem(check, f"{name} holds {kind(wrong[0])}; it must hold text alone")
            else:
                _lay_over(below[name], items)
                lists[name] = None if value is None else tuple(below[name][: len(items)])
    return texts, lists


def _lay_over(below: list[str], items: list[str | None]) -> None:
    """Read a list into the array that Go's slice of that name is a part of.

    A list that is given again is laid over the one before, so that null uncovers what stood there.
    Source: array of Go's encoding/json/decode.go.
    """
    if not items:
        below.clear()
    for index, item in enumerate(items):
        if index == len(below):
            below.append(item or "")
        elif item is not None:
            below[index] = item


def _fold(key: str) -> str:
    # Unicode has one more letter that folds to one of these names': the long s.
    return key.replace("\u017f", "s").lower()


def _check_issuer(issuer: str, trusted: str | None, notes: _Notes) -> None:
    if not issuer:
        notes.problem("issuer", "it names none")
    elif trusted is None:
        notes.warning("issuer", f"{shown(issuer)}, not compared: the cluster's is not known")
    elif issuer != trusted:
        notes.problem("issuer", f"{shown(issuer)}; the cluster trusts {shown(trusted)}")
    else:
        notes.ok("issuer", shown(issuer))


def _check_user(texts: dict[str, str], claim: UsernameClaim, notes: _Notes) -> None:
    blank = [name for name in ("sub", "name", "email") if is_placeholder(texts[name])]
    if not texts[claim]:
        notes.problem("username", f"the cluster takes it from {claim}, which is empty")
    elif blank:
        notes.warning("username", f"{blank[0]} is a placeholder: {shown(texts[blank[0]])}")
    notes.ok("username", f"{shown(texts[claim])}, from {claim}")


def _check_times(
    claims: dict[str, Any], now: int, notes: _Notes
) -> tuple[datetime | None, datetime | None]:
    expiry = _read_time(claims, "exp", "expiry", notes)
    issued = _read_time(claims, "iat", "issued-at", notes)
    start = _read_time(claims, "nbf", "not-before", notes)
    if expiry is not None:
        if now >= expiry:
            notes.problem("expiry", f"expired: {_moment(expiry)}")
        elif expiry - (issued or now) > _LONG_LIFE:
            notes.warning("expiry", f"far off: {_moment(expiry)}")
        notes.ok("expiry", _moment(expiry))
    if issued is not None:
        if now < issued:
            notes.problem("issued-at", f"in the future: {_moment(issued)}, or a clock is wrong")
        elif now - issued < _FRESH:
            notes.warning(
                "issued-at",
                f"{now - issued} s ago: a node whose clock is further behind refuses it as yet",
            )
        notes.ok("issued-at", _moment(issued))
    if start is not None:
        if now < start:
            notes.problem("not-before", f"in the future: {_moment(start)}")
        notes.ok("not-before", _moment(start))
    return _datetime(issued), _datetime(expiry)


def _read_time(claims: dict[str, Any], name: str, check: str, notes: _Notes) -> int | None:
    """The second that the verifier takes a time claim for; None where it has nothing to check."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        notes.problem(check, f"{name} is {kind(value)}, not a number")
        return None
    if value == 0:
        effect = "the token never expires" if name == "exp" else "it is not checked"
        notes.warning(check, f"{name} is 0, which counts as none: {effect}")
        return None
    if value != int(value):
        notes.warning(check, f"{name} has a fraction, which is dropped")
    return _go_seconds(float(value))


def _go_seconds(number: float) -> int:
    """A number of seconds as Go has it after time.Unix(…).Truncate(time.Second).

    int64 wraps around: a time too far in the future is one in the past.
    Source: newNumericDateFromSeconds of golang-jwt v4's types.go.
    """
    fraction, whole = math.modf(number)
    seconds = int(whole) if -(2.0**63) <= whole < 2.0**63 else -(2**63)
    if int(fraction * 1e9) < 0:
        seconds -= 1
    since_year_one = (seconds - _YEAR_ONE + 2**63) % 2**64 - 2**63
    return since_year_one + _YEAR_ONE


def _datetime(seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else _EPOCH + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _moment(seconds: int) -> str:
    if moment := _datetime(seconds):
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
    return f"{seconds} s after 1970, which the verifier makes of a number out of its range"
