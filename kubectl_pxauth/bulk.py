"""One thing done to many objects, side by side."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    work: Callable[[Item], Result], items: Iterable[Item], concurrency: int, stop: Event
) -> Iterator[Result]:
    """The results as they come; items are taken one by one, when there is room for their work.

    Once stop is set nothing more is begun, and what is under way comes to its end.
    """
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
