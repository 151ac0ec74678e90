"""What the doctor is to take for granted, before somebody makes it so."""

from enum import StrEnum


class Assumption(StrEnum):
    """How Portworx is to be started: with security and guests, without guests, or with neither.

    Guests are those who bring no token (spec.security.auth.guestAccess of a StorageCluster).
    """

    SECURITY = "security"
    NO_GUESTS = "no-guests"
    NO_SECURITY = "no-security"
