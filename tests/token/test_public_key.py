"""What is said of a file that holds no public key that Portworx would read."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kubectl_pxauth.errors import KeyFileError
from kubectl_pxauth.token.public_key import read_ecdsa_key, read_rsa_key
from tests.token.odd_tokens import ec_key, pem, rsa_key

JUNK = b"-----BEGIN X-----\nAAAA\n-----END X-----\n"
WRITE = "openssl pkey -pubout writes the form that Portworx reads"


@pytest.mark.parametrize(
    ("written", "says", "hint"),
    [
        (b"x", "the {} public key is not PEM: it has no whole BEGIN and END", None),
        (JUNK, "the {} public key is neither a public key nor a certificate", WRITE),
    ],
)
def test_what_is_no_key(written: bytes, says: str, hint: str | None) -> None:
    for kind, read in (("RSA", read_rsa_key), ("ECDSA", read_ecdsa_key)):
        with pytest.raises(KeyFileError) as caught:
            read(written)
        assert (str(caught.value), caught.value.hint) == (says.format(kind), hint)


def test_a_key_of_another_kind() -> None:
    with pytest.raises(KeyFileError) as caught:
        read_rsa_key(pem(ec_key()))
    assert str(caught.value) == "the RSA public key is a key of another kind"
    with pytest.raises(KeyFileError) as caught:
        read_ecdsa_key(pem(rsa_key()))
    assert str(caught.value) == "the ECDSA public key is a key of another kind"
    with pytest.raises(KeyFileError) as caught:
        read_ecdsa_key(pem(ec.generate_private_key(ec.SECP256K1())))
    assert str(caught.value) == "the ECDSA public key is on the curve secp256k1; use P-256"
