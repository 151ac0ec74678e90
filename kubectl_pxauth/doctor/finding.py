"""What the doctor finds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from kubectl_pxauth.errors import ForbiddenError, PxauthError
from kubectl_pxauth.token.verdict import Severity

_MOST = 10  # findings of one kind that are told one by one

Result = TypeVar("Result")


@dataclass(frozen=True)
class Finding:
    """What one check found; hint, where there is one, is what to do.

    check is server, rights, key, issuer, portworx, tokens, subjects, classes or claims. Neither
    message nor hint ever holds a key or a token.
    """

    severity: Severity
    check: str
    message: str
    hint: str | None = None


def ok(check: str, message: str) -> Finding:
    """All is well there."""
    return Finding(Severity.OK, check, message)


def warning(check: str, message: str, hint: str | None = None) -> Finding:
    """What may go wrong, or could not be looked at."""
    return Finding(Severity.WARNING, check, message, hint)


def problem(check: str, message: str, hint: str | None = None) -> Finding:
    """What is wrong."""
    return Finding(Severity.PROBLEM, check, message, hint)


def of_error(check: str, error: PxauthError) -> Finding:
    """An error as a finding: that a right is missing says nothing of what lies behind it."""
    if isinstance(error, ForbiddenError):
        return warning(check, f"not checked: {error}", error.hint)
    return problem(check, str(error), error.hint)


def attempt(work: Callable[[], Result]) -> Result | PxauthError:
    """What the work returns, or the error that it raises."""
    try:
        return work()
    except PxauthError as error:
        return error


def reported(check: str, find: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """The findings of a check, and the error that ends them as one of them."""
    try:
        yield from find()
    except PxauthError as error:
        yield of_error(check, error)


def first(findings: list[Finding], more: str) -> Iterator[Finding]:
    """Findings of one kind: the first ones, and how many there are beside; more shows them all."""
    yield from findings[:_MOST]
    if rest := findings[_MOST:]:
        yield Finding(rest[0].severity, rest[0].check, f"{len(rest)} more of this kind", more)
