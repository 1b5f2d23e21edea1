"""Dask collections as tables: DataFrames of Dask (of pandas or cuDF), lists of delayed frames, futures of frames."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import dask
import numpy as np
import pyarrow as pa
from dask.delayed import Delayed
from distributed import Future

from gpumon.errors import InputError, SchemaError
from gpumon.tables.columns import canonical, refuse_other_names
from gpumon.tables.frames import open_table
from gpumon.tables.gpu import DeviceBatch
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, Table, Whole, evenly_spaced, taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from distributed import Client
    from numpy.typing import NDArray

__all__ = ["Chunk", "Collection"]


class Collection(Table):
    """A Dask collection: a partition of it is a partition here, counted by the worker that has it.

    Its columns are those of the first partition with rows. A sample needs the number of rows of all partitions, so a
    collection that is not persisted is computed once to count rows, once for the sample and once to be counted.
    """

    def __init__(self, source: Any, name: str, client: Client | None) -> None:
        self.name = name
        self._client = client
        self._frames: list[Any] = (
            list(source) if isinstance(source, list | tuple) else list(source.to_delayed())
        )
        if not self._frames:
            raise InputError(f"{name} has no partitions, so there is nothing to count")
        first = self._first()
        self.schema, self.skipped = first.schema, first.skipped

    @staticmethod
    def fits(source: Any) -> bool:
        """Whether ``source`` is a Dask DataFrame, or a list of delayed frames or of futures."""
        if isinstance(source, list | tuple):
            return bool(source) and all(isinstance(item, Delayed | Future) for item in source)
        return (
            hasattr(source, "to_delayed") and hasattr(source, "columns") and dask.is_dask_collection(source)
        )

    @property
    def rows(self) -> int | None:
        """The number of rows, once it is known."""
        return sum(self._sizes) if "_sizes" in vars(self) else None

    def nbytes(self, columns: Sequence[str] | None = None) -> None:
        """Not known."""

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Chunk]:
        """Those of the collection."""
        schema = self.chosen(columns)
        sizes = self._sizes if "_sizes" in vars(self) else [None] * len(self._frames)
        return [
            Chunk(frame, i, self.name, schema, rows, threads)
            for i, (frame, rows) in enumerate(zip(self._frames, sizes, strict=True))
        ]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced rows, in order: the same ones however the collection is partitioned."""
        starts = np.cumsum([0, *self._sizes])
        wanted = evenly_spaced(int(starts[-1]), rows)
        cuts = np.searchsorted(wanted, starts)
        work = [
            (part.empty(), part.frame, wanted[low:high] - start)
            for part, start, (low, high) in zip(
                self.partitions(columns), starts[:-1], pairwise(cuts), strict=True
            )
            if high > low
        ]
        if not work:
            return self.chosen(columns).empty_table()
        table = pa.concat_tables(self._computed(_rows_of, work))
        return table.unify_dictionaries().combine_chunks()

    @cached_property
    def _sizes(self) -> list[int]:
        """Rows of every partition."""
        sizes: list[int] = self._computed(_size_of, [(frame,) for frame in self._frames])
        return sizes

    def _first(self) -> Table:
        """The first partition with rows, without them."""
        for i, frame in enumerate(self._frames):
            table, rows = self._computed(_columns_of, [(frame, f"{self.name}, partition {i}")])[0]
            if rows or i == len(self._frames) - 1:
                break
        return table  # type: ignore[no-any-return]

    def _computed(self, work: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """``work`` of each, by tasks called ``read``."""
        tasks = [dask.delayed(work, name="read", pure=False)(*some) for some in arguments]
        if self._client is not None:
            return list(self._client.compute(tasks, sync=True))
        return list(dask.compute(*tasks))  # by the active client if there is one, else in threads


@dataclass(frozen=True)
class Chunk(Whole):
    """A partition of a collection: what makes its frame, and in a task the frame itself."""

    frame: Any
    number: int
    name: str
    schema: pa.Schema
    rows: int | None = None
    threads: bool = False
    device: bool = False  # whether frames on a GPU are counted there

    nbytes = None

    def empty(self) -> Chunk:
        """The partition without what makes its frame, for a task that is given the frame."""
        return replace(self, frame=None)

    def holding(self, frame: Any, *, device: bool = False) -> Chunk:
        """The partition with its frame; one of cuDF stays on its GPU if the kernels count there (``device``)."""
        return replace(self, frame=frame, device=device)

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order."""
        frame = self.frame
        if isinstance(frame, Delayed):
            (frame,) = dask.compute(frame)
        elif isinstance(frame, Future):
            frame = frame.result()
        where = f"{self.name}, partition {self.number}"
        table = open_table(frame, name=where)
        names = table.schema.names
        if not set(self.schema.names) <= set(names):
            refuse_other_names(names, where, self.schema.names, self.name)
        if table.device and not (self.device and table.chosen(self.schema.names).equals(self.schema)):
            table = table.load(self.schema.names)
        for part in table.partitions(self.schema.names):
            for batch in part.batches(rows):
                yield batch if table.device else self._typed(batch, where)

    def _typed(self, batch: pa.RecordBatch, where: str) -> pa.RecordBatch:
        """The batch in the types of the collection."""
        if isinstance(batch, DeviceBatch):
            return replace(batch, schema=self.schema)  # columns are made canonical as they come to the host
        try:
            return canonical(batch.columns, self.schema)
        except pa.ArrowInvalid as error:
            told = "; ".join(
                f"{own.name!r} is {own.type}, not {common.type}"
                for own, common in zip(batch.schema, self.schema, strict=True)
                if own.type != common.type
            )
            raise SchemaError(f"{where}: {told}; give all partitions the same types") from error


def _columns_of(frame: Any, name: str) -> tuple[Table, int]:
    """A frame's columns as a table without rows, and the rows that it has."""
    from gpumon.tables.memory import Frame

    table = open_table(frame, name=name)
    bare = Frame(table.schema.empty_table(), name)
    bare.schema, bare.skipped = table.schema, table.skipped
    return bare, table.rows or 0


def _size_of(frame: Any) -> int:
    return len(frame)


def _rows_of(part: Chunk, frame: Any, positions: NDArray[np.int64]) -> pa.Table:
    """Some rows of a partition."""
    some = taken(part.holding(frame).batches(), positions)
    here = (each.on_host() if isinstance(each, DeviceBatch) else each for each in some)
    return pa.Table.from_batches(here, part.schema)
