"""Rows in memory, and rows of a stream that can be read once."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa

from gpumon.errors import InputError
from gpumon.tables.columns import canonical, canonical_schema, refuse_doubles, skipped
from gpumon.tables.paths import reading
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, Partition, Table, Whole, rebatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["Frame", "Rows", "Stream", "from_reader"]

PARTITION_ROWS = (
    262_144  # slices cost nothing, and a table of a million rows should keep several threads busy
)
HEAD_ROWS = 1_048_576  # of a stream, that are kept for sampling


class Frame(Table):
    """An Arrow table, in the types that it came in: they are made canonical batch by batch."""

    here = True

    def __init__(self, table: pa.Table, name: str) -> None:
        refuse_doubles(table.schema.names, name)
        self.name = name
        self.schema = canonical_schema(table.schema)
        self.skipped = skipped(table.schema)
        self._table = table.select(self.schema.names)

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self._table.num_rows)

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        """How many bytes ``columns`` take."""
        return int(self._table.select(self.chosen(columns).names).get_total_buffer_size())

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Rows]:
        """Slices of 262,144 rows."""
        table = self._table.select(self.chosen(columns).names)
        return [Rows(table.slice(i, PARTITION_ROWS), threads) for i in range(0, self.rows, PARTITION_ROWS)]

    def load(self, columns: Sequence[str] | None = None) -> Frame:
        """The same rows, of ``columns`` only."""
        return Frame(self._table.select(self.chosen(columns).names), self.name)


@dataclass(frozen=True, eq=False)
class Rows(Whole):
    """A partition in memory."""

    table: pa.Table
    threads: bool = False

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.table.num_rows)

    @property
    def nbytes(self) -> int:
        """How many bytes the rows take."""
        return int(self.table.get_total_buffer_size())

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order, without a copy where a column has its canonical type already."""
        schema = canonical_schema(self.table.schema)
        return (canonical(batch.columns, schema) for batch in rebatched(self.table.to_batches(rows), rows))

    def __reduce__(self) -> tuple[Callable[..., Rows], tuple[bytes, bool]]:
        sink = pa.BufferOutputStream()  # Arrow's own pickle would carry the whole table along with a slice
        with pa.ipc.new_stream(sink, self.table.schema) as stream:
            stream.write_table(self.table)
        return _unpacked, (sink.getvalue().to_pybytes(), self.threads)


def _unpacked(stream: bytes, threads: bool) -> Rows:
    return Rows(pa.ipc.open_stream(stream).read_all(), threads)


class Stream(Table):
    """Rows of which the first are in memory, for sampling, and the rest can be read once."""

    rows = None
    here = True

    def __init__(self, head: Frame, rest: Iterator[pa.RecordBatch]) -> None:
        self.name, self.schema, self.skipped = head.name, head.schema, head.skipped
        self._head = head
        self._rest = [rest]  # taken out by whoever begins to read it

    def nbytes(self, columns: Sequence[str] | None = None) -> None:
        """Not known."""

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Partition]:
        """The rows in memory, then all others as one partition."""
        rest = Remaining(self.name, self.chosen(columns), self._rest, threads)
        return [*self._head.partitions(columns, threads=threads), rest]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced ones of the first 1,048,576 rows."""
        return self._head.sample(columns, rows)


@dataclass(frozen=True, eq=False)
class Remaining(Whole):
    """What a stream still has: a partition that can be read once, and only here."""

    name: str
    schema: pa.Schema
    rest: list[Iterator[pa.RecordBatch]]
    threads: bool = False

    rows = None
    nbytes = None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order; InputError if they were read before."""
        if not self.rest:
            raise InputError(
                f"{self.name} is a stream and was read before; open it again, or pass stream.read_all()"
            )
        for batch in rebatched(self.rest.pop(), rows):
            yield canonical([batch.column(name) for name in self.schema.names], self.schema)


def from_reader(reader: pa.RecordBatchReader, name: str) -> Frame | Stream:
    """A table of what ``reader`` gives: in memory if that is at most 1,048,576 rows, else read as it is counted."""
    held: list[pa.RecordBatch] = []
    room, rest = HEAD_ROWS, _read(reader, name)
    for batch in rest:
        held.append(batch.slice(0, room))
        if batch.num_rows > room:
            head = Frame(pa.Table.from_batches(held, reader.schema), name)
            return Stream(head, chain([batch.slice(room)], rest))
        room -= batch.num_rows
    return Frame(pa.Table.from_batches(held, reader.schema), name)


def _read(reader: pa.RecordBatchReader, name: str) -> Iterator[pa.RecordBatch]:
    with reading(name):
        yield from reader
