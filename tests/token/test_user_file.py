"""User files, judged by the generator's own reading of the same bytes."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from controlplane.build import openstorage_tool
from kubectl_pxauth.errors import UserFileError
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
    ],
)
def test_bad_files_say_what_and_where(text: str, says: str) -> None:
    with pytest.raises(UserFileError, match=says):
        read_user_file(text.encode(), "user.yaml")


def test_an_unknown_field_suggests_the_known_one() -> None:
    with pytest.raises(UserFileError) as caught:
        read_user_file(b"name: a\nemial: b\n", "user.yaml")
    assert caught.value.hint == 'did you mean "email"?'
