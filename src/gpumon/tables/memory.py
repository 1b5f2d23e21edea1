"""Rows in memory, and rows of a stream that can be read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from gpumon.errors import InputError
from gpumon.tables.columns import Skipped, canonical, canonical_schema, refuse_doubles, skipped
from gpumon.tables.paths import reading
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, Partition, chosen, evenly_spaced, rebatched, sampled

__all__ = ["Frame", "Rows", "Stream", "from_reader"]

PARTITION_ROWS = (
    262_144  # a slice costs nothing, and a table of a million rows should keep several threads busy
)
HEAD_ROWS = 1_048_576


@dataclass(frozen=True, eq=False)
class Rows:
    """A partition in memory: a slice, in the types that it came in."""

    table: pa.Table
    threads: bool = False

    @property
    def rows(self) -> int:
        return int(self.table.num_rows)

    @property
    def nbytes(self) -> int:
        return int(self.table.nbytes)

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        schema = canonical_schema(self.table.schema)
        return (canonical(batch.columns, schema) for batch in rebatched(self.table.to_batches(rows), rows))

    def __reduce__(self) -> tuple[Callable[..., Rows], tuple[bytes, bool]]:
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(
            sink, self.table.schema
        ) as writer:  # pickle would carry whole buffers, not the slice
            writer.write_table(self.table)
        return _unpacked, (sink.getvalue().to_pybytes(), self.threads)


def _unpacked(stream: bytes, threads: bool) -> Rows:
    return Rows(pa.ipc.open_stream(stream).read_all(), threads)


class Frame:
    """An Arrow table as a Table."""

    def __init__(self, table: pa.Table, name: str) -> None:
        refuse_doubles(table.schema.names, name)
        self.name = name
        self.schema = canonical_schema(table.schema)
        self.skipped = skipped(table.schema)
        self._table = table.select(self.schema.names)

    @property
    def rows(self) -> int:
        return int(self._table.num_rows)

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        return int(self._table.select(chosen(self, columns).names).nbytes)

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Rows]:
        table = self._table.select(chosen(self, columns).names)
        return [Rows(table.slice(i, PARTITION_ROWS), threads) for i in range(0, self.rows, PARTITION_ROWS)]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        schema = chosen(self, columns)
        picked = self._table.select(schema.names).take(pa.array(evenly_spaced(self.rows, rows)))
        return sampled(Rows(picked).batches(), schema, rows, picked.num_rows)

    def load(self, columns: Sequence[str] | None = None) -> Frame:
        return Frame(self._table.select(chosen(self, columns).names), self.name)


@dataclass(frozen=True, eq=False)
class Stream:
    """Rows of which the first are in memory and the rest can be read once: the sample is of the first."""

    head: Frame
    rest: list[Iterator[pa.RecordBatch]]  # empty once somebody began to read it

    rows = None

    @property
    def name(self) -> str:
        return self.head.name

    @property
    def schema(self) -> pa.Schema:
        return self.head.schema

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        return self.head.skipped

    def nbytes(self, columns: Sequence[str] | None = None) -> None:
        chosen(self, columns)

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Partition]:
        rest = Remaining(self.name, chosen(self, columns), self.rest, threads)
        return [*self.head.partitions(columns, threads=threads), rest]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        return self.head.sample(columns, rows)

    def load(self, columns: Sequence[str] | None = None) -> Frame:
        batches = (batch for part in self.partitions(columns) for batch in part.batches())
        return Frame(pa.Table.from_batches(batches, chosen(self, columns)), self.name)


@dataclass(frozen=True, eq=False)
class Remaining:
    """A partition that can be read once, here: what a stream still has after its head."""

    name: str
    schema: pa.Schema
    rest: list[Iterator[pa.RecordBatch]]
    threads: bool = False

    rows = None
    nbytes = None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        if not self.rest:
            raise InputError(
                f"{self.name} is a stream and was read already; open it again, or pass stream.read_all()"
            )
        for batch in rebatched(self.rest.pop(), rows):
            yield canonical([batch.column(name) for name in self.schema.names], self.schema)


def from_reader(reader: pa.RecordBatchReader, name: str) -> Frame | Stream:
    """A table of what ``reader`` gives: in memory if that is at most 1,048,576 rows, else read as it is counted."""
    held, rows, rest = [], 0, _read(reader, name)
    for batch in rest:
        fits = batch.slice(0, HEAD_ROWS - rows)
        held.append(fits)
        rows += fits.num_rows
        if fits.num_rows < batch.num_rows:
            head = Frame(pa.Table.from_batches(held, reader.schema), name)
            return Stream(head, [chain([batch.slice(fits.num_rows)], rest)])
    return Frame(pa.Table.from_batches(held, reader.schema), name)


def _read(reader: pa.RecordBatchReader, name: str) -> Iterator[pa.RecordBatch]:
    with reading(name):
        yield from reader
