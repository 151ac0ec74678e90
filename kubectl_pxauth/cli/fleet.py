"""Several clusters, asked and written to side by side."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

from kubectl_pxauth.cli import output
from kubectl_pxauth.cli.connection import Connection
from kubectl_pxauth.errors import PxauthError
from kubectl_pxauth.parallel import Background, attempt, run_concurrently

_AT_ONCE = 8

Answer = TypeVar("Answer")
Result = TypeVar("Result")


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


def outcomes_of_each(
    connections: Mapping[str, Connection],
    work: Callable[[str, Connection], Iterable[Result]],
    stop: Event,
) -> Iterator[tuple[str, Result | PxauthError]]:
    """The outcomes of the work in each cluster as they come, each with its context.

    An error ends the work in its own cluster, and is that one's last outcome. Once stop is set no
    further cluster is begun; the work under way sees to its own end.
    """
    found: SimpleQueue[tuple[str, Result | PxauthError] | None] = SimpleQueue()

    def one(context: str) -> None:
        try:
            for outcome in work(context, connections[context]):
                found.put((context, outcome))
        except PxauthError as error:
            found.put((context, error))

    def all_of_them() -> None:
        begun = (context for context in connections if not stop.is_set())
        try:
            for _ in run_concurrently(one, begun, _AT_ONCE, Event()):
                pass
        finally:
            found.put(None)

    working = Background(all_of_them)
    while outcome := found.get():
        yield outcome
    working.result()


def tell_failures(answers: Mapping[str, object]) -> bool:
    """Say which clusters did not answer, and why; returns whether there are any."""
    failed = {name: one for name, one in answers.items() if isinstance(one, PxauthError)}
    for context, error in failed.items():
        output.failure(error, f"context {context}", context)
    return bool(failed)


def note_nothing(context: str, namespace: str | None) -> None:
    """Say, as kubectl does, that nothing was found in that namespace, or in any."""
    where = f" in {namespace} namespace" if namespace else ""
    output.note(f"No resources found{where}.", context)


def of_context(context: str) -> dict[str, str]:
    """What tells a line's cluster in -o json; nothing where there is one alone."""
    return {"context": context} if context else {}
