"""Parquet files, globs, folders and hive partitions, local or by URL: streamed row group by row group."""

from __future__ import annotations

import math
import re
from copy import copy
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gpumon.errors import InputError, SchemaError
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
from gpumon.tables.paths import File, Unreadable, opened, reading, refusal
from gpumon.tables.table import (
    BATCH_ROWS,
    SAMPLE_ROWS,
    SMALL,
    Each,
    Table,
    evenly_spaced,
    in_threads,
    rebatched,
    taken,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["ParquetTable", "Piece", "RowGroups"]

NOTHING: dict[str, tuple[float, bool]] = {}  # shared by all footers that tell nothing new
KEPT_FOOTERS = 64  # files up to which footers stay in memory: of 100,000 files they would be gigabytes
FOOTERS = 128  # files whose footers are read at a time
PARTITION_FILES = 512  # opening a file costs as much as decoding some hundred thousand values
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
    """Parquet files with one schema. Opening reads their footers, with ``each``, and nothing else.

    With ``skip``, files without a footer that can be read are left out (``unreadable``); otherwise one InputError names
    them all.
    """

    def __init__(
        self, files: Sequence[File], name: str, *, skip: bool = False, each: Each = in_threads
    ) -> None:
        paths = [file.path for file in files]
        many = len(paths) > KEPT_FOOTERS
        chunks = (
            [paths[i : i + FOOTERS] for i in range(0, len(paths), FOOTERS)] if many else [[p] for p in paths]
        )
        found = [footer for some in each(_few if many else _kept, chunks) for footer in some]
        bad = [footer for footer in found if isinstance(footer, Unreadable)]
        good = [(file, it) for file, it in zip(files, found, strict=True) if isinstance(it, Footer)]
        if bad and not (skip and good):
            raise refusal(bad)
        files, footers = [file for file, _ in good], [footer for _, footer in good]
        schemas = [footer.schema for footer in footers]
        folders = list(_folder_columns(files, schemas[0].names))
        if folders:
            files = [
                replace(file, hive=tuple((f.name, dict(file.hive).get(f.name)) for f in folders))
                for file in files
            ]
        elif any(file.hive for file in files):
            files = [replace(file, hive=()) for file in files]
        self.name = name
        self.unreadable = tuple(bad)
        self._stored = next((footer.stored for footer in footers if footer.stored), {})
        self.schema = pa.schema([*map(self._decoded_as, _common_schema(files, schemas)), *folders])
        self.skipped = skipped(schemas[0])
        self._files = list(zip(files, footers, strict=True))
        self._each = each

    @property
    def files(self) -> Sequence[File]:
        """The files."""
        return [file for file, _ in self._files]

    @property
    def rows(self) -> int:
        """The number of rows."""
        return sum(sum(footer.rows) for _, footer in self._files)

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        """About how many bytes ``columns`` take when decoded."""
        return self.rows * self.row_bytes(self.chosen(columns))

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[RowGroups]:
        """Neighbouring row groups, of at most 512 files, up to 1,048,576 rows or 256 MiB; a larger one is alone."""
        schema = self.chosen(columns)
        row_bytes = self.row_bytes(schema)
        most = min(PARTITION_ROWS, PARTITION_BYTES // max(row_bytes, 1))
        groups: list[list[Piece]] = [[]]
        rows = files = 0
        for piece in self.row_groups():
            if groups[-1] and (rows + piece.rows > most or files == PARTITION_FILES):
                groups.append([])
                rows = files = 0
            files += not groups[-1] or groups[-1][-1].file is not piece.file
            groups[-1].append(piece)
            rows += piece.rows
        return [RowGroups(_merged(group), schema, row_bytes, threads) for group in groups if group]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        """At most ``rows`` evenly spaced rows: of all row groups of a SMALL table, else of 32 if there are more.

        Of eight row groups or more of a table that is not small, each gives rows from its beginning only, so that not
        all need be decoded.
        """
        groups = list(self.row_groups())
        small = self.nbytes() <= SMALL
        some = groups if small else [groups[i] for i in evenly_spaced(len(groups), SAMPLE_ROW_GROUPS)]
        schema = self.chosen(columns)
        if not some:
            return schema.empty_table()
        most = self.rows if small or len(some) < MANY_ROW_GROUPS else HEAD_ROWS
        starts = np.cumsum([0, *(min(piece.rows, most) for piece in some)])
        wanted = evenly_spaced(int(starts[-1]), rows)
        cuts = np.searchsorted(wanted, starts)
        takes = [
            Take(RowGroups((piece,), schema, 0, threads=len(some) == 1), wanted[low:high] - start)
            for piece, start, (low, high) in zip(some, starts[:-1], pairwise(cuts), strict=True)
        ]
        table = pa.concat_tables(self._each(Take.rows, takes))
        return table.unify_dictionaries().combine_chunks()

    def without(self, paths: Collection[str]) -> ParquetTable:
        """The table without some of its files."""
        other = copy(self)
        other._files = [(file, footer) for file, footer in self._files if file.path not in paths]
        return other

    def row_groups(self) -> Iterator[Piece]:
        """The row groups of all files, in order."""
        for file, footer in self._files:
            for i, rows in enumerate(footer.rows):
                yield Piece(file, (i,), rows, footer.whole)

    def _decoded_as(self, column: pa.Field) -> pa.Field:
        """The column, as a dictionary if it is strings that repeat: pyarrow decodes them several times faster.

        Of strings that hardly repeat it would build a dictionary that grows from batch to batch.
        """
        row_bytes, has_dictionary = self._stored.get(column.name, (0.0, False))
        repeats = is_text(column.type) and has_dictionary and row_bytes <= REPEATED
        return column.with_type(WORDS) if repeats else column

    def row_bytes(self, schema: pa.Schema) -> int:
        """About the bytes of a decoded row: widths, and of strings what they take in the first row group."""
        fixed = sum(int(f.type.bit_width) / 8 for f in schema if not is_text(f.type) and f.type != WORDS)
        text = (f.name for f in schema if is_text(f.type) or f.type == WORDS)
        return math.ceil(fixed + sum(max(4.0, self._stored.get(name, (0.0, False))[0]) for name in text))


@dataclass(frozen=True, eq=False, slots=True)
class Footer:
    """What planning needs of a Parquet file: its columns, the rows of its row groups."""

    schema: pa.Schema
    rows: tuple[int, ...]
    stored: dict[str, tuple[float, bool]]  # of the first row group; see _stored
    whole: pq.FileMetaData | None  # kept where files are few, so that it need not be read again

    def __reduce__(self) -> tuple[type[Footer], tuple[object, ...]]:
        return Footer, (self.schema, self.rows, self.stored, None)


@dataclass(frozen=True, eq=False)
class Take:
    """Some rows of a partition, by their ascending positions in it."""

    part: RowGroups
    positions: NDArray[np.int64]

    def rows(self) -> pa.Table:
        """These rows."""
        return pa.Table.from_batches(taken(self.part.batches(HEAD_ROWS), self.positions), self.part.schema)


@dataclass(frozen=True, slots=True)
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

    @property
    def paths(self) -> list[str]:
        """The files."""
        return [piece.file.path for piece in self.pieces]

    def unreadable(self) -> list[Unreadable]:
        """The files that cannot be decoded to the end of their row groups here."""
        found = []
        for piece in self.pieces:
            try:
                for _ in self._decoded(piece, BATCH_ROWS):
                    pass
            except InputError as error:
                found.append(Unreadable(piece.file.path, piece.rows, str(error)))
        return found

    def without(self, paths: Collection[str]) -> RowGroups:
        """The row groups of other files."""
        return replace(self, pieces=tuple(piece for piece in self.pieces if piece.file.path not in paths))

    def _decoded(self, piece: Piece, rows: int) -> Iterator[pa.RecordBatch]:
        local = "://" not in piece.file.path
        folders = dict(piece.file.hive)
        own = [f for f in self.schema if f.name not in folders]
        with reading(piece.file.path, "Parquet"), opened(piece.file.path) as file:
            if local and piece.file.nbytes not in {0, file.size()}:
                raise _changed(piece)  # the footer may be one that was kept
            source = pq.ParquetFile(
                file,
                metadata=piece.footer,
                read_dictionary=[f.name for f in own if f.type == WORDS],
                pre_buffer=not local,
                buffer_size=PAGE if local else 0,
            )
            _refuse_changed(piece, source.metadata)
            names = [f.name for f in own]
            for batch in source.iter_batches(rows, piece.row_groups, columns=names, use_threads=self.threads):
                yield _with_folders(batch, folders, self.schema)


def _kept(paths: Sequence[str]) -> list[Footer | Unreadable]:
    """The footers of some files, in full."""
    return [_footer(path, keep=True) for path in paths]


def _few(paths: Sequence[str]) -> list[Footer | Unreadable]:
    """The footers of some files, as small as may be: one schema for all that have the same, the rest left in the files."""
    found: list[Footer | Unreadable] = []
    first: Footer | None = None
    for path in paths:
        footer = _footer(path, like=first)
        found.append(footer)
        if first is None and isinstance(footer, Footer):
            first = footer
    return found


def _footer(path: str, *, keep: bool = False, like: Footer | None = None) -> Footer | Unreadable:
    try:
        with reading(path, "Parquet"), opened(path) as file:
            whole = pq.read_metadata(file)
            rows = tuple(int(whole.row_group(i).num_rows) for i in range(whole.num_row_groups))
            schema = whole.schema.to_arrow_schema()
            if like is not None and schema.equals(like.schema, check_metadata=True):
                schema = like.schema
            stored = NOTHING if like is not None and like.stored else _stored(whole)
            return Footer(schema, rows, stored, whole if keep else None)
    except InputError as error:
        return Unreadable(path, None, str(error))


def _refuse_changed(piece: Piece, footer: pq.FileMetaData) -> None:
    """Raise an InputError if the file is no longer the one that was planned."""
    there = footer.num_row_groups
    if any(i >= there for i in piece.row_groups) or piece.rows != sum(
        footer.row_group(i).num_rows for i in piece.row_groups
    ):
        raise _changed(piece)


def _changed(piece: Piece) -> InputError:
    return InputError(f"{piece.file.path}: the file was changed while the table was read; run again")


def _common_schema(files: Sequence[File], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of all files, numbers in a type that holds those of every file."""
    first = schemas[0]
    common = {f.name: f for f in _to_decode(first)}
    refuse_doubles(first.names, files[0].path)
    for file, own in zip(files, schemas, strict=True):
        if own is first or own.equals(first):
            continue
        refuse_doubles(own.names, file.path)
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


def _stored(footer: pq.FileMetaData) -> dict[str, tuple[float, bool]]:
    """Bytes a row before compression, and whether there is a dictionary: each column of the first row group."""
    groups = (footer.row_group(i) for i in range(footer.num_row_groups))
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
