"""The engine of this process: threads that count batches while others are decoded, and one order of merging."""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future

    import pyarrow as pa

    from gpumon.engines.count import Counter
    from gpumon.profiles.profile import Profile
    from gpumon.tables.table import Partition, Table

__all__ = ["run"]

T = TypeVar("T")
R = TypeVar("R")


def run(
    table: Table,
    columns: Sequence[str],
    count: Counter,
    *,
    threads: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Profile:
    """The profile of ``table``, counted batch by batch on the plan of ``count``.

    ``progress`` is called with the rows of every counted batch. With as many partitions as threads or more, each
    thread decodes and counts partitions of its own; else one decodes (pyarrow with its own threads) while the
    others count. Partial profiles are added in the order of the rows, so the result does not depend on timing.
    """
    threads = threads or len(os.sched_getaffinity(0))
    partitions = table.partitions(columns)
    if len(partitions) < threads:
        partitions = table.partitions(columns, threads=True)

    def whole(partition: Partition) -> Profile:
        return count(partition.batches(), progress)

    def one(batch: pa.RecordBatch) -> Profile:
        return count([batch], progress)

    with ThreadPoolExecutor(threads) as pool:
        if len(partitions) >= threads > 1:
            parts = _in_order(pool, whole, partitions, ahead=threads)
        else:
            batches = (batch for partition in partitions for batch in partition.batches())
            parts = _in_order(pool, one, batches, ahead=2 * threads)
        return reduce(add, parts, count.like)


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
