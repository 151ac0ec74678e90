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
    read_namespace,
)
from kubectl_pxauth.cluster.names import check_data_key, check_namespace, check_secret_name
from kubectl_pxauth.cluster.secrets import SecretKeyReference
from kubectl_pxauth.errors import KeyFileError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.operations.inspect import Examination, FileToken, examine
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

    secret: Annotated[
        str | None,
        typer.Argument(
            metavar="SECRET", help="Secret that holds the token.", show_default=_DEFAULT_SECRET
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
    """What the token is held against: as for signing, but with public keys."""

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


def examined(place: PlaceFlags, flags: VerificationFlags, connection: Connection) -> Examination:
    """The examination that the flags ask for, its warnings printed; raises PxauthErrors."""
    trust = read_verifying_source(flags, place.token_file)
    found = examine(_read_place(place, connection), trust, connection.open, datetime.now(UTC))
    output.warnings(found.warnings)
    return found


def findings_as_json(found: Examination) -> dict[str, Any]:
    """Whether the token is accepted, null where that is not known, the key, and the findings."""
    return {
        "accepted": found.accepted,
        "key": found.key and {"source": found.key.source, "fingerprint": found.key.fingerprint},
        "findings": [
            {"severity": one.severity.value, "check": one.check, "message": one.message}
            for one in found.verdict.findings
        ],
    }


def _read_place(place: PlaceFlags, connection: Connection) -> SecretKeyReference | FileToken:
    check_exclusive({"SECRET": place.secret, "--token-file": place.token_file})
    if place.token_file is not None:
        # The newline that ends a text file is none of the token's, and makes no difference to
        # whether the verifier takes it.
        token = read_file(place.token_file, PxauthError).removesuffix(b"\n").removesuffix(b"\r")
        return FileToken(token, display_name(place.token_file))
    return SecretKeyReference(
        read_namespace(place.namespace, connection),
        check_secret_name(place.secret or _DEFAULT_SECRET),
        check_data_key(place.key),
    )


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
    return KeySource(
        issuer=optional(flags.issuer, check_issuer),
        signing_key=local_shared_secret(flags, others=tuple(public_keys.values())),
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
