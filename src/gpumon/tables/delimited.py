"""CSV files, plain or compressed: streamed, with the types that their first block shows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import csv

from gpumon.errors import InputError, SchemaError
from gpumon.tables.columns import Skipped, canonical, canonical_schema, refuse_doubles, skipped
from gpumon.tables.memory import Frame
from gpumon.tables.paths import File, opened, reading
from gpumon.tables.table import BATCH_ROWS, SAMPLE_ROWS, chosen, rebatched, sampled

__all__ = ["CsvTable", "Lines"]

BLOCK = 4 * 2**20  # bytes parsed at a time; the types of the columns are those of the first block
COMPRESSION = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}


@dataclass(frozen=True)
class Lines:
    """A partition: one CSV file, parsed as it is read. Empty fields and NA, NULL, NaN … are null."""

    path: str
    types: pa.Schema  # as parsed
    threads: bool = False

    rows = None
    nbytes = None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        return rebatched(self._parsed(), rows)

    def _parsed(self) -> Iterator[pa.RecordBatch]:
        schema = canonical_schema(self.types)
        with parsing(self.path, self.types, self.threads) as reader:
            for batch in reader:
                yield canonical(batch.columns, schema)


@dataclass(frozen=True)
class CsvTable:
    """CSV files with one header. Opening reads the first block of each."""

    name: str
    schema: pa.Schema
    skipped: tuple[Skipped, ...]
    files: tuple[File, ...]
    types: pa.Schema  # as parsed

    rows = None

    @classmethod
    def open(cls, files: Sequence[File], name: str) -> CsvTable:
        """Reads the first block of each file; raises SchemaError where the headers or the types disagree."""
        schemas = []
        for file in files:
            with parsing(file.path) as reader:
                schemas.append(reader.schema)
            refuse_doubles(reader.schema.names, file.path)
            if set(reader.schema.names) != set(schemas[0].names):
                odd = sorted({*reader.schema.names} ^ {*schemas[0].names})[0]
                raise SchemaError(
                    f"of {files[0].path} and {file.path}, only one has the column {odd!r}; "
                    "write both with the same columns, or scan them apart"
                )
        return cls(name, canonical_schema(schemas[0]), skipped(schemas[0]), tuple(files), _typed(schemas[0]))

    def nbytes(self, columns: Sequence[str] | None = None) -> int:
        schema = chosen(self, columns)
        text = sum(file.nbytes * (1 if file.path.endswith(".csv") else 8) for file in self.files)
        return round(text * len(schema) / max(len(self.schema), 1))

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Lines]:
        types = pa.schema([self.types.field(name) for name in chosen(self, columns).names])
        return [Lines(file.path, types, threads) for file in self.files]

    def sample(self, columns: Sequence[str] | None = None, rows: int = SAMPLE_ROWS) -> pa.Table:
        parts = self.partitions(columns, threads=True)
        return sampled((b for part in parts for b in part.batches()), chosen(self, columns), rows, None)

    def load(self, columns: Sequence[str] | None = None) -> Frame:
        parts = self.partitions(columns, threads=True)
        return Frame(
            pa.Table.from_batches((b for part in parts for b in part.batches()), chosen(self, columns)),
            self.name,
        )


@contextmanager
def parsing(
    path: str, schema: pa.Schema | None = None, threads: bool = False
) -> Iterator[csv.CSVStreamingReader]:
    """A reader of the rows of ``path``, with the types of ``schema``, or with those that its first block shows."""
    given = {} if schema is None else {"include_columns": schema.names, "column_types": schema}
    convert = csv.ConvertOptions(strings_can_be_null=True, **given)
    kind = next((kind for ending, kind in COMPRESSION.items() if path.endswith(ending)), None)
    with reading(path, "CSV"), opened(path) as file:
        try:
            source = pa.CompressedInputStream(file, kind) if kind else file
            yield csv.open_csv(
                source, csv.ReadOptions(use_threads=threads, block_size=BLOCK), convert_options=convert
            )
        except pa.ArrowInvalid as error:
            raise InputError(f"{path}: {_said(str(error), schema)}") from error


def _typed(types: pa.Schema) -> pa.Schema:
    """The types, string for a column that is empty in the first block."""
    return pa.schema([f.with_type(pa.string()) if pa.types.is_null(f.type) else f for f in types])


def _said(error: str, schema: pa.Schema | None) -> str:
    """pyarrow's complaint about a CSV file, in the words of its reader."""
    found = re.search(r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (.+?): (.*)", error)
    if not found:
        return f"cannot be read as CSV: {error}; mend that line, or write the table as Parquet"
    number, row, type_, problem = found.groups()
    column = f"column {schema.names[int(number)]!r}" if schema else f"column number {int(number) + 1}"
    line = f" in row {row}" if row else ""
    return (
        f"{column} holds {type_} at the top of the file, but{line} {problem}; "
        "give the column one type throughout, or write the table as Parquet"
    )
