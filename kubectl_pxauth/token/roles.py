"""What the roles and groups of a token let its user do, in a few words.

Source: pkg/role of libopenstorage/openstorage, and the Portworx docs.
"""

_ROLES = {
    "system.admin": "may do everything",
    "system.view": "may read, and change nothing",
    "system.user": "may make, use and delete volumes",
    "system.guest": "what users without a token may do",
}
EVERY_GROUP = "*"


def explain_role(role: str) -> str:
    """What the role allows."""
    return _ROLES.get(role, "a custom role: the cluster's own definition counts")


def explain_group(group: str) -> str | None:
    """What belonging to the group means, where that is more than sharing what its members share."""
    return "reaches every resource, whoever owns it" if group == EVERY_GROUP else None
