"""Parquet files, globs, folders and hive partitions, local or by URL: streamed row group by row group."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby

import pyarrow as pa
import pyarrow.parquet as pq

from gpumon.errors import SchemaError
from gpumon.tables.columns import (
    WORDS,
    Skipped,
    canonical,
    canonical_schema,
    canonical_type,
    is_null,
    is_text,
    refuse_doubles,
    skipped,
)
from gpumon.tables.memory import Frame
from gpumon.tables.paths import File, opened, reading
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, chosen, evenly_spaced, rebatched, sampled

__all__ = ["ParquetTable", "RowGroups"]

PARTITION_ROWS = 1_048_576
PARTITION_BYTES = 256 * 2**20
SAMPLE_ROW_GROUPS = 32
SIGNED = {pa.int8(), pa.int16(), pa.int32(), pa.int64()}
READ_AHEAD = 65_536  # bytes a column: decoding then holds pages instead of whole column chunks


@dataclass(frozen=True)
class Piece:
    """Row groups of one file, and the values of the folders it lies in."""

    path: str
    row_groups: tuple[int, ...]
    rows: int
    hive: tuple[tuple[str, str | None], ...] = ()
    footer: pq.FileMetaData | None = field(default=None, repr=False, compare=False)

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return Piece, (
            self.path,
            self.row_groups,
            self.rows,
            self.hive,
        )  # whoever gets it reads the footer again


@dataclass(frozen=True)
class RowGroups:
    """A partition of Parquet files: some row groups, read when asked for."""

    pieces: tuple[Piece, ...]
    schema: pa.Schema
    nbytes: int
    threads: bool = False

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        return rebatched((batch for piece in self.pieces for batch in self._decoded(piece, rows)), rows)

    def _decoded(self, piece: Piece, rows: int) -> Iterator[pa.RecordBatch]:
        words = [f.name for f in self.schema if f.type == WORDS]
        local = "://" not in piece.path
        with reading(piece.path, "Parquet"), opened(piece.path) as file:
            source = pq.ParquetFile(
                file,
                metadata=piece.footer,
                read_dictionary=words,
                pre_buffer=not local,
                buffer_size=READ_AHEAD if local else 0,
            )
            for batch in source.iter_batches(
                rows, piece.row_groups, columns=self.schema.names, use_threads=self.threads
            ):
                yield _with_folders(batch, piece.hive, self.schema)


@dataclass(frozen=True)
class ParquetTable:
    """Parquet files with one schema. Opening reads the footers only."""

    name: str
    schema: pa.Schema
    skipped: tuple[Skipped, ...]
    pieces: tuple[Piece, ...]  # one a file

    @classmethod
    def open(cls, files: Sequence[File], name: str) -> ParquetTable:
        """Reads the footers, with threads, and checks that the schemas agree."""
        with ThreadPoolExecutor() as pool:
            footers = list(pool.map(_footer, (f.path for f in files)))
        schemas = [footer.schema.to_arrow_schema() for footer in footers]
        pieces = (
            Piece(file.path, tuple(range(footer.num_row_groups)), footer.num_rows, file.hive, footer)
            for file, footer in zip(files, footers, strict=True)
        )
        return cls(name, _common_schema(files, schemas), skipped(schemas[0]), tuple(pieces))

    @property
    def rows(self) -> int:
        return sum(piece.rows for piece in self.pieces)

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        return round(self.rows * self._row_bytes(chosen(self, columns)))

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[RowGroups]:
        schema = chosen(self, columns)
        row_bytes = self._row_bytes(schema)
        groups: list[list[Piece]] = []
        room = 0
        for one in self._row_groups():
            if not groups or one.rows > room:
                groups.append([])
                room = int(min(PARTITION_ROWS, PARTITION_BYTES / max(row_bytes, 1)))
            groups[-1].append(one)
            room -= one.rows
        parts = (_merged(group) for group in groups)
        return [
            RowGroups(p, schema, round(row_bytes * sum(piece.rows for piece in p)), threads) for p in parts
        ]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        schema = chosen(self, columns)
        groups = list(self._row_groups())
        some = _merged(groups[i] for i in evenly_spaced(len(groups), SAMPLE_ROW_GROUPS))
        part = RowGroups(some, schema, 0, threads=True)
        return sampled(part.batches(), schema, rows, part.rows)

    def load(self, columns: Sequence[str] | None = None) -> Frame:
        schema = chosen(self, columns)
        whole = RowGroups(_merged(self._row_groups()), schema, 0, threads=True)
        return Frame(pa.Table.from_batches(whole.batches(), schema), self.name)

    def _row_groups(self) -> Iterator[Piece]:
        for piece in self.pieces:
            for i in piece.row_groups:
                yield replace(piece, row_groups=(i,), rows=piece.footer.row_group(i).num_rows)

    def _row_bytes(self, schema: pa.Schema) -> float:
        """Decoded bytes of a row: widths, and for strings what the first row group says."""
        fixed = sum(f.type.bit_width / 8 for f in schema if f.type not in (WORDS, pa.string()))
        words = {f.name for f in schema if f.type == WORDS}
        footer = next((p.footer for p in self.pieces if p.rows), None)
        if footer is None or not words:
            return fixed + 4 * len(words)
        first = footer.row_group(0)
        chunks = (first.column(i) for i in range(first.num_columns))
        stored = sum(
            max(c.total_uncompressed_size, 4 * first.num_rows) for c in chunks if c.path_in_schema in words
        )
        return fixed + stored / max(first.num_rows, 1)


def _footer(path: str) -> pq.FileMetaData:
    with reading(path, "Parquet"), opened(path) as file:
        return pq.read_metadata(file)


def _common_schema(files: Sequence[File], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of all files, numbers in a type that holds those of every file, and the columns of the folders."""
    first = schemas[0]
    common = {f.name: f for f in _to_decode(first)}
    for file, own in zip(files, schemas, strict=True):
        refuse_doubles(own.names, file.path)
        if own.equals(first):
            continue
        for name in sorted({*first.names} ^ {*own.names}):
            has, lacks = (files[0], file) if name in first.names else (file, files[0])
            raise SchemaError(
                f"{lacks.path} has no column {name!r}, but {has.path} has it; "
                "write both with the same columns, or scan them apart"
            )
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
    return pa.schema([*canonical_schema(pa.schema(common.values())), *_folder_columns(files, first.names)])


def _to_decode(arrow: pa.Schema) -> Iterator[pa.Field]:
    """The columns that can be counted, strings as dictionaries: pyarrow decodes those several times faster."""
    for column in arrow:
        kept = canonical_type(column.type)
        if kept is not None:
            yield pa.field(column.name, column.type if is_null(column) else WORDS if is_text(kept) else kept)


def _widened(a: pa.Field | None, b: pa.Field | None) -> pa.Field | None:
    """The field that holds the values of both; None if they are of different kinds."""
    if a is None or b is None:
        return None
    if pa.uint64() in (a.type, b.type) and not a.type.equals(b.type) and {a.type, b.type} & SIGNED:
        return a.with_type(pa.float64())
    try:
        return pa.unify_schemas([pa.schema([a]), pa.schema([b])], promote_options="permissive").field(0)
    except pa.ArrowTypeError:
        return None


def _folder_columns(files: Sequence[File], own: Sequence[str]) -> Iterator[pa.Field]:
    """The columns that folders named ``key=value`` make: integers if all values are, else strings."""
    values: dict[str, set[str | None]] = {}
    for file in files:
        for key, value in file.hive:
            if key not in own:
                values.setdefault(key, set()).add(value)
    for key, found in values.items():
        known = found - {None}
        whole = known and all(re.fullmatch(r"[+-]?\d{1,18}", value) for value in known)
        yield pa.field(key, pa.int64() if whole else WORDS)


def _with_folders(
    batch: pa.RecordBatch, hive: Sequence[tuple[str, str | None]], schema: pa.Schema
) -> pa.RecordBatch:
    """``batch`` in the types of ``schema``, its missing columns filled with the values of the folders."""
    own, folders = batch.schema.names, dict(hive)
    columns = [
        batch.column(f.name)
        if f.name in own
        else pa.repeat(pa.scalar(folders.get(f.name), pa.string()), len(batch))
        for f in schema
    ]
    return canonical(columns, schema)


def _merged(row_groups: Iterable[Piece]) -> tuple[Piece, ...]:
    """Row groups of the same file as one piece."""
    same = (list(group) for _, group in groupby(row_groups, key=lambda piece: piece.path))
    return tuple(
        replace(g[0], row_groups=tuple(i for p in g for i in p.row_groups), rows=sum(p.rows for p in g))
        for g in same
    )
