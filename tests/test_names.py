"""Names as lists and messages print them, taken back as arguments; several at once; quiet runs."""

import json

import pytest

from tests.conftest import Shell, claims_of, forge


@pytest.fixture
def two(shell: Shell) -> Shell:
    """A shell whose namespace has two tokens: good and bad."""
    shell.keep("good", forge(claims_of(f"{shell.namespace}-good", days=400)))
    shell.keep("bad", forge(claims_of(f"{shell.namespace}-bad", days=1, age_days=2)))
    return shell


def test_inspect_takes_several_names_as_they_are_printed(two: Shell) -> None:
    place = two.namespace
    done = two.pxauth("inspect", f"{place}/good", "secret/bad", "-n", place, "-o", "json")
    assert done.code == 0, done.err
    items = json.loads(done.out)["items"]
    assert [item["claims"]["sub"] for item in items] == [f"{place}-good", f"{place}-bad"]
    alone = json.loads(two.pxauth("inspect", f"{place}/good", "-o", "json").out)
    assert alone["claims"] == items[0]["claims"]
    told = two.pxauth("inspect", f"{place}/good", f"{place}/bad").out
    assert told.count("Token:") == 2


def test_one_that_is_missing_does_not_keep_the_others_from_being_shown(two: Shell) -> None:
    place = two.namespace
    done = two.pxauth("inspect", f"{place}/good", f"{place}/none")
    assert (done.code, done.out.count("Token:")) == (1, 1)
    assert f"error: Secret {place}/none not found" in done.err


def test_verify_fails_if_one_of_several_is_refused(two: Shell) -> None:
    place = two.namespace
    both = two.pxauth("verify", f"{place}/good", f"{place}/bad")
    assert both.code == 1
    assert f'Secret {place}/bad key "auth-token":' in both.out.splitlines()
    assert two.pxauth("verify", f"{place}/good", f"{place}/good").code == 0


def test_a_name_and_the_flag_must_agree(two: Shell) -> None:
    for command in ("inspect", "verify", "renew"):
        refused = two.refused(command, f"{two.namespace}/good", "-n", "default", code=2)
        assert "name different namespaces" in refused.err


def test_renew_prints_what_it_renewed(two: Shell) -> None:
    place = two.namespace
    named = two.pxauth("renew", "-n", place, "-o", "name")
    assert (named.code, named.out) == (0, "secret/bad\n")
    done = two.pxauth("renew", f"{place}/bad", f"{place}/good", "--all", "-o", "json")
    items = {item["metadata"]["name"]: item for item in json.loads(done.out)["items"]}
    assert items.keys() == {"good", "bad"}
    assert items["good"]["data"] == two.secret("good")["data"]
    none = json.loads(two.pxauth("renew", "-n", place, "--within=1h", "-o", "json").out)
    assert none == {"apiVersion": "v1", "kind": "List", "items": []}


def test_o_name_tells_what_is_unchanged_on_standard_error(shell: Shell) -> None:
    flags = ["kubernetes", "-n", shell.namespace, "--if-needed", "-o", "name"]
    first, second = shell.pxauth("issue", *flags), shell.pxauth("issue", *flags)
    assert first.out == second.out == "secret/px-k8s-user\n"
    assert first.err == ""
    assert second.err.startswith("secret/px-k8s-user unchanged")


def test_quiet_runs_say_only_what_is_wrong(two: Shell) -> None:
    place = ["-n", two.namespace]
    for line in ("issue kubernetes", "renew --all", "verify good", "unschedule"):
        done = two.pxauth(*line.split(), *place, "--quiet")
        assert (done.code, done.out, done.err) == (0, "", ""), line
    assert two.pxauth("verify", "bad", *place, "-q").code == 0  # renewed above
    assert "not found" in two.pxauth("verify", "none", *place, "-q").err


def test_names_of_classes_are_taken_as_they_are_printed(shell: Shell) -> None:
    flags = ["-n", shell.namespace, "-o", "name"]
    name = shell.pxauth("storageclass", f"{shell.namespace}-sc", *flags).out.strip()
    assert name == f"storageclass.storage.k8s.io/{shell.namespace}-sc"
    assert shell.pxauth("storageclass", name, *flags).out.strip() == name


def test_an_error_of_the_only_cluster_names_no_context(shell: Shell) -> None:
    (shell.home / "key").write_text("k" * 40)
    key = ["--issuer", "i", "--shared-secret-file", "key"]
    done = shell.pxauth("renew", "-A", "--as", "nobody", *key)
    assert done.code == 1
    assert 'error: user "nobody" may not list Secrets in all namespaces' in done.err
