"""What the commands that look at a token share: their flags, and what those come to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.cli.flags import NamespaceFlag, SharedSecretFlags
from kubectl_pxauth.cli.inputs import (
    check_exclusive,
    check_standard_input,
    display_name,
    local_shared_secret,
    optional,
    read_file,
    read_key_reference,
    read_secret_name,
)
from kubectl_pxauth.cluster.names import check_data_key, check_namespace
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import KeyFileError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.inspect import Examination, FileToken, examine, examine_file
from kubectl_pxauth.portworx.key_source import KeySource
from kubectl_pxauth.portworx.token_content import AUTH_TOKEN
from kubectl_pxauth.token.claims import check_issuer
from kubectl_pxauth.token.profile import PROFILES
from kubectl_pxauth.token.public_key import read_ecdsa_key, read_rsa_key
from kubectl_pxauth.token.verdict import UsernameClaim

_DEFAULT_SECRET = PROFILES["kubernetes"].secret


@dataclass(frozen=True)
class PlaceFlags:
    """The token to look at."""

    secrets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[[NAMESPACE/]SECRET]...",
            help="Secrets that hold tokens.",
            show_default=_DEFAULT_SECRET,
        ),
    ] = None
    namespace: NamespaceFlag = None
    key: Annotated[
        str, typer.Option(metavar="KEY", help="Data key of the Secret that holds the token.")
    ] = AUTH_TOKEN
    token_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File that holds the token; - reads standard input."),
    ] = None


@dataclass(frozen=True)
class VerificationFlags(SharedSecretFlags):
    """What the token is verified with: as for signing, but with public keys."""

    rsa_public_keyfile: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="RSA public key or certificate that Portworx verifies with."
        ),
    ] = None
    ecdsa_public_keyfile: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="ECDSA public key or certificate that Portworx verifies with."
        ),
    ] = None
    username_claim: Annotated[
        UsernameClaim | None,
        typer.Option(
            help="Claim that Portworx takes the user name from.",
            show_default="the one that Portworx uses, else sub",
        ),
    ] = None


def examined(
    places: PlaceFlags,
    flags: VerificationFlags,
    connection: Connection,
    why_unusable: Callable[[Examination], PxauthError | None],
) -> tuple[list[Examination], list[PxauthError]]:
    """The examinations that the flags ask for, their warnings printed, and the errors of others.

    Raises PxauthErrors, and so that of a token that is the only one.
    """
    source = read_verifying_source(flags, places.token_file)
    named = places.secrets[0] if places.secrets else None
    check_exclusive({"SECRET": named, "--token-file": places.token_file})
    now = datetime.now(UTC)
    examinations: list[Examination | PxauthError]
    if places.token_file is not None:
        file = _read_token_file(places.token_file)
        examinations = [examine_file(file, source, connection.open, now)]
    else:
        key = check_data_key(places.key)
        names = [
            read_secret_name(text, places.namespace) for text in places.secrets or [_DEFAULT_SECRET]
        ]
        references = tuple(
            SecretKeyReference(namespace or connection.kubeconfig.namespace, name, key)
            for namespace, name in dict.fromkeys(names)
        )
        examinations = examine(references, source, connection.open(), now)
    answers = [
        one if isinstance(one, PxauthError) else why_unusable(one) or one for one in examinations
    ]
    found = [one for one in answers if isinstance(one, Examination)]
    errors = [one for one in answers if isinstance(one, PxauthError)]
    if errors and len(answers) == 1:
        raise errors[0]
    output.warnings(dict.fromkeys(warning for one in found for warning in one.warnings))
    return found, errors


def show_data(items: list[dict[str, Any]], places: PlaceFlags, form: output.DataFormat) -> None:
    """Print the only item, or those of several Secrets as a list."""
    several = len(places.secrets or ()) > 1
    output.objects({"items": items} if several else items[0], form)


def tell_errors(errors: list[PxauthError]) -> None:
    """Say what kept some of several tokens from being examined, and exit if there are any."""
    for error in errors:
        output.failure(error)
    if errors:
        raise typer.Exit(output.FAILED)


def findings_as_json(found: Examination) -> dict[str, Any]:
    """Whether the token is accepted, null where that is not known, the key, and the findings."""
    return {
        "token": found.where,
        "accepted": found.accepted,
        "key": found.key and {"source": found.key.source, "fingerprint": found.key.fingerprint},
        "findings": [
            {"severity": one.severity.value, "check": one.check, "message": one.message}
            for one in found.verdict.findings
        ],
    }


def _read_token_file(filename: str) -> FileToken:
    # The newline that ends a text file is none of the token's, and makes no difference to whether
    # the verifier takes it.
    token = read_file(filename, PxauthError).removesuffix(b"\n").removesuffix(b"\r")
    return FileToken(token, display_name(filename))


def read_verifying_source(flags: VerificationFlags, token_file: str | None = None) -> KeySource:
    """What the flags say that the cluster trusts; raises UsageError and other PxauthErrors."""
    shared_secret = {
        "--shared-secret-file": flags.shared_secret_file,
        "--shared-secret-from": flags.shared_secret_from,
    }
    public_keys = {
        "--rsa-public-keyfile": flags.rsa_public_keyfile,
        "--ecdsa-public-keyfile": flags.ecdsa_public_keyfile,
    }
    check_exclusive(shared_secret)
    check_standard_input({"--token-file": token_file} | shared_secret | public_keys)
    key = local_shared_secret(flags, others=tuple(public_keys.values()))
    return KeySource(
        issuer=optional(flags.issuer, check_issuer),
        signing_key=key,
        from_environment=key is not None and not flags.shared_secret_file,
        shared_secret_from=optional(flags.shared_secret_from, read_key_reference),
        rsa_public_pem=optional(flags.rsa_public_keyfile, lambda file: _pem(file, read_rsa_key)),
        ecdsa_public_pem=optional(
            flags.ecdsa_public_keyfile, lambda file: _pem(file, read_ecdsa_key)
        ),
        username_claim=flags.username_claim,
        portworx_namespace=optional(flags.portworx_namespace, check_namespace),
    )


def _pem(filename: str, check: Callable[[bytes], object]) -> bytes:
    pem = read_file(filename, KeyFileError)
    try:
        check(pem)
    except KeyFileError as error:
        raise KeyFileError(f"{display_name(filename)}: {error}", error.hint) from None
    return pem
