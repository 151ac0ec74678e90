"""Things done side by side: one in the background, or one thing to many objects."""

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from kubectl_pxauth.errors import PxauthError, StillUnderWayError

_POLL_SECONDS = 0.2
_SECONDS_TO_END = 5.0  # what an interrupted run gives to what is under way

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
        try:
            self._thread.start()
        except RuntimeError:  # the system gives no more of them: then it is done at once
            self._run()

    def _run(self) -> None:
        try:
            self._results.append(self._work())
        except BaseException as error:  # raised again where the result is asked for
            self._errors.append(error)

    def result(self, seconds: float | None = None) -> Result:
        """Wait for the work; returns what it returned, and raises what it raised.

        Raises TimeoutError where the work takes longer than that, if a time is given.
        """
        if self._thread.ident is not None:
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

    Once stop is set nothing more is begun, and what is under way comes to its end: raises
    StillUnderWayError where that takes too long. What the items or the work raise is raised when
    all else is done.
    """
    from queue import Empty

    crew = _Crew(work, iter(items), min(concurrency, _most_at_once()), stop)
    deadline: float | None = None
    try:
        crew.grow()
        while crew.threads or not crew.results.empty():
            try:
                yield from crew.results.get(timeout=_POLL_SECONDS)
            except Empty:
                if stop.is_set():
                    deadline = deadline or time.monotonic() + _SECONDS_TO_END
                    if not crew.under_way:
                        break  # the threads only wait for an item
                    if time.monotonic() > deadline:
                        raise StillUnderWayError(crew.under_way) from None
    except KeyboardInterrupt:
        if stop.is_set() and crew.under_way:
            raise StillUnderWayError(crew.under_way) from None
        raise
    finally:
        crew.over = True
    for error in crew.errors:
        raise error


class _Crew(Generic[Item, Result]):
    """Threads that each take an item after the other; the end of the process waits for none.

    No concurrent.futures here either: its threads hold up the end where a server does not answer.
    """

    def __init__(
        self,
        work: Callable[[Item], Result],
        items: Iterator[Item],
        most: int,
        stop: threading.Event,
    ) -> None:
        from queue import SimpleQueue

        self.results: SimpleQueue[tuple[Result, ...]] = SimpleQueue()
        """One for each item, and an empty one for a failure or the end of a thread."""
        self.errors: list[BaseException] = []
        self.threads = 0
        self.under_way = 0
        self.over = False
        self._work = work
        self._items = items
        self._most = most
        self._stop = stop
        self._lock = threading.Lock()
        self._taking = threading.Lock()

    def grow(self) -> None:
        """Start one more thread, if there may be one."""
        with self._lock:
            if self.threads >= self._most:
                return
            self.threads += 1
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError:  # the system gives no more
            self._most = self.threads - 1
            if self._most:
                self._count(threads=-1)
            else:
                self._run()

    def _run(self) -> None:
        try:
            while True:
                with self._taking:
                    if self._stop.is_set() or self.over:
                        break
                    item = next(self._items)
                    self._count(under_way=1)
                self.grow()
                self._do(item)
        except StopIteration:
            pass
        except BaseException as error:  # raised again at the end
            self.errors.append(error)
        self._count(threads=-1)
        self.results.put(())

    def _do(self, item: Item) -> None:
        result: tuple[Result, ...] = ()
        try:
            result = (self._work(item),)
        except BaseException as error:  # raised again at the end
            self.errors.append(error)
        self.results.put(result)
        self._count(under_way=-1)

    def _count(self, *, threads: int = 0, under_way: int = 0) -> None:
        with self._lock:
            self.threads += threads
            self.under_way += under_way


def _most_at_once() -> int:
    """How many pieces of work the limit on open files leaves room for.

    Each may hold a connection and open two files for a moment, to look up a name.
    """
    try:
        import resource
    except ImportError:  # Windows
        return sys.maxsize
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(1, limit // 3)
