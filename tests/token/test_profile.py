import pytest

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.token.profile import Profile, find_profile
from kubectl_pxauth.token.roles import explain_group, explain_role


def test_the_two_users_of_the_docs() -> None:
    assert find_profile("kubernetes") == Profile(
        "kubernetes", "px-k8s-user", roles=("system.user",), groups=("kubernetes",)
    )
    assert find_profile("admin") == Profile(
        "admin", "px-admin-token", roles=("system.admin",), groups=("*",)
    )


def test_there_are_no_others() -> None:
    with pytest.raises(UsageError) as caught:
        find_profile("root")
    assert str(caught.value) == 'there is no profile "root"'
    assert caught.value.hint == "the profiles are admin and kubernetes; or name a user file with -f"


def test_roles_and_groups_in_words() -> None:
    assert explain_role("system.admin") == "may do everything"
    assert explain_role("mine") == "a custom role: the cluster's own definition counts"
    assert explain_group("*") == "reaches every resource, whoever owns it"
    assert explain_group("kubernetes") is None
