"""What every table offers, whatever it was made from: a schema, partitions to count, rows to sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

import numpy as np
import pyarrow as pa

from gpumon.tables.columns import indices, refuse_column

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.schema import Skipped
    from gpumon.tables.paths import File, Unreadable

__all__ = [
    "BATCH_ROWS",
    "SAMPLE_ROWS",
    "SMALL",
    "Each",
    "Partition",
    "Table",
    "Whole",
    "evenly_spaced",
    "in_threads",
    "rebatched",
    "sampled",
    "taken",
]

T = TypeVar("T")
R = TypeVar("R")

BATCH_ROWS = 131_072
SAMPLE_ROWS = 32_768
SMALL = 512 * 2**20  # bytes: a table of this size may be decoded once more, or kept in memory


class Each(Protocol):
    """``map``, done by whoever counts: threads, or the workers of a cluster."""

    def __call__(self, work: Callable[[T], R], items: Sequence[T]) -> Iterable[R]:
        """``work`` of every item, in order."""


def in_threads(work: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
    """``map(work, items)`` in threads of this process."""
    with ThreadPoolExecutor() as pool:
        yield from pool.map(work, items)


class Partition(Protocol):
    """A part of a table that one worker counts; small, and it can be pickled if its table can be read again."""

    @property
    def rows(self) -> int | None:
        """The number of rows, if known before reading."""

    @property
    def nbytes(self) -> int | None:
        """About how many bytes the rows take when decoded, if known before reading."""

    @property
    def threads(self) -> bool:
        """Whether pyarrow may decode with threads of its own."""

    @property
    def paths(self) -> Sequence[str]:
        """The files that its rows are in, if they are in files."""

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order, at most ``rows`` at a time, in canonical types (see ``gpumon.tables.columns``)."""

    def unreadable(self) -> Sequence[Unreadable]:
        """The files that cannot be read, after ``batches`` has raised an InputError."""

    def without(self, paths: Collection[str]) -> Partition:
        """The partition without the rows of these files."""


class Table(ABC):
    """Rows, wherever they are.

    ``name`` is what messages call the table, ``schema`` the columns that can be counted, in canonical types (see
    ``gpumon.tables.columns``), ``skipped`` those that cannot and why. The argument ``columns`` is names in the order
    wanted; None stands for all. ``unreadable`` are files that were left out when the table was opened. ``here`` says
    that the rows are in the memory of this process, or come through it.
    """

    name: str
    schema: pa.Schema
    skipped: tuple[Skipped, ...]
    unreadable: tuple[Unreadable, ...] = ()
    here: bool = False
    device: bool = False
    """Whether the rows are in the memory of a GPU: then batches have columns there (see ``gpumon.tables.gpu``)."""

    @property
    def files(self) -> Sequence[File]:
        """The files that it is read from; none if it is made of something else."""
        return ()

    def without(self, paths: Collection[str]) -> Table:  # noqa: ARG002
        """The table without some of its files."""
        return self

    @property
    @abstractmethod
    def rows(self) -> int | None:
        """The number of rows, if known before reading."""

    @abstractmethod
    def nbytes(self, columns: Sequence[str] | None = None) -> int | None:
        """About how many bytes ``columns`` take when decoded, if known before reading."""

    @abstractmethod
    def partitions(
        self, columns: Sequence[str] | None = None, *, threads: bool = False
    ) -> Sequence[Partition]:
        """The parts to count, in the order of the rows; the same for the same table and ``columns``."""

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced rows, in order: the same ones however the table is partitioned."""
        return sampled(self._batches(columns), self.chosen(columns), rows, self.rows)

    def load(self, columns: Sequence[str] | None = None) -> Table:
        """The same rows in memory, decoded once, with pyarrow's threads."""
        from gpumon.tables.memory import Frame

        return Frame(pa.Table.from_batches(self._batches(columns), self.chosen(columns)), self.name)

    def chosen(self, columns: Sequence[str] | None) -> pa.Schema:
        """The part of the schema that ``columns`` names, in that order; SchemaError for one that is not there."""
        if columns is None:
            return self.schema
        for column in columns:
            if column not in self.schema.names:
                refuse_column(column, self.schema.names, self.name, self.skipped)
        return pa.schema([self.schema.field(column) for column in columns])

    def _batches(self, columns: Sequence[str] | None) -> Iterator[pa.RecordBatch]:
        for partition in self.partitions(columns, threads=True):
            yield from partition.batches()


class Whole:
    """The part of a partition that is of no file, or of one that could be read: nothing can be left out."""

    paths: Sequence[str] = ()

    def unreadable(self) -> Sequence[Unreadable]:
        """None."""
        return ()

    def without(self, paths: Collection[str]) -> Self:  # noqa: ARG002
        """The partition itself."""
        return self


def evenly_spaced(rows: int, k: int) -> NDArray[np.int64]:
    """``min(k, rows)`` row numbers spread evenly over ``range(rows)``, ascending.

    >>> evenly_spaced(10, 4)
    array([0, 2, 5, 7])
    """
    k = min(k, rows)
    return np.arange(k, dtype=np.int64) * rows // max(k, 1)


def sampled(batches: Iterable[pa.RecordBatch], schema: pa.Schema, k: int, rows: int | None) -> pa.Table:
    """At most ``k`` evenly spaced rows of a stream of ``rows`` rows.

    If their number is not known beforehand, every 1st, 2nd, 4th … row is kept, so that at most 2k are held; the
    result is evenly spaced all the same, and does not depend on the sizes of the batches.
    """
    if rows is None:
        batches, rows = _thinned(batches, schema, 2 * k)
    table = pa.Table.from_batches(taken(batches, evenly_spaced(rows, k)), schema)
    return table.unify_dictionaries().combine_chunks()


def rebatched(batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, at most ``rows`` in a batch; a batch of less than half is joined with its neighbours."""
    held: list[pa.RecordBatch] = []
    for whole in batches:
        for start in range(0, whole.num_rows, rows):
            batch = whole.slice(start, rows)
            have = sum(b.num_rows for b in held)
            if have and (have + batch.num_rows > rows or 2 * have >= rows):
                yield _joined(held)
                held = []
            held.append(batch)
    if held:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


def taken(batches: Iterable[pa.RecordBatch], positions: NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """The rows at the ascending ``positions``, counted over all batches."""
    start = 0
    for batch in batches:
        low, high = np.searchsorted(positions, (start, start + batch.num_rows))
        if high - low == batch.num_rows:
            yield batch
        elif high > low:
            yield batch.take(indices(positions[low:high] - start))
        start += batch.num_rows
        if not positions.size or start > positions[-1]:
            return


def _thinned(
    batches: Iterable[pa.RecordBatch], schema: pa.Schema, most: int
) -> tuple[Iterable[pa.RecordBatch], int]:
    """Every 2^i-th row, with the smallest i that leaves at most ``most``, and how many they are."""
    held, stride, start = pa.Table.from_batches([], schema), 1, 0
    for batch in batches:
        places = np.arange(-start % stride, batch.num_rows, stride)
        start += batch.num_rows
        held = pa.concat_tables([held, pa.table(batch.take(indices(places)))])
        while held.num_rows > most:
            held, stride = held.take(indices(np.arange(0, held.num_rows, 2))), 2 * stride
    return held.to_batches(), held.num_rows
