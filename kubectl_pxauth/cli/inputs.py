"""From flags to what the operations take: files and standard input are read here."""

import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kubectl_pxauth.cli import SHARED_SECRET_VARIABLE, environment_secret
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.flags import (
    AuthorityFlags,
    IdentityFlags,
    MetadataFlags,
    SharedSecretFlags,
    TokenFlags,
)
from kubectl_pxauth.cluster.names import check_namespace, check_secret_name
from kubectl_pxauth.cluster.objects import Metadata
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import (
    KeyFileError,
    PxauthError,
    SharedSecretError,
    UsageError,
    UserFileError,
)
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.token.claims import check_issuer, lifetime
from kubectl_pxauth.token.duration import parse_duration
from kubectl_pxauth.token.identity import Identity, PartialIdentity, is_placeholder
from kubectl_pxauth.token.jwt import SigningKey
from kubectl_pxauth.token.minting import TokenRequest
from kubectl_pxauth.token.private_key import read_ecdsa_private_key, read_rsa_private_key
from kubectl_pxauth.token.profile import Profile, find_profile
from kubectl_pxauth.token.shared_secret import SharedSecret

if TYPE_CHECKING:
    from kubectl_pxauth.portworx.token_secrets import Scope

_STANDARD_INPUT = "-"
_LONGEST = 1 << 20  # bytes of a file: no key, user or token has as many

Given = TypeVar("Given")
Read = TypeVar("Read")


def read_signing_source(flags: AuthorityFlags, filename: str | None = None) -> KeySource:
    """Where issuer and key come from, filename being the user file's, which may be standard input.

    Raises UsageError, SharedSecretError and KeyFileError.
    """
    given = {
        "-f": filename,
        "--shared-secret-file": flags.shared_secret_file,
        "--rsa-private-keyfile": flags.rsa_private_keyfile,
        "--ecdsa-private-keyfile": flags.ecdsa_private_keyfile,
    }
    check_exclusive({**given, "-f": None, "--shared-secret-from": flags.shared_secret_from})
    check_standard_input(given)
    files = (flags.shared_secret_file, flags.rsa_private_keyfile, flags.ecdsa_private_keyfile)
    key = _local_key(flags)
    return KeySource(
        issuer=optional(flags.issuer, check_issuer),
        signing_key=key,
        from_environment=key is not None and not any(files),
        shared_secret_from=optional(flags.shared_secret_from, read_key_reference),
        portworx_namespace=optional(flags.portworx_namespace, check_namespace),
        allow_weak_key=flags.allow_weak_key,
    )


def optional(given: Given | None, read: Callable[[Given], Read]) -> Read | None:
    """What a flag says, None where it is not given; raises what read does."""
    return None if given is None else read(given)


def read_sort_field(text: str, fields: Sequence[str]) -> str:
    """One of these fields, also as kubectl spells it: .expiresAt or {.expiresAt}."""
    field = text.strip("{}").removeprefix(".")
    if field not in fields:
        raise UsageError(f'--sort-by "{text}" is none of {", ".join(fields)}')
    return field


def read_duration(flag: str, text: str) -> timedelta:
    """Read the duration of that flag, which the UsageError names that this raises."""
    try:
        return parse_duration(text)
    except UsageError as error:
        raise UsageError(f"{flag}: {error}", error.hint) from None


def read_key_reference(text: str) -> SecretKeyReference:
    """Read [NAMESPACE/]NAME[:KEY] of a shared secret; raises UsageError."""
    from kubectl_pxauth.portworx.settings import PXKEYS

    return SecretKeyReference.parse(text, default=PXKEYS)


def refuse_empty_selector(flag: str, selector: str | None) -> None:
    """Raise UsageError for a label selector that matches everything, where something is written.

    It is most often a script's variable that is not set. Lists take it, as kubectl's do.
    """
    if selector is not None and not selector.strip():
        raise UsageError(f"{flag} is empty, and would match everything")


def check_standard_input(given: dict[str, str | None]) -> None:
    """Raise UsageError where two of these files are standard input."""
    flags = [flag for flag, value in given.items() if value == _STANDARD_INPUT]
    if len(flags) > 1:
        raise UsageError(f"{' and '.join(flags)} can't both read standard input")


def check_exclusive(given: dict[str, str | None]) -> None:
    """Raise UsageError where two of these flags are given."""
    flags = [flag for flag, value in given.items() if value is not None]
    if len(flags) > 1:
        raise UsageError(f"{' and '.join(flags)} can't be used together")


def _local_key(flags: AuthorityFlags) -> SigningKey | None:
    if (file := flags.rsa_private_keyfile) is not None:
        return read_rsa_private_key(read_file(file, KeyFileError), display_name(file))
    if (file := flags.ecdsa_private_keyfile) is not None:
        return read_ecdsa_private_key(read_file(file, KeyFileError), display_name(file))
    return local_shared_secret(flags)


def local_shared_secret(
    flags: SharedSecretFlags, others: tuple[str | None, ...] = ()
) -> SharedSecret | None:
    """The shared secret at hand; the environment's only if no file or Secret, or other, is named.

    Raises SharedSecretError.
    """
    if (file := flags.shared_secret_file) is not None:
        return SharedSecret(read_file(file, SharedSecretError), display_name(file))
    named = any((flags.shared_secret_from, *others))
    if not named and (value := environment_secret()) is not None:
        return SharedSecret(value, f"the environment variable {SHARED_SECRET_VARIABLE}")
    return None


def read_token_request(
    profile_name: str | None,
    identity: IdentityFlags,
    token: TokenFlags,
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
    now = datetime.now(UTC)
    duration = optional(token.duration, lambda text: read_duration("--duration", text))
    if duration:
        lifetime(now, duration)  # which raises where there is no such date
    return TokenRequest(
        profile=profile,
        user=_read_user(identity),
        named=_named(identity),
        secret=_secret_name(token, profile, needs_secret),
        now=now,
        duration=duration,
    )


def read_namespace(given: str | None, connection: Connection) -> str:
    """The namespace of the flag, or the kubeconfig's; raises UsageError and ClusterError."""
    return connection.kubeconfig.namespace if given is None else check_namespace(given)


def read_pairs(flag: str, arguments: list[str] | None) -> dict[str, str]:
    """Read KEY=VALUE of a repeatable flag; raises UsageError."""
    pairs: dict[str, str] = {}
    for argument in arguments or ():
        key, equals, value = argument.partition("=")
        if not equals or not key.strip():
            raise UsageError(f'{flag} "{argument}" is not KEY=VALUE')
        if pairs.get(key, value) != value:
            raise UsageError(f'{flag} "{key}" is given twice')
        pairs[key] = value
    return pairs


def read_metadata(flags: MetadataFlags) -> Metadata:
    """The labels and annotations that are asked for; raises UsageError."""
    return Metadata(
        labels=read_pairs("--label", flags.label),
        annotations=read_pairs("--annotation", flags.annotation),
    )


def read_scope(
    namespace: str | None, all_namespaces: bool, selector: str | None, connection: Connection
) -> "Scope":
    """Where to look for Secrets; as with kubectl, -A counts more than -n."""
    from kubectl_pxauth.portworx.token_secrets import Scope

    return Scope(None if all_namespaces else read_namespace(namespace, connection), selector)


def read_secret_name(text: str, namespace: str | None) -> tuple[str | None, str]:
    """Read SECRET, NAMESPACE/SECRET or secret/SECRET, as we and kubectl print them.

    Returns its namespace, which is the flag's if it names none, and its name; raises UsageError.
    """
    if text.startswith("eyJ"):
        from kubectl_pxauth.cli.guard import refuse_token

        refuse_token(text)
    before, slash, name = text.rpartition("/")
    if not slash or before in ("secret", "secrets"):
        return optional(namespace, check_namespace), check_secret_name(name)
    if namespace not in (None, before):
        raise UsageError(f"-n {namespace} and {text} name different namespaces")
    return check_namespace(before), check_secret_name(name)


def _secret_name(token: TokenFlags, profile: Profile | None, needed: bool) -> str:
    if token.secret is not None:
        namespace, slash, name = token.secret.rpartition("/")
        if slash and namespace != "secret":
            raise UsageError(
                f'--secret "{token.secret}" has more than a name',
                hint=f"name the namespace with -n: --secret {name} -n {namespace}",
            )
        return check_secret_name(token.secret)
    if profile is not None:
        return profile.secret
    if not needed:
        return ""
    raise UsageError(
        "there is no Secret to put the token into",
        hint="name it with --secret, or name a profile (kubernetes or admin) and the user file",
    )


def _read_user(identity: IdentityFlags) -> Identity | None:
    if identity.filename is None:
        return None
    from kubectl_pxauth.token.user_file import read_user_file

    data = read_file(identity.filename, UserFileError)
    return read_user_file(data, display_name(identity.filename), _named(identity))


def _named(identity: IdentityFlags) -> PartialIdentity:
    named = [("--name", identity.name), ("--email", identity.email), ("--sub", identity.sub)]
    named += [("--role", role) for role in identity.role or ()]
    named += [("--group", group) for group in identity.group or ()]
    for flag, value in named:
        if value is not None and not value.strip():
            raise UsageError(f"{flag} is empty")
        if value is not None and _has_surrogates(value):
            raise UsageError(f"{flag} has letters that this locale's encoding does not know")
        if value is not None and is_placeholder(value):
            raise UsageError(f'{flag} is the unfilled placeholder "{value}"')
    return PartialIdentity(
        sub=identity.sub,
        name=identity.name,
        email=identity.email,
        roles=tuple(identity.role) if identity.role else None,
        groups=tuple(identity.group) if identity.group else None,
    )


def _has_surrogates(text: str) -> bool:
    """Whether it has bytes that could not be decoded."""
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def display_name(filename: str) -> str:
    """What errors call the file."""
    return "standard input" if filename == _STANDARD_INPUT else filename


def read_file(filename: str, error_type: type[PxauthError]) -> bytes:
    """The bytes of the file, or of standard input for "-"; raises such an error."""
    try:
        if filename == _STANDARD_INPUT:
            data = sys.stdin.buffer.read(_LONGEST + 1)
        else:
            with Path(filename).open("rb") as file:
                data = file.read(_LONGEST + 1)
    except OSError as error:
        raise error_type(f"{filename}: {error.strerror}") from None
    if len(data) > _LONGEST:
        raise error_type(f"{display_name(filename)} has more than {_LONGEST} bytes")
    return data
