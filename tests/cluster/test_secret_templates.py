"""What the CSI sidecars fill in within a class's parameters."""

import pytest

from kubectl_pxauth.cluster.secret_templates import (
    SNAPSHOT_CLASS,
    SNAPSHOT_LIST,
    STORAGE_CLASS,
    SecretTemplates,
    fill_in,
)
from kubectl_pxauth.errors import UsageError

CONTENT = "${volumesnapshotcontent.name}"


@pytest.mark.parametrize(
    ("templates", "namespace", "name"),
    [
        (STORAGE_CLASS, "px", "px-user-token"),
        (STORAGE_CLASS, "${pvc.namespace}", "${pvc.name}"),
        (STORAGE_CLASS, "${pv.name}", "${pv.name}-${pvc.namespace}"),
        (STORAGE_CLASS, "px", "${pvc.annotations['example.com/team']}"),
        (SNAPSHOT_CLASS, "${volumesnapshot.namespace}", "${volumesnapshot.name}"),
        (SNAPSHOT_CLASS, CONTENT, CONTENT),
        (SNAPSHOT_LIST, CONTENT, CONTENT),
    ],
)
def test_what_is_filled_in(templates: SecretTemplates, namespace: str, name: str) -> None:
    assert templates.wrong(namespace, name) is None
    assert templates.check_namespace(namespace) == namespace
    assert templates.check_name(name) == name


@pytest.mark.parametrize(
    ("templates", "namespace", "name", "wrong"),
    [
        (STORAGE_CLASS, "${pvc.name}", "a", "${pvc.name} in its namespace"),
        (STORAGE_CLASS, "${pvc.annotations['a']}", "a", "${pvc.annotations['a']} in its namespace"),
        (STORAGE_CLASS, "px", "${pvc.labels['a']}", "${pvc.labels['a']} in its name"),
        (STORAGE_CLASS, "px", "${pvc.annotations['']}", "${pvc.annotations['']} in its name"),
        (STORAGE_CLASS, "px", "${PVC.name}", "${PVC.name} in its name"),
        (STORAGE_CLASS, "px", "$pvc.name", "$ in its name"),
        (STORAGE_CLASS, "px", "${pvc.name", "$ in its name"),
        (STORAGE_CLASS, "${a}", "${b}", "${b} in its name and ${a} in its namespace"),
        (SNAPSHOT_CLASS, "px", "${pvc.name}", "${pvc.name} in its name"),
        (SNAPSHOT_CLASS, "${volumesnapshot.name}", "a", "${volumesnapshot.name} in its namespace"),
        (SNAPSHOT_LIST, "px", "${volumesnapshot.name}", "${volumesnapshot.name} in its name"),
    ],
)
def test_what_is_not(templates: SecretTemplates, namespace: str, name: str, wrong: str) -> None:
    assert templates.wrong(namespace, name) == wrong
    check, text = (
        (templates.check_name, name)
        if "its name " in f"{wrong} "
        else (templates.check_namespace, namespace)
    )
    with pytest.raises(UsageError, match="which is not filled into a Secret's name"):
        check(text)


def test_what_is_around_a_template_has_to_be_a_name() -> None:
    with pytest.raises(UsageError, match=r'^"Px_\$\{pvc\.name\}" is not a name for a Secret'):
        STORAGE_CLASS.check_name("Px_${pvc.name}")
    with pytest.raises(UsageError, match=r'^"\$\{pv\.name\}_" is not a name for a namespace'):
        STORAGE_CLASS.check_namespace("${pv.name}_")


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("plain", "plain"),
        ("${pvc.name}-${pvc.namespace}", "orders-shop"),
        ("${pvc.annotations['example.com/team']}", "red"),
        ("${pvc.annotations['other']}", None),
    ],
)
def test_filled_in(text: str, filled: str | None) -> None:
    values = {
        "pvc.name": "orders",
        "pvc.namespace": "shop",
        "pvc.annotations['example.com/team']": "red",
    }
    assert fill_in(text, values) == filled
