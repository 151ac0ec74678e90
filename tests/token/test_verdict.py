import base64
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from types import FrameType
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from kubectl_pxauth.errors import KeyFileError
from kubectl_pxauth.token.claims import LONGEST
from kubectl_pxauth.token.go_json import GoJSONError, read_object
from kubectl_pxauth.token.identity import NOBODY, PartialIdentity
from kubectl_pxauth.token.verdict import Severity, Trust, Verdict, judge
from tests.token.odd_tokens import (
    KEY,
    NOW,
    SECOND,
    Case,
    ask_go,
    ec_key,
    encode,
    make,
    odd_case,
    pem,
    rsa_key,
    trust,
)

GOOD = make()
HEAD, CLAIMS, TAIL = GOOD.split(b".")


def alg(name: str, key: Any = None, **changes: str | None) -> bytes:
    return make(header=f'{{"alg":"{name}"}}', algorithm=name, key=key, **changes)


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


# For each token what its one remarkable finding is, in the order: accepted, check, words in it.
TABLE: dict[str, tuple[bytes, bool, str, str]] = {
    "as issued": (GOOD, True, "expiry", "2026-11-23 13:00:00 UTC"),
    "nothing": (b"", False, "format", "this has 0"),
    "two parts": (HEAD + b"." + CLAIMS, False, "format", "this has 1"),
    "four parts": (GOOD + b".", False, "format", "this has 3"),
    "bearer": (b"Bearer " + GOOD, False, "format", "the token is what follows"),
    "newline behind": (GOOD + b"\n", True, "format", "newlines, which the verifier skips"),
    "newline inside": (GOOD[:5] + b"\n" + GOOD[5:], False, "signature", "the token was changed"),
    "space behind": (GOOD + b" ", False, "signature", "not unpadded URL-safe base64"),
    "padded": (GOOD + b"=", False, "signature", "not unpadded URL-safe base64"),
    "leftover bits": (GOOD[:-1] + bytes([GOOD[-1] + 1]), True, "format", "bits that are not zero"),
    "header is no JSON": (make(header="{'alg'}"), False, "format", "header part is not JSON at"),
    "header is null": (make(header="null"), False, "format", "header part is null, not an obj"),
    "trailing data": (make('{"a":1}{}'), False, "format", "goes on after the end of its JSON"),
    "claims are cut": (make('{"a":'), False, "format", "claims part is not JSON to its end"),
    "byte order mark": (make("\ufeff{}"), False, "format", "not JSON at its character 1"),
    "NaN": (make(x="NaN"), False, "format", "not JSON at"),
    "leading zero": (make(x="01"), False, "format", "not JSON at"),
    "control character": (make(x='"\n"'), False, "format", "not JSON at"),
    "too large a number": (make(x="1e400"), False, "format", "too large for a float64"),
    "nested deep": (make(x=nested(5_000)), True, "format", "can be read"),
    "the claims are a list": (make(nested(5_000)), False, "format", "is a list, not an object"),
    "no algorithm": (make(header="{}"), False, "algorithm", "names none"),
    "none": (make(header='{"alg":"none"}'), False, "algorithm", 'does not take "none"'),
    "PS256": (make(header='{"alg":"PS256"}'), False, "algorithm", 'does not take "PS256"'),
    "a number": (make(header='{"alg":256}'), False, "algorithm", "has a number for one"),
    "HS512": (alg("HS512"), True, "algorithm", "no generator writes"),
    "named twice": (make(header='{"alg":1,"alg":"HS256"}'), True, "algorithm", "the last counts"),
    "RS256": (alg("RS256"), True, "signature", "with the cluster's key"),
    "RS512": (alg("RS512"), True, "signature", "with the cluster's key"),
    "ES256": (alg("ES256"), True, "signature", "with the cluster's key"),
    "odd curve": (alg("ES384"), True, "signature", "key has 256 bits; ES384 is for 384"),
    "short signature": (
        GOOD.replace(HEAD, encode(b'{"alg":"ES256"}')), False, "signature", "not made with",
    ),
    "other key": (make(key=b"other"), False, "signature", "not made with the cluster's key"),
    "other RSA key": (alg("RS256", rsa_key(1024)), False, "signature", "not made with"),
    "RSA key as secret": (make(key=pem(rsa_key())), False, "signature", "not made with"),
    "no sub": (make(sub=None), False, "claims", "missing: sub"),
    "nothing claimed": (make("{}"), False, "claims", "missing: iss, sub, exp, iat, name, email"),
    "other case": (make(sub=None, Sub='"s"'), False, "claims", '"Sub": counts as sub'),
    "long s": (make(**{"\u017fub": "1"}), False, "claims", "sub is a number, not text"),
    "given twice": (make(SUB='"other"'), True, "claims", '"sub", "SUB": counts as sub'),
    "name is null": (make(name="null"), True, "claims", "all that are required"),
    "groups is text": (make(groups='"a"'), False, "claims", "groups is text, not a list"),
    "no roles": (make(roles=None), True, "roles", "none"),
    "roles is text": (make(roles='"system.user"'), False, "roles", "roles is text, not a list"),
    "roles holds null": (make(roles='["a",null]'), True, "roles", '"a", ""'),
    "roles holds a number": (make(roles='["a",1]'), False, "roles", "roles holds a number"),
    "empty issuer": (make(iss='""'), False, "issuer", "it names none"),
    "other issuer": (make(iss='"o\\u001b"'), False, "issuer", '"o\\u001b"; the cluster trusts "'),
    "empty sub": (make(sub='""'), False, "username", "takes it from sub, which is empty"),
    "null sub": (make(sub="null"), False, "username", "takes it from sub, which is empty"),
    "null after all": (make(SUB="null"), True, "username", '"s", from sub'),
    "placeholder": (make(sub='"${uuid}"'), True, "username", "sub is a placeholder"),
    "expires now": (make(exp=str(SECOND)), False, "expiry", "expired: 2026-11-23 12:00:00 UTC"),
    "fraction": (make(exp=f"{SECOND}.9"), False, "expiry", "a fraction, which is dropped; expired"),
    "a second is left": (make(exp=str(SECOND + 1)), True, "expiry", "12:00:01"),
    "exp is 0": (make(exp="-0.0"), True, "expiry", "never expires"),
    "exp underflows": (make(exp="1e-400"), True, "expiry", "never expires"),
    "exp is text": (make(exp=f'"{SECOND + 9}"'), False, "expiry", "exp is text, not a number"),
    "exp is true": (make(exp="true"), False, "expiry", "exp is true or false, not a number"),
    "a century": (make(exp="4e9"), True, "expiry", "far off: 2096"),
    "an eon": (make(exp="1e18"), True, "expiry", "far off: 1000000000000000000 s after 1970"),
    "exp wraps around": (make(exp="1e19"), False, "expiry", "out of its range"),
    "iat wraps around": (make(iat="1e19"), True, "issued-at", "out of its range"),
    "fresh": (make(iat=f"{SECOND}.9"), True, "issued-at", "0 s ago"),
    "iat to come": (make(iat=str(SECOND + 1)), False, "issued-at", "in the future"),
    "iat is 0": (make(iat="0"), True, "issued-at", "it is not checked"),
    "iat is null": (make(iat="null"), False, "issued-at", "iat is null, not a number"),
    "nbf now": (make(nbf=str(SECOND)), True, "not-before", "12:00:00"),
    "nbf to come": (make(nbf=str(SECOND + 1)), False, "not-before", "in the future"),
    "nbf is a list": (make(nbf="[]"), False, "not-before", "nbf is a list, not a number"),
}  # fmt: skip


def lines(verdict: Verdict) -> list[str]:
    """The findings, each in one line."""
    return [f"{found.severity} {found.check}: {found.message}" for found in verdict.findings]


def test_what_is_said_of_a_good_token() -> None:
    verdict = judge(make(groups='["g",null]'), trust(), NOW)
    assert lines(verdict) == [
        "ok format: three parts that can be read",
        "ok algorithm: HS256",
        "ok signature: made with the cluster's key",
        "ok claims: all that are required",
        'ok issuer: "portworx.com"',
        'ok username: "s", from sub',
        'ok roles: "system.user"',
        "ok issued-at: 2026-11-23 11:50:00 UTC",
        "ok expiry: 2026-11-23 13:00:00 UTC",
    ]
    assert verdict.header == {"alg": "HS256", "typ": "JWT"}
    assert verdict.user == PartialIdentity("s", "n", "e", ("system.user",), ("g", ""))
    assert verdict.issued_at == datetime(2026, 11, 23, 11, 50, tzinfo=UTC)
    assert verdict.expires_at == datetime(2026, 11, 23, 13, tzinfo=UTC)
    assert verdict.issuer == "portworx.com"


def test_what_is_no_token_says_nothing_of_itself() -> None:
    verdict = judge(b"x", trust(), NOW)
    assert (verdict.header, verdict.claims, verdict.user) == ({}, {}, NOBODY)
    assert (verdict.issuer, verdict.issued_at, verdict.expires_at) == ("", None, None)


def test_what_a_token_leaves_out_is_nobodys() -> None:
    user = judge(make(sub='""', name=None, email="null", roles="null"), trust(), NOW).user
    assert user == NOBODY
    assert judge(make(roles="[]"), trust(), NOW).user.roles == ()


# 26 characters, the last of which has a bit that counts for nothing.
ODD_HEAD = encode(b'{"alg":"HS256"}    ')[:-1] + b"B"
NEWLINES = (
    "warning format: newlines, which the verifier skips but gRPC does not carry in a header:"
    " remove them"
)
WRONG_KEY = "problem signature: not made with the cluster's key, or the token was changed"
NO_RIGHTS = "warning roles: none: Portworx takes the token, but it may do next to nothing"
ALL = "HS256, HS384, HS512, RS256, RS384, RS512, ES256, ES384, ES512"
BEARER = 'problem format: it begins with "bearer ": the token is what follows'
NOT_BASE64 = "part is not unpadded URL-safe base64"
LEFT_OVER = "part ends in bits that are not zero, to no effect"
IN_FUTURE = "in the future: 2026-11-23 12:00:01 UTC"
OUT_OF_RANGE = "s after 1970, which the verifier makes of a number out of its range"
FRESH = "s ago: a node whose clock is further behind refuses it as yet"


@pytest.mark.parametrize(
    ("token", "line"),
    [
        (GOOD + b"\n", NEWLINES),
        (GOOD + b"\r", NEWLINES),
        (b"bEaReR " + GOOD, BEARER),
        (b"=." + CLAIMS + b"." + TAIL, f"problem format: the header {NOT_BASE64}"),
        (HEAD + b".=." + TAIL, f"problem format: the claims {NOT_BASE64}"),
        (HEAD + b"." + CLAIMS + b".=", "problem signature: the last " + NOT_BASE64),
        (GOOD[:-1] + bytes([GOOD[-1] + 1]), f"warning format: the signature {LEFT_OVER}"),
        (make(header="[]"), "problem format: the header part is a list, not an object"),
        (make("1"), "problem format: the claims part is a number, not an object"),
        (make("{}x"), "problem format: the claims part goes on after the end of its JSON"),
        (make("{} \u00a0"), "problem format: the claims part goes on after the end of its JSON"),
        (make('{ "a" }'), "problem format: the claims part is not JSON at its character 7"),
        (
            make(x="1e400"),
            "problem format: the claims part holds a number that is too large for a float64",
        ),
        (make(header="{}"), "problem algorithm: the header names none"),
        (make(header='{"alg":{}}'), "problem algorithm: the header has an object for one"),
        (
            make(header='{"alg":"none"}'),
            f'problem algorithm: the verifier does not take "none"; it takes {ALL}',
        ),
        (alg("HS384"), "warning algorithm: HS384, which no generator writes, but is taken"),
        (
            make(header='{"alg":1,"alg":"HS256"}'),
            "warning algorithm: the header names several; the last counts",
        ),
        (make(key=b"x"), WRONG_KEY),
        (make(iss='""'), "problem issuer: it names none"),
        (make(roles=None), NO_RIGHTS),
        (
            make(roles=json.dumps(list("abcdefghi"))),
            'ok roles: "a", "b", "c", "d", "e", "f", "g", "h"',
        ),
        (make(sub=f'"{"x" * 60}"'), f'ok username: "{"x" * 60}", from sub'),
        (make(sub=f'"{"x" * 61}"'), f'ok username: "{"x" * 60}…", from sub'),
        (make(exp="0"), "warning expiry: exp is 0, which counts as none: the token never expires"),
        (make(iat="0"), "warning issued-at: iat is 0, which counts as none: it is not checked"),
        (make(nbf="0"), "warning not-before: nbf is 0, which counts as none: it is not checked"),
        (make(iat=str(SECOND + 1)), f"problem issued-at: {IN_FUTURE}, or a clock is wrong"),
        (make(nbf=str(SECOND + 1)), f"problem not-before: {IN_FUTURE}"),
        (make(iat=str(SECOND - 299)), f"warning issued-at: 299 {FRESH}"),
        (make(iat=str(SECOND - 300)), "ok issued-at: 2026-11-23 11:55:00 UTC"),
        (
            ODD_HEAD + b"." + CLAIMS + b"." + TAIL,
            f"warning format: the header {LEFT_OVER}",
        ),
        (make(exp="-1000"), "problem expiry: expired: 1969-12-31 23:43:20 UTC"),
        (make(exp="1e19"), f"problem expiry: expired: -9223372036854775808 {OUT_OF_RANGE}"),
        (make(exp="1e30"), f"problem expiry: expired: -9223372036854775808 {OUT_OF_RANGE}"),
        (make(exp=str(SECOND - 600 + 3653 * 86400)), "ok expiry: 2036-11-23 11:50:00 UTC"),
        (
            make(exp=str(SECOND - 599 + 3653 * 86400)),
            "warning expiry: far off: 2036-11-23 11:50:01 UTC",
        ),
        (make(iat=None, exp=str(SECOND + 3653 * 86400)), "ok expiry: 2036-11-23 12:00:00 UTC"),
    ],
    ids=range(38),
)  # fmt: skip
def test_what_is_said_word_for_word(token: bytes, line: str) -> None:
    assert line in lines(judge(token, trust(), NOW))


@pytest.mark.parametrize(("size", "odd"), [(31, True), (32, False)])
def test_how_long_a_shared_secret_is(size: int, odd: bool) -> None:
    key = b"k" * size
    says = lines(judge(make(key=key), replace(trust(), shared_secret=key), NOW))[2]
    assert says.startswith("warning signature: the shared secret has 31 bytes" if odd else "ok ")


def test_how_long_an_rsa_key_is() -> None:
    short = replace(trust(), rsa_public_pem=pem(rsa_key(1024)))
    said = lines(judge(alg("RS256", rsa_key(1024)), short, NOW))
    assert "warning signature: the RSA key has 1024 bits; use 2048 or more" in said
    assert lines(judge(alg("RS256"), trust(), NOW))[2].startswith("ok signature: ")


@pytest.mark.parametrize(
    ("checks", "found"),
    [
        ((), ["signature", "issuer", "expiry"]),
        (("signature",), ["signature"]),
        (("expiry", "issuer"), ["issuer", "expiry"]),
        (("format",), []),
    ],
)
def test_problems_of_some_checks(checks: tuple[str, ...], found: list[str]) -> None:
    verdict = judge(make(key=b"x", exp="1", iss='"o"'), trust(), NOW)
    assert [one.check for one in verdict.problems(*checks)] == found
    assert (verdict.signed, verdict.is_jwt, verdict.accepted) == (False, True, False)


def test_nothing_is_signed_where_no_signature_was_looked_at() -> None:
    assert judge(GOOD, trust(), NOW).signed
    for token in (b"x", make(header="{}"), HEAD + b"." + CLAIMS + b".="):
        assert not judge(token, trust(), NOW).signed


HOUR, DAY, SECOND_LONG = timedelta(hours=1), timedelta(days=1), timedelta(seconds=1)
DAY_SECONDS = 86_400
LONG = make(iat=str(SECOND - 275 * DAY_SECONDS - 600), exp=str(SECOND + 90 * DAY_SECONDS))
THIRD = make(iat=str(SECOND - 20 * DAY_SECONDS - 600), exp=str(SECOND + 10 * DAY_SECONDS))


@pytest.mark.parametrize(
    ("token", "within", "ends", "due"),
    [
        (GOOD, None, None, True),
        (GOOD, timedelta(0), False, False),
        (LONG, 90 * DAY - SECOND_LONG, False, False),
        (LONG, 90 * DAY, True, True),
        (THIRD, 365 * DAY, True, True),
        (make(iat=str(SECOND - 600), exp=str(SECOND + 30 * DAY_SECONDS)), 30 * DAY, False, False),
        (make(iat=str(SECOND), exp=str(SECOND + 60)), HOUR, False, False),
        (make(exp=str(SECOND - 1)), timedelta(0), True, True),
        (make(exp="0"), timedelta(days=9999), False, False),
        (make(exp="1e30"), timedelta(0), False, True),
        (make(key=b"x"), timedelta(0), False, True),
        (b"x", timedelta(0), False, True),
    ],
)
def test_what_is_due(token: bytes, within: timedelta | None, ends: bool | None, due: bool) -> None:
    now = NOW.replace(microsecond=0)
    verdict = judge(token, trust(), now)
    assert verdict.is_due(within, now) is due
    if within is not None:
        assert verdict.is_ending(within, now) is ends


def finding(verdict: Verdict, check: str) -> str:
    return next(found.message for found in verdict.findings if found.check == check)


@pytest.mark.parametrize(("token", "accepted", "check", "says"), TABLE.values(), ids=TABLE)
def test_it_says_what_is_odd(token: bytes, accepted: bool, check: str, says: str) -> None:
    verdict = judge(token, trust(), NOW)
    assert says in finding(verdict, check)
    assert verdict.accepted == accepted


def test_the_table_is_right_about_the_verifier() -> None:
    answers = ask_go(Case(token, trust()) for token, *_ in TABLE.values())
    theirs = dict(zip(TABLE, (answer["accepted"] for answer in answers), strict=True))
    assert theirs == {name: row[1] for name, row in TABLE.items()}


@pytest.mark.parametrize("seed", range(4))
def test_every_verdict_is_the_verifiers(seed: int) -> None:
    random = Random(seed)
    cases = [odd_case(random) for _ in range(1000)]
    for case, theirs in zip(cases, ask_go(cases), strict=True):
        ours = judge(case.token, case.trust, case.now)
        assert ours.accepted == theirs["accepted"], (case, ours.findings, theirs)
        assert all(found.message.isprintable() for found in ours.findings)


def test_bytes_that_are_no_text_are_read_as_go_reads_them() -> None:
    random = Random(0)
    pieces = [*b"\x80\xbf\xc3\xe2\xed\xa0\xf0\x9f\x98\xf4", *map(ord, "ab")]
    odd = [bytes(random.choices(pieces, k=6)) for _ in range(1000)]
    escapes = [b"\\ud83d", b"\\ude00", b"\\u0041", b"\xf0\x9f\x98\x80", b"a", b"\xed"]
    odd += [b"".join(random.choices(escapes, k=4)) for _ in range(1000)]
    rest = json.dumps({"iss": "portworx.com", "name": "", "email": "", "iat": 1, "exp": 4e9})
    cases = [Case(make(rest[:-1].encode() + b',"sub":"%s"}' % s), trust()) for s in odd]
    for case, theirs in zip(cases, ask_go(cases), strict=True):
        assert judge(case.token, case.trust, NOW).claims["sub"] == theirs["claims"]["sub"]


def test_lists_that_are_given_again_are_read_as_go_reads_them() -> None:
    random = Random(0)
    items = ['"a"', '"b"', '"c"', "null", '"\\ud800"']
    cases = []
    for _ in range(500):
        lists = [
            f"[{','.join(random.choices(items, k=random.randrange(6)))}]"
            for _ in range(random.randrange(2, 5))
        ]
        names = ["roles", "Roles", "ROLES", "role\u017f"]
        values = random.choices([*lists, "null"], k=4)
        cases.append(Case(make(**dict(zip(names, values, strict=True))), trust()))
    for case, theirs in zip(cases, ask_go(cases), strict=True):
        user = judge(case.token, case.trust, NOW).user
        assert list(user.roles or ()) == (theirs["claims"].get("roles") or []), case.token


def test_older_verifiers_decide_otherwise_in_the_ways_that_are_written_down() -> None:
    laxer = [
        make(exp=str(SECOND)), make(exp='"1"'), make(iat="null"), make(nbf='"x"'), make(exp="0.5"),
        make(exp="-0.5"), make(exp="9223371974719180000"), GOOD + b"=",
    ]  # fmt: skip
    stricter = [GOOD + b"\n"]
    cases = [Case(token, trust()) for token in laxer + stricter]
    newer, older = ([a["accepted"] for a in ask_go(cases, v)] for v in ("verify4", "verify"))
    assert newer == [judge(case.token, case.trust, NOW).accepted for case in cases]
    assert newer == [False] * len(laxer) + [True]
    assert older == [True] * len(laxer) + [False]


@given(st.one_of(st.binary(), st.binary().map(lambda tail: HEAD + b"." + encode(tail) + b".")))
def test_any_bytes_get_a_verdict(token: bytes) -> None:
    verdict = judge(token, trust(), NOW)
    assert not verdict.accepted
    assert all(found.message.isprintable() for found in verdict.findings)


def test_all_problems_are_told_at_once() -> None:
    verdict = judge(make(key=b"x", exp="1", iss='"o"', roles="1", email=None), trust(), NOW)
    problems = [found.check for found in verdict.findings if found.severity is Severity.PROBLEM]
    assert problems == ["signature", "claims", "issuer", "roles", "expiry"]


def test_what_is_nested_too_deep_to_print_is_cut_off() -> None:
    verdict = judge(make(x=nested(5_000), y='{"a":[1]}'), trust(), NOW)
    assert json.loads(json.dumps(verdict.claims))["y"] == {"a": [1]}


def test_nesting_ends_where_it_ends_for_go() -> None:
    assert dict(read_object(f'{{"x":{nested(9_999)}}}'.encode())).keys() == {"x"}
    for bomb in (f'{{"x":{nested(10_000)}}}', nested(200_000)):
        with pytest.raises(GoJSONError, match="nested deeper than 10000"):
            read_object(bomb.encode())


def test_a_token_that_no_header_carries_is_not_looked_at() -> None:
    claims = make(x=f'"{"a" * LONGEST}"')
    assert ask_go([Case(claims, trust())])[0]["accepted"]  # the verifier itself sets no limit
    verdict = judge(claims, trust(), NOW)
    assert not verdict.is_jwt
    assert finding(verdict, "format") == (
        f"{len(claims)} bytes; gRPC carries no token of more than {LONGEST}"
    )
    assert judge(make(x=f'"{"a" * (LONGEST // 4 * 3 - 400)}"'), trust(), NOW).accepted


def opcodes(work: Callable[[], object]) -> int:
    """How many steps of Python's the work takes."""
    count = 0

    def step(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


HOSTILE: dict[str, Callable[[int], dict[str, str]]] = {
    "many claims": lambda n: {f"c{i}": "0" for i in range(n)},
    "many roles": lambda n: {"roles": json.dumps(["r"] * n)},
    "a long role": lambda n: {"roles": json.dumps(["r" * n])},
    "opening marks": lambda n: {"sub": json.dumps("${" * n), "name": json.dumps("<" * n)},
    "escapes": lambda n: {"sub": '"' + "\\ud800" * n + '"'},
    "digits": lambda n: {"x": "9" * n},
    "lists in lists": lambda n: {"x": nested(n)},
    "white space": lambda n: {"x": " " * n + "0"},
}


@pytest.mark.parametrize("claims", HOSTILE.values(), ids=HOSTILE)
def test_work_grows_no_faster_than_a_token(claims: Callable[[int], dict[str, str]]) -> None:
    short, long = (make(**claims(size)) for size in (400, 800))
    assert len(long) <= LONGEST
    once, twice = (opcodes(lambda t=t: judge(t, trust(), NOW)) for t in (short, long))  # type: ignore[misc]
    assert twice < 2.5 * once


def test_a_list_that_is_given_again_costs_what_it_adds() -> None:
    def repeated(times: int) -> bytes:
        claims = make().split(b".")[1]
        whole = base64.urlsafe_b64decode(claims + b"==")[:-1]
        lists = b',"groups":' + json.dumps([""] * times).encode() + b',"groups":[null]' * times
        return make(whole + lists + b"}")

    once, twice = (opcodes(lambda n=n: judge(repeated(n), trust(), NOW)) for n in (200, 400))  # type: ignore[misc]
    assert twice < 2.5 * once


def test_a_token_that_is_too_long_takes_no_more_work_than_its_length() -> None:
    once, twice = (opcodes(lambda n=n: judge(b"." * n, trust(), NOW)) for n in (20_000, 1_000_000))  # type: ignore[misc]
    assert once == twice


@pytest.mark.parametrize(
    ("changes", "token", "accepted", "check", "says"),
    [
        ({"issuer": None}, GOOD, True, "issuer", "not compared"),
        ({"shared_secret": None}, GOOD, False, "signature", "no key for HS256"),
        ({"shared_secret": b""}, make(key=b""), False, "signature", "no key for HS256"),
        ({"shared_secret": b"x"}, make(key=b"x"), True, "signature", "1 bytes; HS256 wants 32"),
        ({"ecdsa_public_pem": None}, alg("ES256"), False, "signature", "no key for ES256"),
        ({"username_claim": "email"}, make(sub='""'), True, "username", '"e", from email'),
        ({"username_claim": "name"}, make(name='""'), False, "username", "name, which is empty"),
    ],
    ids=range(7),
)
def test_it_depends_on_the_cluster(
    changes: dict[str, Any], token: bytes, accepted: bool, check: str, says: str
) -> None:
    verdict = judge(token, replace(trust(), **changes), NOW)
    assert says in finding(verdict, check)
    assert verdict.accepted == accepted


def test_the_moment_decides() -> None:
    for later in (timedelta(0), timedelta(hours=1, microseconds=-700_001)):
        assert judge(GOOD, trust(), NOW + later).accepted
    for then in (timedelta(hours=1, microseconds=-700_000), -timedelta(minutes=11)):
        assert not judge(GOOD, trust(), NOW + then).accepted


def test_a_fraction_is_dropped_downwards_on_both_sides_of_1970() -> None:
    cases = [
        Case(
            make(**{"iat": "-9", "exp": "9", name: number}),
            trust(),
            NOW - timedelta(0, SECOND - off),
        )
        for off in (-2, -1, 0, 1)
        for name in ("iat", "exp", "nbf")
        for number in ("-1.5", "-1", "-0.5", "-1e-9", "-1e-10", "1e-10", "0.5", "1.5")
    ]
    theirs = [answer["accepted"] for answer in ask_go(cases)]
    assert [judge(case.token, case.trust, case.now).accepted for case in cases] == theirs


def public(key: Any, form: PublicFormat) -> bytes:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, form)
    return text


BAD_BLOCK = b"-----BEGIN X-----\nAA!AA\n-----END X-----\n"


HEADED = pem(rsa_key()).replace(b"-----\nM", b"-----\nProc-Type: 4\nX: y\n\nM", 1)


@pytest.mark.parametrize("odd", [b"\n", b"junk\n", b"-----BEGIN X-----\n", BAD_BLOCK])
def test_key_files_are_read_as_the_verifier_reads_them(odd: bytes) -> None:
    for written in (odd + pem(rsa_key()) + odd, pem(rsa_key()).replace(b"\n", b"\r\n"), HEADED):
        case = Case(alg("RS256"), replace(trust(), rsa_public_pem=written))
        assert ask_go([case])[0]["accepted"]
        assert judge(case.token, case.trust, NOW).accepted


def test_line_ends_of_key_files_are_the_verifiers() -> None:
    random = Random(0)
    plain, odd = [b"\n", b"\r\n"], [b"\r\r\n", b" \n", b"\t\r\n", b"\r \n", b"\r", b""]
    cases = []
    for _ in range(300):
        *lines, last = pem(rsa_key()).splitlines()
        usual, rare = random.choice(plain), random.choice(odd)
        spoilt = random.choices([0, random.randrange(len(lines)), len(lines) - 1, len(lines)], k=1)
        ends = [rare if index in spoilt else usual for index in range(len(lines) + 1)]
        text = b"".join(a + b for a, b in zip([*lines, last], ends, strict=True))
        cases.append(Case(alg("RS256"), replace(trust(), rsa_public_pem=text)))
    for case, theirs in zip(cases, ask_go(cases), strict=True):
        try:
            ours = judge(case.token, case.trust, NOW).accepted
        except KeyFileError:
            ours = False
        assert ours == theirs["accepted"], case.trust.rsa_public_pem


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("rsa_public_pem", b"junk"),
        ("rsa_public_pem", BAD_BLOCK),
        ("rsa_public_pem", pem(ec_key())),
        ("rsa_public_pem", public(rsa_key(), PublicFormat.PKCS1)),
        ("ecdsa_public_pem", pem(rsa_key())),
        ("ecdsa_public_pem", pem(ec.generate_private_key(ec.SECP256K1()))),
    ],
    ids=range(6),
)
def test_a_key_file_that_the_verifier_refuses_is_an_error(field: str, text: Any) -> None:
    case = Case(GOOD, replace(trust(), **{field: text}))
    assert not ask_go([case])[0]["accepted"]
    with pytest.raises(KeyFileError):
        judge(case.token, case.trust, NOW)


def test_a_key_is_never_shown() -> None:
    assert KEY.decode() not in repr(Trust("portworx.com", KEY))
