"""Parquet files, globs, folders and hive partitions, local or by URL: streamed row group by row group."""

from __future__ import annotations

import math
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from gpumon.errors import SchemaError
from gpumon.tables.columns import (
    WORDS,
    canonical,
    canonical_schema,
    canonical_type,
    is_null,
    is_text,
    refuse_doubles,
    refuse_other_names,
    skipped,
)
from gpumon.tables.paths import File, opened, reading
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, Table, evenly_spaced, rebatched, sampled

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ParquetTable", "Piece", "RowGroups"]

PARTITION_ROWS = 1_048_576
PARTITION_BYTES = 256 * 2**20
BATCH_BYTES = 64 * 2**20
LEAST_BATCH_ROWS = 8_192
SAMPLE_ROW_GROUPS = 32
MANY_ROW_GROUPS = 8
HEAD_ROWS = 65_536  # of a row group that give rows for a sample, if there are many
SIGNED = {pa.int8(), pa.int16(), pa.int32(), pa.int64()}
REPEATED = 4  # bytes a row that strings take in a file, at most, if they are few and stand in its dictionary
PAGE = 65_536  # bytes read ahead of each column: the memory then holds pages, not column chunks


class ParquetTable(Table):
    """Parquet files with one schema. Opening reads their footers, with threads, and nothing else."""

    def __init__(self, files: Sequence[File], name: str) -> None:
        with ThreadPoolExecutor() as pool:
            footers = list(pool.map(_footer, [file.path for file in files]))
        schemas = [footer.schema.to_arrow_schema() for footer in footers]
        folders = list(_folder_columns(files, schemas[0].names))
        files = [
            replace(file, hive=tuple((f.name, dict(file.hive).get(f.name)) for f in folders))
            for file in files
        ]
        self.name = name
        self._stored = _stored(footers)
        self.schema = pa.schema([*map(self._decoded_as, _common_schema(files, schemas)), *folders])
        self.skipped = skipped(schemas[0])
        sizes = [[int(f.row_group(i).num_rows) for i in range(f.num_row_groups)] for f in footers]
        self._files: list[tuple[File, pq.FileMetaData, list[int]]] = list(
            zip(files, footers, sizes, strict=True)
        )

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(sum(sizes) for _, _, sizes in self._files)

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        """About how many bytes ``columns`` take when decoded."""
        return self.rows * self._row_bytes(self.chosen(columns))

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[RowGroups]:
        """Neighbouring row groups, of one file or several, up to 1,048,576 rows or 256 MiB; a larger one is alone."""
        schema = self.chosen(columns)
        row_bytes = self._row_bytes(schema)
        most = min(PARTITION_ROWS, PARTITION_BYTES // max(row_bytes, 1))
        groups: list[list[Piece]] = [[]]
        rows = 0
        for piece in self._row_groups():
            if groups[-1] and rows + piece.rows > most:
                groups.append([])
                rows = 0
            groups[-1].append(piece)
            rows += piece.rows
        return [RowGroups(_merged(group), schema, row_bytes, threads) for group in groups if group]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced rows: of 32 evenly spaced row groups if there are more.

        Of eight row groups or more, each gives rows from its beginning only, so that not all need be decoded.
        """
        groups = list(self._row_groups())
        some = [groups[i] for i in evenly_spaced(len(groups), SAMPLE_ROW_GROUPS)]
        schema = self.chosen(columns)
        if len(some) < MANY_ROW_GROUPS:
            part = RowGroups(_merged(some), schema, 0, threads=True)
            return sampled(part.batches(), schema, rows, part.rows)
        heads = (
            next(RowGroups((piece,), schema, 0, threads=True).batches(HEAD_ROWS))
            for piece in some
            if piece.rows
        )
        return sampled(heads, schema, rows, sum(min(piece.rows, HEAD_ROWS) for piece in some))

    def _row_groups(self) -> Iterator[Piece]:
        for file, footer, sizes in self._files:
            for i, rows in enumerate(sizes):
                yield Piece(file, (i,), rows, footer)

    def _decoded_as(self, column: pa.Field) -> pa.Field:
        """The column, as a dictionary if it is strings that repeat: pyarrow decodes them several times faster.

        Of strings that hardly repeat it would build a dictionary that grows from batch to batch.
        """
        row_bytes, has_dictionary = self._stored.get(column.name, (0.0, False))
        repeats = is_text(column.type) and has_dictionary and row_bytes <= REPEATED
        return column.with_type(WORDS) if repeats else column

    def _row_bytes(self, schema: pa.Schema) -> int:
        """About the bytes of a decoded row: widths, and of strings what they take in the first row group."""
        fixed = sum(int(f.type.bit_width) / 8 for f in schema if not is_text(f.type) and f.type != WORDS)
        text = (f.name for f in schema if is_text(f.type) or f.type == WORDS)
        return math.ceil(fixed + sum(max(4.0, self._stored.get(name, (0.0, False))[0]) for name in text))


@dataclass(frozen=True)
class Piece:
    """Row groups of one file."""

    file: File
    row_groups: tuple[int, ...]
    rows: int
    footer: pq.FileMetaData | None = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> tuple[type[Piece], tuple[object, ...]]:
        return Piece, (self.file, self.row_groups, self.rows)  # footers are large: read it again where needed


@dataclass(frozen=True)
class RowGroups:
    """A partition of Parquet files: some row groups, decoded as they are asked for, page by page."""

    pieces: tuple[Piece, ...]
    schema: pa.Schema
    row_bytes: int
    threads: bool = False

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(piece.rows for piece in self.pieces)

    @property
    def nbytes(self) -> int:
        """About how many bytes the rows take when decoded."""
        return self.rows * self.row_bytes

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order, a batch of at most 64 MiB, but never of less than 8,192 rows."""
        rows = min(rows, max(LEAST_BATCH_ROWS, BATCH_BYTES // max(self.row_bytes, 1)))
        return rebatched((batch for piece in self.pieces for batch in self._decoded(piece, rows)), rows)

    def _decoded(self, piece: Piece, rows: int) -> Iterator[pa.RecordBatch]:
        local = "://" not in piece.file.path
        folders = dict(piece.file.hive)
        own = [f for f in self.schema if f.name not in folders]
        with reading(piece.file.path, "Parquet"), opened(piece.file.path) as file:
            source = pq.ParquetFile(
                file,
                metadata=piece.footer,
                read_dictionary=[f.name for f in own if f.type == WORDS],
                pre_buffer=not local,
                buffer_size=PAGE if local else 0,
            )
            names = [f.name for f in own]
            for batch in source.iter_batches(rows, piece.row_groups, columns=names, use_threads=self.threads):
                yield _with_folders(batch, folders, self.schema)


def _footer(path: str) -> pq.FileMetaData:
    with reading(path, "Parquet"), opened(path) as file:
        return pq.read_metadata(file)


def _common_schema(files: Sequence[File], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of all files, numbers in a type that holds those of every file."""
    first = schemas[0]
    common = {f.name: f for f in _to_decode(first)}
    for file, own in zip(files, schemas, strict=True):
        refuse_doubles(own.names, file.path)
        if own.equals(first):
            continue
        refuse_other_names(own.names, file.path, first.names, files[0].path)
        theirs = {f.name: f for f in _to_decode(own)}
        for name in first.names:
            if name not in common and name not in theirs:
                continue
            merged = _widened(common.get(name), theirs.get(name))
            if merged is None:
                raise SchemaError(
                    f"column {name!r} is {first.field(name).type} in {files[0].path}, but {own.field(name).type} "
                    f"in {file.path}; write both with the same type, or scan them apart"
                )
            common[name] = merged
    return canonical_schema(pa.schema(common.values()))


def _to_decode(arrow: pa.Schema) -> Iterator[pa.Field]:
    """The columns that can be counted; null stays null, as it fits any other type."""
    for column in arrow:
        kept = canonical_type(column.type)
        if kept is not None:
            yield pa.field(column.name, pa.null() if is_null(column) else kept)


def _widened(a: pa.Field | None, b: pa.Field | None) -> pa.Field | None:
    """The field that holds the values of both; None if they are of different kinds."""
    if a is None or b is None:
        return None
    kinds = {a.type, b.type}
    if len(kinds) == 2 and pa.uint64() in kinds and kinds & SIGNED:
        return a.with_type(pa.float64())
    if WORDS in kinds and any(is_text(kind) for kind in kinds):
        return a.with_type(WORDS)
    try:
        return pa.unify_schemas([pa.schema([a]), pa.schema([b])], promote_options="permissive").field(0)
    except pa.ArrowTypeError:
        return None


def _stored(footers: Sequence[pq.FileMetaData]) -> dict[str, tuple[float, bool]]:
    """Bytes a row before compression, and whether there is a dictionary: each column of the first row group."""
    groups = (footer.row_group(i) for footer in footers for i in range(footer.num_row_groups))
    first = next((group for group in groups if group.num_rows), None)
    if first is None:
        return {}
    chunks = [first.column(i) for i in range(first.num_columns)]
    return {
        c.path_in_schema: (c.total_uncompressed_size / first.num_rows, c.has_dictionary_page) for c in chunks
    }


def _folder_columns(files: Sequence[File], own: Sequence[str]) -> Iterator[pa.Field]:
    """The columns that folders named ``key=value`` make: integers if all values are, else strings."""
    values: dict[str, set[str]] = {}
    for file in files:
        for key, value in file.hive:
            if key not in own:
                values.setdefault(key, set()).update(() if value is None else (value,))
    for key, known in values.items():
        whole = known and all(re.fullmatch(r"-?\d{1,18}", value) for value in known)
        yield pa.field(key, pa.int64() if whole else WORDS)


def _with_folders(batch: pa.RecordBatch, folders: dict[str, str | None], schema: pa.Schema) -> pa.RecordBatch:
    """``batch`` in the types of ``schema``, those of ``folders`` filled with the value there."""
    text = {name: pa.scalar(value, pa.string()) for name, value in folders.items()}
    rows = batch.num_rows
    return canonical(
        [pa.repeat(text[n], rows) if n in text else batch.column(n) for n in schema.names], schema
    )


def _merged(pieces: Sequence[Piece]) -> tuple[Piece, ...]:
    """The same row groups, those of one file as one piece."""
    same = (list(group) for _, group in groupby(pieces, key=lambda piece: piece.file))
    return tuple(
        Piece(g[0].file, tuple(i for p in g for i in p.row_groups), sum(p.rows for p in g), g[0].footer)
        for g in same
    )
