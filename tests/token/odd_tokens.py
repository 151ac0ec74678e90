"""Tokens of every kind of odd, signed all the same; and what verifiers in Go say of them."""

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from controlplane.build import openstorage_tool
from kubectl_pxauth.token.verdict import Trust

KEY = b"a shared secret of sixty-four bytes, so that no hash finds it short."
NOW = datetime(2026, 11, 23, 12, 0, 0, 700_000, UTC)
SECOND = int(NOW.timestamp())
FORMS = {
    "traditional": PrivateFormat.TraditionalOpenSSL,  # PKCS #1 for RSA, SEC 1 for ECDSA
    "PKCS #8": PrivateFormat.PKCS8,
}
CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


@cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(algorithm: str = "ES256") -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVES[algorithm])


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def private(key: Any, form: str = "PKCS #8", password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    text: bytes = key.private_bytes(Encoding.PEM, FORMS[form], encryption)
    return text


@cache
def trust() -> Trust:
    return Trust("portworx.com", KEY, pem(rsa_key()), pem(ec_key()))


@dataclass(frozen=True)
class Case:
    token: bytes
    trust: Trust
    now: datetime = NOW

    def question(self) -> str:
        encoded = {
            "token_base64": self.token,
            "shared_secret_base64": self.trust.shared_secret or b"",
        }
        return json.dumps(
            {name: base64.b64encode(value).decode() for name, value in encoded.items()}
            | {
                "now": self.now.isoformat(),
                "issuer": self.trust.issuer,
                "rsa_public_pem": (self.trust.rsa_public_pem or b"").decode(),
                "ecdsa_public_pem": (self.trust.ecdsa_public_pem or b"").decode(),
                "username_claim": self.trust.username_claim,
            }
        )


def ask_go(cases: Iterable[Case], verifier: str = "verify4") -> list[dict[str, Any]]:
    questions = "".join(case.question() + "\n" for case in cases)
    done = subprocess.run(
        [openstorage_tool(verifier)], input=questions, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def signature(signed: bytes, algorithm: str, key: Any = None) -> bytes:
    """The signature that this algorithm's name asks for; HMAC for a name that is none."""
    sha = getattr(hashes, f"SHA{algorithm[2:]}", hashes.SHA256)()
    if algorithm.startswith("RS"):
        made: bytes = (key or rsa_key()).sign(signed, padding.PKCS1v15(), sha)
        return made
    if algorithm.startswith("ES"):
        halves = decode_dss_signature((key or ec_key()).sign(signed, ec.ECDSA(sha)))
        size = (CURVES[algorithm].key_size + 7) // 8
        return b"".join(half.to_bytes(size, "big") for half in halves)
    return hmac.digest(KEY if key is None else key, signed, hashlib.new(sha.name).name)


def make(
    payload: str | bytes | None = None,
    header: str | bytes = '{"alg":"HS256","typ":"JWT"}',
    algorithm: str = "HS256",
    key: Any = None,
    **changes: str | None,
) -> bytes:
    """A token; changes are the JSON text of a claim, or None for no such claim."""
    if payload is None:
        payload = "{" + ",".join(f'"{k}":{v}' for k, v in members(**changes)) + "}"
    parts = [p if isinstance(p, bytes) else p.encode() for p in (header, payload)]
    signed = b".".join(encode(part) for part in parts)
    return signed + b"." + encode(signature(signed, algorithm, key))


def members(**changes: str | None) -> list[tuple[str, str]]:
    claims: dict[str, str | None] = {
        "iss": '"portworx.com"',
        "sub": '"s"',
        "name": '"n"',
        "email": '"e"',
        "roles": '["system.user"]',
        "iat": str(SECOND - 600),
        "exp": str(SECOND + 3600),
    }
    return [(name, text) for name, text in (claims | changes).items() if text is not None]


_PLAIN_NUMBERS = """
0 -0 -0.0 0e9 0.5 -0.5 -1e-10 1e-400 1e-10 -1 1 1e5 1E+9 1.7e9 1e10 253402300800
1e308 1e309 -1e309 1.7976931348623157e308 1.7976931348623159e308 1e400
9223372036854775807 9223372036854775808 -9223372036854775809 9223371974719179008
9223371974719178000 9.2e18 9.3e18 -9.3e18 1e19 -1e19 1.8446744073709552e19 3e19
01 -01 1. .5 +1 - 1e 1e+ NaN Infinity -Infinity 0x10 1_0 \u0661 --1
"""
NUMBERS = [
    *_PLAIN_NUMBERS.split(),
    *(str(SECOND + off) for off in (-1, 0, 1)),
    *(f"{SECOND + off}.{part}" for off in (-1, 0, 1) for part in ("0", "3", "9999999999")),
    "9" * 300, "9" * 400, "0." + "0" * 400 + "1", f"{SECOND * 10}e-1", f"0.{SECOND}e10",
]  # fmt: skip
TEXTS = [
    '"s"', '"portworx.com"', '"other"', '""', '"\\u0073"', '"\\ud800"', '"\\ud83d\\ude00"',
    '"\\ud800\\ud800\\udc00"', '"\\udc00\\ud800"', '"\\x"', '"\\u12g4"', '"\\u 123"', '"\\/\\b\\f"',
    '"\t"', '"\x7f"', '"\0"', '"\u2028"', '"portworx\\u002ecom"', '"\ufffd\ufffd"', "'s'", '"s',
    '"\\"', '"\\u+123"', '"\\U0041"',
]  # fmt: skip
OTHERS = [
    "null", "true", "false", "True", "nul", "{}", "[]", "[[]]", '{"a":[{"b":null}]}', "[null]",
    '["system.user",null]', '["a",1]', '["a",["b"]]', '["a",]', "[,]", "[1 2]", '{"a":1,}', '{"a"}',
    "{1:2}", '{"a":1e400}', "[1e999]", '["system.admin"]', '"system.user"', "", " ", '[{"a":1}]',
    "[" * 50 + "]" * 50, '{"a":' * 40 + "0" + "}" * 40, '{"a":1,"a":"x"}', "{null:1}", "// c\n1",
]  # fmt: skip
KEYS = [
    "Sub", "SUB", "\u017fub", "i\u017fs", "ISS", "Iss", "NAME", "E-mail", "e_mail", "EMAIL",
    "Roles", "role\u017f", "GROUPS", "groups", "nbf", "NBF", "Exp", "IAT", "aud", "\\u0073ub",
    "su\\u0062", "\u0130ss", "\u0131ss", "", "x", "\\ud800", "sub ", "sub\\u0000", "em\u00e4il",
    "\u212aey",
]  # fmt: skip
HEADERS = [
    '{"typ":"JWT"}', "null", "[]", "1", '"alg"', "{}", "", '{"alg":null}', '{"alg":256}',
    '{"alg":["HS256"]}', '{"alg":"none"}', '{"alg":"hs256"}', '{"Alg":"HS256"}', '{"alg":"HS1"}',
    '{"alg":"none","alg":"HS256"}', '{"alg":"HS256","alg":"none"}', '{"alg":"HS256","ALG":"none"}',
    '{"alg":"\\u0048S256"}', '{"alg":"HS256"} ', '{"alg":"HS256"}x', '{"alg":"HS256","x":1e400}',
    '{"alg":"HS256","kid":{"a":[1]}}', ' \r\n\t{"alg":"HS256"}\n', '\ufeff{"alg":"HS256"}',
    '{"alg":"HS256\\u0000"}', '{"alg":"PS256"}', '{"alg":"EdDSA"}', '{"alg":"HS"}', '{"alg":""}',
    '{"alg":"ES256K"}', '{"alg":"HS512256"}', '{"alg":"HS256","crit":["x"]}',
]  # fmt: skip
ALGORITHMS = [family + bits for family in ("HS", "RS", "ES") for bits in ("256", "384", "512")]
BYTES = b'\0\t\n\r "\\/{}[],:.=-_+0159aeEfnstuxAZ\x7f\x80\xbf\xc0\xc3\xe2\xed\xa0\xf0\x9f\xf4\xff'


def odd_case(random: Random) -> Case:
    """A token with a few things wrong with it, or none."""
    trusted = _trust(random)
    algorithm = random.choice(ALGORITHMS) if random.random() < 0.1 else "HS256"
    header = f'{{"alg":"{algorithm}","typ":"JWT"}}'.encode()
    if random.random() < 0.15:
        header = random.choice(HEADERS).encode()
    parts = [header, _payload(random)]
    for index, part in enumerate(parts):
        if random.random() < 0.05:
            parts[index] = _spoil(random, part)
    signed = b".".join(_encode(random, part) for part in parts)
    token = signed + b"." + _encode(random, signature(signed, algorithm))
    if random.random() < 0.1:
        token = _spoil_token(random, token)
    return Case(token, trusted)


def _trust(random: Random) -> Trust:
    changed = trust()
    if random.random() < 0.1:
        changed = replace(changed, username_claim=random.choice(["sub", "name", "email"]))
    if random.random() < 0.03:
        changed = replace(changed, issuer=random.choice(["", "other", "\ufffd\ufffd", "\ufffd"]))
    if random.random() < 0.03:
        key = random.choice(["shared_secret", "rsa_public_pem", "ecdsa_public_pem"])
        gone: dict[str, Any] = {key: random.choice([None, b""])}
        changed = replace(changed, **gone)
    return changed


def _payload(random: Random) -> bytes:
    claims = members()
    for _ in range(random.choice([0, 1, 1, 2, 3])):
        spot = random.randrange(len(claims))
        name, value = claims[spot]
        other = random.choice(random.choice([NUMBERS, TEXTS, OTHERS]))
        edit = random.randrange(7)
        if edit == 0 and len(claims) > 1:
            del claims[spot]
        elif edit == 1:
            claims[spot] = (name, other)
        elif edit == 2:
            claims.insert(random.randrange(len(claims) + 1), (name, other))
        elif edit == 3:
            key = random.choice(KEYS)
            claims.insert(random.randrange(len(claims) + 1), (key, random.choice([value, other])))
        elif edit == 4:
            claims[spot] = (random.choice(KEYS), value)
        elif edit == 5:
            time = random.choice(["exp", "iat", "nbf"])
            claims.append((time, random.choice(NUMBERS)))
        else:
            random.shuffle(claims)
    gap = random.choice(["", "", "", " ", "\n", "\t\r"])
    text = "{" + f",{gap}".join(f'"{name}"{gap}:{value}' for name, value in claims) + "}"
    if random.random() < 0.03:
        text = random.choice(
            [text + " ", text + "x", text + "{}", "null", "[]", "", "{", f"[{text}]"]
        )
    return text.encode()


def _spoil(random: Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 4])):
        spot = random.randrange(len(changed) + 1)
        some = bytes(random.choices(BYTES, k=random.choice([0, 1, 1, 2])))
        changed[spot : spot + random.choice([0, 1, 1, 3])] = some
    return bytes(changed)


def _encode(random: Random, part: bytes) -> bytes:
    text = encode(part)
    if random.random() < 0.9:
        return text
    edit = random.randrange(5)
    if edit == 0:
        return base64.urlsafe_b64encode(part)
    if edit == 1:
        return base64.b64encode(part).rstrip(b"=")
    if edit == 2 and text:
        return text[:-1] + random.choice(b"ABCDwxyz0189-_").to_bytes(1, "big")
    spot = random.randrange(len(text) + 1)
    return text[:spot] + random.choice([b"\n", b"\r\n", b" ", b"\n\n\n\n", b"="]) + text[spot:]


def _spoil_token(random: Random, token: bytes) -> bytes:
    head, claims, tail = token.rsplit(b".", 2)
    return random.choice(
        [
            _spoil(random, token),
            token + random.choice([b"\n", b" ", b".", b"=", b"A", b"\r\n", b"\0"]),
            random.choice([b"bearer ", b"Bearer\n", b" ", b"\n", b".", b'"']) + token,
            b".".join([head, tail, claims]),
            b".".join([head, claims]),
            b".".join([head, claims, b""]),
            b".".join([head, b"", tail]),
            token[: random.randrange(len(token))],
            random.randbytes(random.randrange(40)),
        ]
    )
