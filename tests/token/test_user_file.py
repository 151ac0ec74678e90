"""User files, judged by the generator's own reading of the same bytes."""

import base64
import json
import subprocess
from pathlib import Path
from random import Random

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.build import openstorage_tool
from kubectl_pxauth.errors import UserFileError
from kubectl_pxauth.token.identity import Identity, PartialIdentity, generated_sub
from kubectl_pxauth.token.user_file import read_user_file
from tests.conftest import decode

ODD_FILES = [
    "name: 12345\nemail: 0123\nsub: 1.10\nroles: [1:20, yes]\ngroups: [2026-11-23, 0x1F]\n",
    "name: Kubernetes\nemail: k8s@example.com\n",
    "name: Kubernetes\nemail: k8s@example.com\nsub: ''\nroles: [system.user]\ngroups: []\n",
    "name: Kubernetes\nemail: k8s@example.com\nsub: ~\nroles: [system.user]\ngroups:\n",
    'name: "two\\nlines"\nemail: >\n  folded\n  text\nroles:\n- system.view\n',
    "name: &n Jérôme 🙂\nemail: *n\nroles: [system.user]\n",
    "{name: on, email: .inf, sub: 1e3, roles: [~, no], groups: [1_000]}",
    "name: !!binary aGVsbG8=\nemail: !!str 12\nsub: 'null'\nroles: [0o17, +1, -.5]\n",
    "\ufeffname: bom\nemail: b@example.com\r\nroles: [system.user]\r\n",
]


@pytest.mark.parametrize("text", ODD_FILES)
def test_odd_files_read_as_the_generator_reads_them(text: str, tmp_path: Path) -> None:
    file = tmp_path / "user.yaml"
    file.write_text(text, newline="")
    check_with_the_generator(file)


def test_merged_mappings_are_read_as_the_generator_reads_them(tmp_path: Path) -> None:
    """YAML's << key, anywhere among the fields."""
    random = Random(0)
    file = tmp_path / "user.yaml"

    def mapping(depth: int) -> str:
        names = random.sample(["name", "email", "sub", "roles", "groups"], k=random.randrange(6))
        fields = [f"{name}: {value(name)}" for name in names]
        for _ in range(random.randrange(3) if depth else 0):
            inner = [mapping(depth - 1) for _ in range(random.randrange(3))]
            merged = mapping(depth - 1) if random.random() < 0.5 else f"[{', '.join(inner)}]"
            fields.insert(random.randrange(len(fields) + 1), f"<<: {merged}")
        return f"{{{', '.join(fields)}}}"

    def value(name: str) -> str:
        texts = random.choices(["a", "b", "~", "''", "1.10"], k=random.randrange(3))
        listed = random.choice([f"[{', '.join(texts)}]", "~"])
        return listed if name in ("roles", "groups") else random.choice(["n", "m", "~", "x y"])

    for _ in range(80):
        file.write_text(f"{{name: first, email: first, <<: {mapping(2)}, <<: {mapping(1)}}}")
        check_with_the_generator(file)


def check_with_the_generator(file: Path) -> None:
    """Read it as the generator does, or refuse it, where a token of it would have no name."""
    made = subprocess.run(
        [
            str(openstorage_tool("generate")),
            f"--auth-config={file}",
            "--shared-secret=s",
            "--issuer=portworx.com",
            "--token-duration=1d",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    theirs = decode(made.stdout)
    if not (theirs["name"] and theirs["email"]):
        with pytest.raises(UserFileError):
            read_user_file(file.read_bytes(), "user.yaml")
        return
    ours = read_user_file(file.read_bytes(), "user.yaml")
    assert (ours.sub, ours.name, ours.email) == (theirs["sub"], theirs["name"], theirs["email"])
    assert list(ours.roles) == (theirs["roles"] or [])
    assert ours.groups == (tuple(theirs["groups"]) if "groups" in theirs else None)


WORDS = st.text(st.characters(categories=["L", "N"], max_codepoint=0x24F), min_size=1, max_size=20)


@given(WORDS, WORDS)
def test_a_missing_sub_is_made_from_name_and_email(name: str, email: str) -> None:
    data = json.dumps({"name": name, "email": email}).encode()
    sub = read_user_file(data, "user.yaml").sub
    assert base64.b64decode(sub).decode() == f"openstorage.io/{name}/{email}"


@given(st.dictionaries(st.sampled_from(["name", "email", "sub"]), WORDS), st.lists(WORDS))
def test_text_that_is_quoted_stays(fields: dict[str, str], roles: list[str]) -> None:
    whole = {"name": "n", "email": "e"} | fields | {"roles": roles}
    read = read_user_file(yaml.safe_dump(whole, allow_unicode=True).encode(), "user.yaml")
    assert (read.name, read.email) == (whole["name"], whole["email"])
    assert read.roles == tuple(roles)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_user_file(data, "user.yaml")
    except UserFileError as refusal:
        error = refusal
    else:
        return
    assert str(error).startswith("user.yaml")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "user.yaml:1: not YAML"),
        ("", "is empty"),
        ("- a\n- b\n", "holds a list"),
        ("just text", "holds a text"),
        ("name: a\nemail: b\n---\nname: c\n", "user.yaml:3: a user file holds one document"),
        ("name: a\nemial: b\n", 'user.yaml:2: unknown field "emial"'),
        ("name: a\nname: b\nemail: c\n", 'user.yaml:2: field "name" is given again'),
        ("name: a\nemail: b\nroles: system.user\n", "user.yaml:3: roles must be a list"),
        ("name: a\nemail: b\nroles: [{}]\n", r"user.yaml:3: roles\[0\] must be text"),
        ("name: a\nemail: b\nsub: ${uuid}\n", "user.yaml:3: sub is the unfilled placeholder"),
        ("name: a\nemail: the email of the storage admin\n", "user.yaml:2: email is the unfilled"),
        ("name: a\nemail: ''\n", "user.yaml:2: email is empty"),
        ("email: a\n", "name is missing"),
        ("name: {a: b}\nemail: c\n", "user.yaml:1: name must be text, not a mapping"),
        ("? [a]\n: b\n", "user.yaml:1: a field's name must be text"),
        ("[" * 5000, "nested too deep"),
        ("name: " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("{a: " * 5000, "nested too deep"),
        ("- " * 5000 + "a", "nested too deep"),
        (
            "name: A\nemail: b\nroles: &r [*r]\n",
            r"user.yaml:3: roles\[0\] must be text, not a list",
        ),
        ('name: "\\ud800"\nemail: b\n', "user.yaml:1: name has half a character"),
        ('name: a\nemail: b\nsub: s\nroles: ["\\udfff"]\n', r"roles\[0\] has half a character"),
        ("name: a\n" * 40_000, "it has more than 262144 bytes"),
    ],
)
def test_bad_files_say_what_and_where(text: str, says: str) -> None:
    with pytest.raises(UserFileError, match=says):
        read_user_file(text.encode(), "user.yaml")


FIELDS = "name, email, sub, roles, groups"


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("emial: b", 'u:1: unknown field "emial"', 'did you mean "email"?'),
        ("Role: b", 'u:1: unknown field "Role"', 'did you mean "roles"?'),
        ("nbme: b", 'u:1: unknown field "nbme"', 'did you mean "name"?'),
        ("iss: b", 'u:1: unknown field "iss"', "name the issuer with --issuer"),
        ("Issuer: b", 'u:1: unknown field "Issuer"', "name the issuer with --issuer"),
        ("x: b", 'u:1: unknown field "x"', f"the fields are {FIELDS}"),
        ("", f"u is empty: a user file is a mapping with the fields {FIELDS}", None),
        ("[]", f"u holds a list: a user file is a mapping with the fields {FIELDS}", None),
        ("x", f"u holds a text: a user file is a mapping with the fields {FIELDS}", None),
        ("name: ''", "u:1: name is empty", "fill it in, or give it with --name"),
        ("name: a", "u: email is missing", "fill it in, or give it with --email"),
        ("name: [a]\nemail: b", "u:1: name must be text, not a list", None),
        (
            "name: a\nemail: b\n\nname: c",
            'u:4: field "name" is given again; it stands in line 1 already',
            None,
        ),
        (
            "email: b\nname: a\nname: c",
            'u:3: field "name" is given again; it stands in line 2 already',
            None,
        ),
        ("<<: {nbme: a}\nname: a", 'u:1: unknown field "nbme"', 'did you mean "name"?'),
        (
            "<<: {email: e}\nname: a\nname: b",
            'u:3: field "name" is given again; it stands in line 2 already',
            None,
        ),
        (
            "name: a\nemail: b\nroles: x",
            "u:3: roles must be a list",
            "write roles: [x]",
        ),
        (
            "name: a\nemail: b\ngroups: {}",
            "u:3: groups must be a list",
            "write groups: [system.user]",
        ),
        ("name: a\nemail: b\ngroups: [c, []]", "u:3: groups[1] must be text, not a list", None),
        ("name: a\nemail: !!binary x", "u:2: email is not base64 text", None),
        ("name: a\nemail: !!binary /w==", "u:2: email is not base64 text", None),
        (
            'name: a\nemail: "${x}\\nmore\\n"',
            'u:2: email is the unfilled placeholder "${x}"',
            None,
        ),
        ("name: *a", "u:1: not YAML: found undefined alias 'a'", None),
        (
            "name: a\n\tb: c",
            "u:2: not YAML: found character '\\t' that cannot start any token",
            None,
        ),
    ],
    ids=range(24),
)
def test_what_is_said_of_a_bad_file(text: str, says: str, hint: str | None) -> None:
    with pytest.raises(UserFileError) as caught:
        read_user_file(text.encode(), "u")
    assert (str(caught.value), caught.value.hint) == (says, hint)


def test_bytes_that_are_no_text_are_one_line() -> None:
    for data in (b"name: \xff", b"name: \0"):
        with pytest.raises(UserFileError) as caught:
            read_user_file(data, "u")
        says = str(caught.value)
        assert says.startswith("u is not YAML: ")
        assert len(says.splitlines()) == 1
        assert "None" not in says


def test_what_stands_below_counts_of_a_field_and_what_is_merged() -> None:
    text = "<<: {name: theirs, email: e, roles: [r]}\nname: ours\n"
    read = read_user_file(text.encode(), "u")
    assert (read.name, read.email, read.roles) == ("ours", "e", ("r",))
    later = "name: ours\n<<: {name: theirs, email: e}\n"
    assert read_user_file(later.encode(), "u").name == "theirs"


def test_flags_go_before_fields() -> None:
    flags = PartialIdentity(sub="fs", name="fn", email="fe", roles=("fr",), groups=())
    for text in ("name: n\nemail: e\nsub: s\nroles: [r]\ngroups: [g]", "{}"):
        read = read_user_file(text.encode(), "u", flags)
        assert vars(read) == vars(flags)
    half = read_user_file(b"name: n\nemail: ''", "u", PartialIdentity(email="fe"))
    assert half == Identity(generated_sub("n", "fe"), "n", "fe", roles=(), groups=None)
