"""The known weaknesses of python-jose, and that none of them is one of the plugin.

Read in mpdavis/python-jose: #346 (CVE-2024-33663, a public key taken as HMAC secret; #369 mended it
for PEM and SSH, and not for DER, as github/advisory-database#7123 says), #344 and #352
(CVE-2024-33664, a JWE that unpacks to gigabytes), #390 (CVE-2024-23342, of the package ecdsa, which
is installed with it) and #413 (the header crit is not heeded).
"""

import json
import subprocess
import zlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kubectl_pxauth.errors import SharedSecretError
from kubectl_pxauth.token.jwt import sign_again
from kubectl_pxauth.token.shared_secret import SharedSecret
from kubectl_pxauth.token.verdict import Trust, judge
from tests.conftest import BIN, Shell, claims_of, forge

NOW = datetime.now(UTC)
PEM, DER = Encoding.PEM, Encoding.DER
INFO = PublicFormat.SubjectPublicKeyInfo
FORMS = {
    "PEM": (PEM, INFO),
    "DER": (DER, INFO),
    "SSH": (Encoding.OpenSSH, PublicFormat.OpenSSH),
}
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def trust(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> Trust:
    pem = key.public_key().public_bytes(PEM, INFO)
    if isinstance(key, rsa.RSAPrivateKey):
        return Trust("portworx.com", rsa_public_pem=pem)
    return Trust("portworx.com", ecdsa_public_pem=pem)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.parametrize("key", [RSA, EC], ids=["RSA", "EC"])
def test_a_public_key_is_no_shared_secret(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, algorithm: str, form: str
) -> None:
    """CVE-2024-33663: who knows the public key signs with it as if it were the shared secret."""
    public = key.public_key().public_bytes(*FORMS[form])
    for secret in (public, public.rstrip()):
        token = forge(claims_of("mallory"), secret, algorithm).encode()
        verdict = judge(token, trust(key), NOW)
        assert verdict.is_jwt
        assert not verdict.signed
        assert not verdict.accepted


@pytest.mark.parametrize("form", ["PEM", "SSH"])
def test_nothing_is_signed_with_a_public_key(form: str) -> None:
    public = EC.public_key().public_bytes(*FORMS[form])
    token = forge(claims_of("alice")).encode()
    with pytest.raises(SharedSecretError, match="is a PEM or SSH key"):
        sign_again(token, SharedSecret(public, "a test"))


def test_a_jwe_is_not_unpacked(offline: Shell) -> None:
    """CVE-2024-33664: a small JWE that is large when it is unpacked."""
    bomb = zlib.compress(b"\0" * 10_000_000)
    header = json.dumps({"alg": "dir", "enc": "A128GCM", "zip": "DEF"}).encode()
    whole = b".".join([header.hex().encode(), b"", b"00", bomb.hex().encode(), b"00"])
    (offline.home / "token").write_bytes(whole)
    flags = ("--token-file", "token", "--issuer", "portworx.com")
    done = offline.pxauth("verify", *flags)
    assert done.code == 1
    assert "problem" in done.out
    assert "format" in done.out


PROGRAM = """
import os, runpy, sys
sys.argv = sys.argv[1:]
end = os._exit
def tell(code):
    print(*sorted(name for name in sys.modules if name.split(".")[0] in ("jose", "ecdsa")),
          file=sys.stderr, flush=True)
    end(code)
os._exit = tell
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("kind", ["none", "rsa", "ecdsa"])
def test_what_is_weak_in_it_is_not_even_loaded(offline: Shell, kind: str) -> None:
    """Not the package ecdsa (CVE-2024-23342), nor JWE, nor its own verifier of tokens (crit)."""
    key = RSA if kind == "rsa" else EC
    pem = key.private_bytes(PEM, PrivateFormat.PKCS8, NoEncryption())
    (offline.home / "key.pem").write_bytes(pem)
    (offline.home / "token").write_text(forge(claims_of("alice")))
    flags = [] if kind == "none" else [f"--{kind}-private-keyfile", "key.pem"]
    for arguments in (
        ["token", "admin", *flags],
        ["verify", "--token-file", "token", "--issuer", "portworx.com"],
    ):
        done = subprocess.run(
            [BIN / "python", "-c", PROGRAM, BIN / "kubectl-pxauth", *arguments],
            capture_output=True,
            text=True,
            cwd=offline.home,
            env=offline.popen_environment,
        )
        assert done.returncode == 0, done.stderr
        loaded = done.stderr.splitlines()[-1].split()
        assert not {"ecdsa", "jose.jwe", "jose.jwt", "jose.backends.ecdsa_backend"} & set(loaded)
        assert ("jose.jws" in loaded) is (arguments[0] == "token")
