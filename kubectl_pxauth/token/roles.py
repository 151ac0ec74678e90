"""What the roles and groups of a token let its user do, in a few words.

Source: pkg/role of libopenstorage/openstorage, and the Portworx docs.
"""

ADMIN, VIEW = "system.admin", "system.view"
_ROLES = {
    ADMIN: "may do everything",
    VIEW: "may read, and change nothing",
    "system.user": "may make, use and delete volumes",
    "system.guest": "what users without a token may do",
}
EVERY_GROUP = "*"
_CLOSE = 0.85  # how alike a slip and what was meant are, at least


def explain_role(role: str) -> str:
    """What the role allows."""
    return _ROLES.get(role, "a custom role: the cluster's own definition counts")


def explain_group(group: str) -> str | None:
    """What belonging to the group means, where that is more than sharing what its members share."""
    return "reaches every resource, whoever owns it" if group == EVERY_GROUP else None


def meant_role(role: str) -> str | None:
    """The system's role that a role is probably a slip of; None for a custom role."""
    if role in _ROLES:
        return None
    from difflib import get_close_matches

    close = get_close_matches(role.strip().lower(), _ROLES, n=1, cutoff=_CLOSE)
    return close[0] if close else None
