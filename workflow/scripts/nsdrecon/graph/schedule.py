"""How long jobs take that wait for each other and share a few GPUs."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

Edge = tuple[int, int]


def wall_time(
    edges: Iterable[Edge], seconds: Sequence[float], gpus: Sequence[int], available: int
) -> float:
    """Wall time of jobs on a number of GPUs, with cores for everything else.

    List scheduling (Graham 1966): whenever GPUs are free, the waiting job starts that the longest
    chain of jobs hangs on; jobs without a GPU start as soon as what they read is there. This is at
    most twice the best possible, and a queue of other people's jobs is not in it.

    Parameters
    ----------
    edges
        Pairs (maker, user) of jobs by number; no circles.
    seconds
        Time of each job.
    gpus
        GPUs of each job.
    available
        GPUs that there are.

    Raises
    ------
    ValueError
        If a job asks for more GPUs than there are.
    """
    if max(gpus, default=0) > available:
        raise ValueError(f"a job with {max(gpus)} GPUs, but there are {available}")
    users, missing = [[] for _ in seconds], [0] * len(seconds)
    for maker, user in edges:
        users[maker].append(user)
        missing[user] += 1
    urgency = time_to_the_end(users, missing, seconds)
    waiting: list[tuple[float, int]] = []
    running: list[tuple[float, int]] = []
    now, free = 0.0, available

    def start(number: int) -> None:
        heapq.heappush(running, (now + seconds[number], number))

    def ready(number: int) -> None:
        if gpus[number]:
            heapq.heappush(waiting, (-urgency[number], number))
        else:
            start(number)

    for number, count in enumerate(missing):
        if not count:
            ready(number)
    while True:
        while waiting and gpus[waiting[0][1]] <= free:
            number = heapq.heappop(waiting)[1]
            free -= gpus[number]
            start(number)
        if not running:
            return now
        now, done = heapq.heappop(running)
        free += gpus[done]
        for user in users[done]:
            missing[user] -= 1
            if not missing[user]:
                ready(user)


def time_to_the_end(
    users: Sequence[Sequence[int]], makers: Sequence[int], seconds: Sequence[float]
) -> list[float]:
    """Time of each job and of the longest chain of jobs that wait for it."""
    missing = list(makers)
    order = [number for number, count in enumerate(missing) if not count]
    for number in order:  # grows while it is read
        for user in users[number]:
            missing[user] -= 1
            if not missing[user]:
                order.append(user)
    longest = list(seconds)
    for number in reversed(order):
        longest[number] += max((longest[user] for user in users[number]), default=0.0)
    return longest
