"""--rsa-private-keyfile and --ecdsa-private-keyfile, judged by the verifier with the public key."""

import itertools
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

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
    shell.issue(*flags, "--sub", "alice", "--change-identity")
    shell.issue(*flags)
    assert shell.claims()["sub"] == "alice"
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


def test_a_short_rsa_key_is_a_warning(offline: Shell) -> None:
    (offline.home / "key.pem").write_bytes(private(rsa_key(1024)))
    done = offline.pxauth("token", "admin", "--rsa-private-keyfile", "key.pem")
    assert done.code == 0
    assert "warning: the RSA key in key.pem has 1024 bits" in done.err


def test_one_key_is_enough(offline: Shell) -> None:
    (offline.home / "key.pem").write_bytes(private(rsa_key()))
    flags = ["--rsa-private-keyfile", "--ecdsa-private-keyfile"]
    flags += ["--shared-secret-file", "--shared-secret-from"]
    for first, second in itertools.pairwise(flags):
        said = offline.refused("token", "admin", first, "key.pem", second, "key.pem", code=2).err
        assert "exclude each other" in said
    said = offline.refused(
        *("token", "-f", "-", "--rsa-private-keyfile", "-"), stdin="x", code=2
    ).err
    assert "can't both read standard input" in said


def test_a_missing_file_is_named(offline: Shell) -> None:
    said = offline.refused("token", "admin", "--rsa-private-keyfile", "nowhere.pem").err
    assert said == "error: nowhere.pem: No such file or directory\n"
