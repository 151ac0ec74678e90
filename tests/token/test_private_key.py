"""--rsa-private-keyfile and --ecdsa-private-keyfile, judged by the verifier with the public key."""

import itertools
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from kubectl_pxauth.errors import KeyFileError
from kubectl_pxauth.token.private_key import read_ecdsa_private_key, read_rsa_private_key
from kubectl_pxauth.token.verdict import Trust
from tests.conftest import Shell
from tests.token.odd_tokens import FORMS, Case, ask_go, ec_key, pem, private, rsa_key

KINDS = ["rsa", "ecdsa"]


def signing(kind: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    return rsa_key() if kind == "rsa" else ec_key()


def verdicts(token: str, kind: str, issuer: str = "portworx.com") -> list[dict[str, Any]]:
    """What both verifiers say that have nothing but the public key."""
    public = pem(signing(kind))
    trust = (
        Trust(issuer, rsa_public_pem=public)
        if kind == "rsa"
        else Trust(issuer, ecdsa_public_pem=public)
    )
    case = Case(token.strip().encode(), trust, datetime.now(UTC))
    return [ask_go([case], verifier)[0] for verifier in ("verify", "verify4")]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_signed_as_the_verifier_takes_it(offline: Shell, kind: str, form: str) -> None:
    written = private(signing(kind), form)
    (offline.home / "key.pem").write_bytes(written)
    for name, stdin in (("key.pem", None), ("-", written.decode())):
        done = offline.pxauth("token", "kubernetes", f"--{kind}-private-keyfile", name, stdin=stdin)
        assert (done.code, done.err) == (0, "")
        assert all(verdict["accepted"] for verdict in verdicts(done.out, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_issue_signs_with_it_too_and_keeps_the_user(shell: Shell, kind: str) -> None:
    (shell.home / "key.pem").write_bytes(private(signing(kind)))
    flags = ["kubernetes", f"--{kind}-private-keyfile", "key.pem", "--issuer", "px.example"]
    shell.issue(*flags, "--sub", shell.namespace, "--change-identity")
    shell.issue(*flags)
    assert shell.claims()["sub"] == shell.namespace
    assert all(verdict["accepted"] for verdict in verdicts(shell.token(), kind, "px.example"))


def refused(offline: Shell, kind: str, written: bytes) -> str:
    (offline.home / "key.pem").write_bytes(written)
    done = offline.refused("token", "admin", f"--{kind}-private-keyfile", "key.pem")
    assert "PRIVATE" not in done.err
    assert "key.pem" in done.err
    return done.err


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_encrypted_key_is_refused(offline: Shell, kind: str, form: str) -> None:
    said = refused(offline, kind, private(signing(kind), form, b"password"))
    assert said.startswith("error: the private key in key.pem is encrypted\nhint: ")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("written", "says"),
    [
        (b"", "no private key in PEM form"),
        (b"garbage \xff\0", "no private key in PEM form"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (pem(rsa_key()), "a public key, not a private key"),
        (pem(ec_key()), "a public key, not a private key"),
        (b"-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "a certificate, not"),
    ],
    ids=range(6),
)
def test_what_is_no_private_key_is_refused(
    offline: Shell, kind: str, written: bytes, says: str
) -> None:
    assert f"key.pem holds {says}" in refused(offline, kind, written)


def test_a_key_of_another_kind_is_refused_with_the_flag_for_it(offline: Shell) -> None:
    ed = ed25519.Ed25519PrivateKey.generate()
    for kind, key in (("rsa", ec_key()), ("ecdsa", rsa_key()), ("rsa", ed), ("ecdsa", ed)):
        assert f"holds no {kind.upper()} key" in refused(offline, kind, private(key))
    said = refused(offline, "rsa", private(ec_key()))
    assert "hint: --ecdsa-private-keyfile takes an ECDSA key" in said


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1(), ec.SECP224R1(), ec.SECP256K1()])
def test_es256_is_for_p256_alone(offline: Shell, curve: ec.EllipticCurve) -> None:
    said = refused(offline, "ecdsa", private(ec.generate_private_key(curve)))
    assert f"is on the curve {curve.name}; ES256 is for P-256 alone" in said


def test_a_short_rsa_key_signs_only_where_that_is_said(offline: Shell) -> None:
    (offline.home / "key.pem").write_bytes(private(rsa_key(1024)))
    make = ("token", "admin", "--rsa-private-keyfile", "key.pem")
    error, hint = offline.refused(*make).err.splitlines()
    assert error.startswith("error: the RSA key in key.pem has 1024 bits; RS256 wants 2048")
    assert hint == "hint: to sign with it all the same: --allow-weak-key"
    done = offline.pxauth(*make, "--allow-weak-key")
    assert done.code == 0
    assert "warning: the RSA key in key.pem has 1024 bits" in done.err


def test_one_key_is_enough(offline: Shell) -> None:
    (offline.home / "key.pem").write_bytes(private(rsa_key()))
    flags = ["--rsa-private-keyfile", "--ecdsa-private-keyfile"]
    flags += ["--shared-secret-file", "--shared-secret-from"]
    for first, second in itertools.pairwise(flags):
        said = offline.refused("token", "admin", first, "key.pem", second, "key.pem", code=2).err
        assert "can't be used together" in said
    said = offline.refused(
        *("token", "-f", "-", "--rsa-private-keyfile", "-"), stdin="x", code=2
    ).err
    assert "can't both read standard input" in said


def test_a_missing_file_is_named(offline: Shell) -> None:
    said = offline.refused("token", "admin", "--rsa-private-keyfile", "nowhere.pem").err
    assert said == "error: nowhere.pem: No such file or directory\n"


ENCRYPTED = "the private key in k is encrypted"
DECRYPT = "give it decrypted: openssl pkey writes it so, to standard input for `-`"
OTHER_CURVE = "the ECDSA key in k is on the curve secp384r1; ES256 is for P-256 alone"
MAKE_P256 = "openssl ecparam -name prime256v1 -genkey -noout makes such a key"


@pytest.mark.parametrize(
    ("kind", "written", "says", "hint"),
    [
        ("rsa", b"", "k holds no private key in PEM form", None),
        ("rsa", pem(rsa_key()), "k holds a public key, not a private key", None),
        ("ecdsa", b"-----BEGIN CERTIFICATE-----", "k holds a certificate, not a private key", None),
        ("rsa", private(rsa_key(), password=b"p"), ENCRYPTED, DECRYPT),
        (
            "rsa",
            private(ec_key()),
            "k holds no RSA key",
            "--ecdsa-private-keyfile takes an ECDSA key",
        ),
        (
            "ecdsa",
            private(rsa_key()),
            "k holds no ECDSA key",
            "--rsa-private-keyfile takes an RSA key",
        ),
        ("ecdsa", private(ec_key("ES384")), OTHER_CURVE, MAKE_P256),
    ],
    ids=range(7),
)
def test_what_is_said_of_a_file_that_is_no_such_key(
    kind: str, written: bytes, says: str, hint: str | None
) -> None:
    read = read_rsa_private_key if kind == "rsa" else read_ecdsa_private_key
    with pytest.raises(KeyFileError) as caught:
        read(written, "k")
    assert (str(caught.value), caught.value.hint) == (says, hint)
    # The library's own words could repeat what the file holds.
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_key_knows_its_other_half_and_never_shows_itself() -> None:
    for key, algorithm, bits in ((rsa_key(), "RS256", 2048), (ec_key(), "ES256", 256)):
        written = private(key)
        read = (read_rsa_private_key if bits > 256 else read_ecdsa_private_key)(written, "k")
        assert (read.pem, read.public_pem) == (written, pem(key))
        assert (read.algorithm, read.bits, read.source) == (algorithm, bits, "k")
        assert read.warnings() == ()
        assert "PRIVATE" not in repr(read)


def test_how_long_an_rsa_key_is() -> None:
    short = read_rsa_private_key(private(rsa_key(1024)), "k")
    assert short.warnings() == (
        "the RSA key in k has 1024 bits; RS256 wants 2048 or more (RFC 7518, section 3.3)",
    )
    keys = [replace(short, bits=bits) for bits in (2047, 2048)]
    assert [bool(key.warnings()) for key in keys] == [True, False]
