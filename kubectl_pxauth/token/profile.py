"""The two users of the Portworx docs, ready made."""

from kubectl_pxauth.errors import UsageError
from kubectl_pxauth.frozen import dataclass


@dataclass(frozen=True)
class Profile:
    """What a token may do, and the Secret that it is kept in."""

    name: str
    secret: str
    roles: tuple[str, ...]
    groups: tuple[str, ...]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("kubernetes", "px-k8s-user", roles=("system.user",), groups=("kubernetes",)),
        Profile("admin", "px-admin-token", roles=("system.admin",), groups=("*",)),
    )
}


def find_profile(name: str) -> Profile:
    """The built-in profile of this name; raises UsageError where there is none."""
    try:
        return PROFILES[name]
    except KeyError:
        raise UsageError(
            f'there is no profile "{name}"',
            hint=f"the profiles are {' and '.join(sorted(PROFILES))}; or name a user file with -f",
        ) from None
