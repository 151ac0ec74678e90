"""What the doctor says: a severity, what it looked at, what is so, and what to do."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from kubectl_pxauth.errors import ClusterError, ForbiddenError, PxauthError
from kubectl_pxauth.frozen import dataclass
from kubectl_pxauth.token.verdict import Severity

_MOST = 10  # diagnoses of one kind that are told one by one
_NAMED = 3  # of what one diagnosis is about


@dataclass(frozen=True)
class Diagnosis:
    """What one check found; hint, where there is one, is what to do.

    check is server, rights, key, issuer, portworx, tokens, subjects, job, tenants, classes, claims,
    volumes or stork. unchecked says that the API server did not tell what the check had to know.
    Neither message nor hint ever holds a key or a token.
    """

    severity: Severity
    check: str
    message: str
    hint: str | None = None
    unchecked: bool = False


def ok(check: str, message: str) -> Diagnosis:
    """All is well there."""
    return Diagnosis(Severity.OK, check, message)


def warning(check: str, message: str, hint: str | None = None) -> Diagnosis:
    """What may go wrong, or could not be looked at."""
    return Diagnosis(Severity.WARNING, check, message, hint)


def problem(check: str, message: str, hint: str | None = None) -> Diagnosis:
    """What is wrong."""
    return Diagnosis(Severity.PROBLEM, check, message, hint)


def unchecked(check: str, message: str, hint: str | None = None) -> Diagnosis:
    """What could not be looked at, for lack of a right."""
    return Diagnosis(Severity.WARNING, check, message, hint, unchecked=True)


def from_error(check: str, error: PxauthError) -> Diagnosis:
    """An error as a diagnosis: that a right is missing says nothing of what lies behind it."""
    if isinstance(error, ForbiddenError):
        return unchecked(check, f"not checked: {error}", error.hint)
    return replace(
        problem(check, str(error), error.hint), unchecked=isinstance(error, ClusterError)
    )


def errors_as_diagnoses(check: str, find: Callable[[], Iterable[Diagnosis]]) -> Iterator[Diagnosis]:
    """The diagnoses of a check, and the error that ends them as one of them."""
    try:
        yield from find()
    except PxauthError as error:
        yield from_error(check, error)


def limited(diagnoses: list[Diagnosis], more: str) -> Iterator[Diagnosis]:
    """Diagnoses of one kind: the first ones, and the number of the rest, which `more` shows."""
    yield from diagnoses[:_MOST]
    if rest := diagnoses[_MOST:]:
        yield Diagnosis(rest[0].severity, rest[0].check, f"{len(rest)} more of this kind", more)


def few(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
