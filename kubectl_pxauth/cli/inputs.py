"""From flags to what the operations take: files and standard input are read here."""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from kubectl_pxauth.authority import AuthoritySource, SecretKeyReference
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.flags import AuthorityFlags, IdentityFlags, TokenFlags
from kubectl_pxauth.cluster.names import check_namespace, check_secret_name
from kubectl_pxauth.errors import PxauthError, SharedSecretError, UsageError, UserFileError
from kubectl_pxauth.mint import TokenRequest
from kubectl_pxauth.token.claims import check_issuer, lifetime
from kubectl_pxauth.token.duration import parse_duration
from kubectl_pxauth.token.identity import Identity, PartialIdentity, is_placeholder
from kubectl_pxauth.token.profile import Profile, find_profile
from kubectl_pxauth.token.shared_secret import SharedSecret

SHARED_SECRET_VARIABLE = "PORTWORX_AUTH_SHARED_SECRET"  # noqa: S105 - a variable's name
_STANDARD_INPUT = "-"


def read_authority_source(flags: AuthorityFlags, identity: IdentityFlags) -> AuthoritySource:
    """Where issuer and shared secret come from; raises UsageError and SharedSecretError."""
    if flags.shared_secret_file == _STANDARD_INPUT and identity.filename == _STANDARD_INPUT:
        raise UsageError("-f and --shared-secret-file can't both read standard input")
    if flags.shared_secret_file is not None and flags.shared_secret_from is not None:
        raise UsageError("--shared-secret-file and --shared-secret-from exclude each other")
    local = None
    if flags.shared_secret_file is not None:
        source = _source(flags.shared_secret_file)
        local = SharedSecret(_read(flags.shared_secret_file, SharedSecretError), source)
    elif flags.shared_secret_from is None and SHARED_SECRET_VARIABLE in os.environ:
        value = os.fsencode(os.environ[SHARED_SECRET_VARIABLE])
        local = SharedSecret(value, f"the environment variable {SHARED_SECRET_VARIABLE}")
    return AuthoritySource(
        issuer=None if flags.issuer is None else check_issuer(flags.issuer),
        shared_secret=local,
        shared_secret_from=SecretKeyReference.parse(flags.shared_secret_from)
        if flags.shared_secret_from is not None
        else None,
    )


def read_token_request(
    profile_name: str | None,
    identity: IdentityFlags,
    token: TokenFlags,
    connection: Connection,
    *,
    needs_secret: bool = True,
) -> TokenRequest:
    """The token that the flags ask for; raises UsageError and UserFileError."""
    profile = find_profile(profile_name) if profile_name is not None else None
    if profile is None and identity.filename is None:
        raise UsageError(
            "there is no user to make a token for",
            hint="name a profile (kubernetes or admin), or a user file with -f",
        )
    issued_at, expires_at = lifetime(datetime.now(UTC), parse_duration(token.duration))
    return TokenRequest(
        profile=profile,
        user=_read_user(identity),
        named=_named(identity),
        secret=_secret_name(token, profile, needs_secret),
        namespace=connection.kubeconfig.namespace
        if token.namespace is None
        else check_namespace(token.namespace),
        issued_at=issued_at,
        expires_at=expires_at,
    )


def _secret_name(token: TokenFlags, profile: Profile | None, needed: bool) -> str:
    if token.secret is not None:
        return check_secret_name(token.secret)
    if profile is not None:
        return profile.secret
    if not needed:
        return ""
    raise UsageError(
        "there is no Secret to put the token into",
        hint="name it with --secret, or name a profile (kubernetes or admin) beside the user file",
    )


def _read_user(identity: IdentityFlags) -> Identity | None:
    if identity.filename is None:
        return None
    from kubectl_pxauth.token.user_file import read_user_file

    data = _read(identity.filename, UserFileError)
    return read_user_file(data, _source(identity.filename), _named(identity))


def _named(identity: IdentityFlags) -> PartialIdentity:
    named = [("--name", identity.name), ("--email", identity.email), ("--sub", identity.sub)]
    named += [("--role", role) for role in identity.role or ()]
    named += [("--group", group) for group in identity.group or ()]
    for flag, value in named:
        if value is not None and not value.strip():
            raise UsageError(f"{flag} is empty")
        if value is not None and is_placeholder(value):
            raise UsageError(f'{flag} is the unfilled placeholder "{value}"')
    return PartialIdentity(
        sub=identity.sub,
        name=identity.name,
        email=identity.email,
        roles=tuple(identity.role) if identity.role else None,
        groups=tuple(identity.group) if identity.group else None,
    )


def _source(filename: str) -> str:
    return "standard input" if filename == _STANDARD_INPUT else filename


def _read(filename: str, error_type: type[PxauthError]) -> bytes:
    try:
        return (
            sys.stdin.buffer.read() if filename == _STANDARD_INPUT else Path(filename).read_bytes()
        )
    except OSError as error:
        raise error_type(f"{filename}: {error.strerror}") from None
