"""The engine of this process: threads that count batches while others are decoded, and one order of merging."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from gpumon.engines.part import Outcome, Part, Tree, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    from gpumon.engines.count import Counter
    from gpumon.tables.table import Table

__all__ = ["run"]

ON_DEVICE = 2  # partitions in the memory of a GPU: the next one is read while one is counted

T = TypeVar("T")
R = TypeVar("R")


def run(
    table: Table,
    columns: Sequence[str],
    count: Counter,
    *,
    threads: int | None = None,
    skip: bool = False,
    only: Sequence[int] | None = None,
    progress: Callable[[int, int], None] = lambda _rows, _nbytes: None,
) -> Outcome:
    """The profile of ``table``, counted batch by batch on the plan of ``count``.

    ``progress`` is called with the rows and bytes of every counted batch. With as many partitions as threads or more,
    each thread decodes and counts partitions of its own; else one decodes (pyarrow with its own threads) while the
    others count. Partial profiles are added in a tree by the number of the partition, so the result does not depend on
    timing. ``only`` are the numbers of the partitions to count, ``skip`` leaves files out that cannot be read.
    """
    threads = threads or (ON_DEVICE if table.device else len(os.sched_getaffinity(0)))
    partitions = table.partitions(columns)
    if len(partitions) < threads:
        partitions = table.partitions(columns, threads=True)
    numbers = range(len(partitions)) if only is None else only
    tree = Tree(numbers, count.like)
    with ThreadPoolExecutor(threads) as pool:
        many = len(numbers) >= threads
        each = None if many else partial(_in_order, pool, ahead=2 * threads)

        def one(number: int) -> Part:
            return counted(partitions[number], number, count, skip=skip, progress=progress, each=each)

        try:
            for place, part in enumerate(
                _in_order(pool, one, numbers, ahead=threads) if many else map(one, numbers)
            ):
                tree.put(place, part)
        except BaseException as error:  # noqa: BLE001 (whoever called keeps what was counted, then raises it)
            return tree.outcome(error)
    return tree.outcome()


def _in_order(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T], ahead: int
) -> Iterator[R]:
    """``map(work, items)`` in threads, with at most ``ahead`` items taken before their turn."""
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
