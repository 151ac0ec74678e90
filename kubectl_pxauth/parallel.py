"""Things done side by side: one in the background, or one thing to many objects."""

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from kubectl_pxauth.errors import PxauthError

First = TypeVar("First")
Item = TypeVar("Item")
Result = TypeVar("Result")


class Background(Generic[Result]):
    """Work that goes on in a thread of its own until its result is asked for.

    No concurrent.futures here: importing it takes longer than a run can save, and its threads hold
    up the end of the process.
    """

    def __init__(self, work: Callable[[], Result]) -> None:
        """Start the work; the process does not wait for it at its end."""
        self._work = work
        self._results: list[Result] = []
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # raised again where the result is asked for
            self._errors.append(error)

    def result(self, seconds: float | None = None) -> Result:
        """Wait for the work; returns what it returned, and raises what it raised.

        Raises TimeoutError where the work takes longer than that, if a time is given.
        """
        self._thread.join(seconds)
        if self._thread.is_alive():
            raise TimeoutError
        for error in self._errors:
            raise error
        return self._results[0]


def side_by_side(first: Callable[[], First], second: Callable[[], Result]) -> tuple[First, Result]:
    """Run two requests at once; where both fail, the first one's error is raised."""
    other = Background(second)
    return first(), other.result()


def attempt(
    work: Callable[[], Result], errors: tuple[type[PxauthError], ...] = (PxauthError,)
) -> Result | PxauthError:
    """What the work returns, or the error that it raises, if it is one of these."""
    try:
        return work()
    except errors as error:
        return error


def run_concurrently(
    work: Callable[[Item], Result], items: Iterable[Item], concurrency: int, stop: threading.Event
) -> Iterator[Result]:
    """The results as they come; items are taken one by one, when there is room for their work.

    Once stop is set nothing more is begun, and what is under way comes to its end.
    """
    from concurrent.futures import Future, ThreadPoolExecutor
    from queue import SimpleQueue

    done: SimpleQueue[Future[Result]] = SimpleQueue()
    under_way = 0
    with ThreadPoolExecutor(concurrency) as pool:
        for item in items:
            if stop.is_set():
                break
            if under_way == concurrency:
                yield done.get().result()
                under_way -= 1
            pool.submit(work, item).add_done_callback(done.put)
            under_way += 1
        for _ in range(under_way):
            yield done.get().result()
