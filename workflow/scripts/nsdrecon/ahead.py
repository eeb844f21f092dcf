"""Work that is done by threads before its results are wanted."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, depth: int, workers: int
) -> Generator[Result, None, None]:
    """Results of a function in the order of its items, the next of them in the making.

    While a GPU computes on some results, or the caller does something else that leaves other
    threads alone, threads prepare those that follow. The items are taken in the caller's thread.

    Parameters
    ----------
    function
        Called with each item, in another thread.
    items
        Taken as they are needed, ``depth`` of them ahead.
    depth
        Results that are held at a time, at most.
    workers
        Threads.
    """
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) == depth:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
