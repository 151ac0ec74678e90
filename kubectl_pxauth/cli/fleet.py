"""Several clusters, asked side by side."""

from collections.abc import Callable, Mapping
from threading import Event
from typing import TypeVar

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.parallel import attempt, run_concurrently

_AT_ONCE = 8

Answer = TypeVar("Answer")


def ask_each(
    connections: Mapping[str, Connection], ask: Callable[[Connection], Answer]
) -> dict[str, Answer | PxauthError]:
    """What each cluster answers, by its context in the order of these; or the error that ends it.

    A single cluster is not one of many: its error is raised.
    """
    if list(connections) == [""]:
        return {"": ask(connections[""])}

    def ask_one(context: str) -> tuple[str, Answer | PxauthError]:
        return context, attempt(lambda: ask(connections[context]))

    answers = dict(run_concurrently(ask_one, connections, _AT_ONCE, Event()))
    return {context: answers[context] for context in connections}


def tell_failures(answers: Mapping[str, object]) -> bool:
    """Say which clusters did not answer, and why; returns whether there are any."""
    failed = {name: one for name, one in answers.items() if isinstance(one, PxauthError)}
    for context, error in failed.items():
        output.failure(error, f"context {context}")
    return bool(failed)


def in_context(context: str) -> str:
    """What goes before a message of that cluster."""
    return f"context {context}: " if context else ""


def of_context(context: str) -> dict[str, str]:
    """What tells a line's cluster in -o json; nothing where there is one alone."""
    return {"context": context} if context else {}
