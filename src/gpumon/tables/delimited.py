"""CSV files, plain or compressed: streamed, with the types that their first block shows."""

from __future__ import annotations

import re
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import csv

from gpumon.errors import InputError
from gpumon.tables.columns import canonical, canonical_schema, refuse_doubles, refuse_other_names, skipped
from gpumon.tables.paths import File, Unreadable, opened, reading, refusal
from gpumon.tables.table import BATCH_ROWS, Table, rebatched

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["CsvTable", "Lines"]

BLOCK = 4 * 2**20  # bytes parsed at a time; the types of the columns are those of the first block
COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


class CsvTable(Table):
    """CSV files with one header, a partition each. Opening reads the first block of each.

    Empty fields, NA, NULL, NaN and their like are null.
    """

    rows = None

    def __init__(self, files: Sequence[File], name: str, *, skip: bool = False) -> None:
        headers: list[tuple[File, pa.Schema]] = []
        bad = []
        for file in files:
            try:
                with parsing(file.path) as reader:
                    headers.append((file, reader.schema))
            except InputError as error:
                bad.append(Unreadable(file.path, None, str(error)))
        if bad and not (skip and headers):
            raise refusal(bad)
        (first, types), *_ = headers
        self._types = pa.schema(f.with_type(pa.string()) if f.type == pa.null() else f for f in types)
        for file, own in headers:
            refuse_doubles(own.names, file.path)
            refuse_other_names(own.names, file.path, types.names, first.path)
        self._files = [file for file, _ in headers]
        self.unreadable = tuple(bad)
        self.name = name
        self.schema = canonical_schema(self._types)
        self.skipped = skipped(self._types)

    @property
    def files(self) -> Sequence[File]:
        """The files."""
        return self._files

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        """About the bytes of the text, which are more than those of the numbers in it."""
        share = len(self.chosen(columns)) / max(len(self._types), 1)
        return round(share * sum(f.nbytes * (8 if _compression(f.path) else 1) for f in self._files))

    def without(self, paths: Collection[str]) -> CsvTable:
        """The table without some of its files."""
        other = copy(self)
        other._files = [file for file in self._files if file.path not in paths]
        return other

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Lines]:
        """The files."""
        types = pa.schema([self._types.field(name) for name in self.chosen(columns).names])
        return [Lines(file.path, types, threads) for file in self._files]


@dataclass(frozen=True)
class Lines:
    """A partition: one CSV file, parsed as it is read."""

    path: str
    types: pa.Schema  # as parsed
    threads: bool = False
    left_out: bool = False

    rows = None
    nbytes = None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order."""
        return rebatched(() if self.left_out else self._parsed(), rows)

    @property
    def paths(self) -> tuple[str]:
        """The file."""
        return (self.path,)

    def unreadable(self) -> list[Unreadable]:
        """The file, if it cannot be read to its end."""
        try:
            for _ in self.batches():
                pass
        except InputError as error:
            return [Unreadable(self.path, None, str(error))]
        return []

    def without(self, paths: Collection[str]) -> Lines:
        """Nothing, if the file is one of ``paths``."""
        return replace(self, left_out=self.path in paths)

    def _parsed(self) -> Iterator[pa.RecordBatch]:
        schema = canonical_schema(self.types)
        try:
            with parsing(self.path, self.types, self.threads) as reader:
                for batch in reader:
                    yield canonical(batch.columns, schema)
        except InputError:
            if self.threads:  # only without threads does pyarrow say in which line it failed
                for _ in replace(self, threads=False).batches():
                    pass
            raise


@contextmanager
def parsing(
    path: str, types: pa.Schema | None = None, threads: bool = False
) -> Iterator[csv.CSVStreamingReader]:
    """A reader of the CSV file ``path``: of the columns ``types``, or of all, typed by the first block."""
    given = {} if types is None else {"include_columns": types.names, "column_types": types}
    convert = csv.ConvertOptions(strings_can_be_null=True, **given)
    read = csv.ReadOptions(use_threads=threads, block_size=BLOCK)
    with reading(path, "CSV"), opened(path) as file:
        kind = _compression(path)
        source = pa.CompressedInputStream(file, kind) if kind else file
        try:
            yield csv.open_csv(source, read, convert_options=convert)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: {_said(path, str(error))}") from error


def _compression(path: str) -> str | None:
    return next((kind for ending, kind in COMPRESSION.items() if path.lower().endswith(ending)), None)


def _said(path: str, error: str) -> str:
    """The complaint of pyarrow, in the words of whoever reads it."""
    if "Empty CSV file" in error:
        return "the file has no header; write the names of the columns into its first line"
    found = re.search(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (.+?): (.*)", error)
    if not found:
        return f"cannot be read as CSV: {error}; mend that line, or write the table as Parquet"
    number, line, kind, problem = found.groups()
    with parsing(path) as header:
        column = header.schema.names[int(number)]
    return (
        f"column {column!r} begins as {kind}, but {f'line {line}' if line else 'a later line'} does not fit, {problem}; "
        "give the column one type throughout, or write the table as Parquet"
    )
