"""pyarrow Datasets: whatever they are made of, filtered or not."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gpumon.tables.columns import canonical, canonical_schema, skipped
from gpumon.tables.paths import reading
from gpumon.tables.table import BATCH_ROWS, Table, Whole, rebatched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pyarrow as pa
    from pyarrow.dataset import Dataset

__all__ = ["Fragment", "Scanned"]


class Scanned(Table):
    """A Dataset: one partition a fragment, or one for all if the dataset is filtered."""

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.name = name
        self.schema = canonical_schema(dataset.schema)
        self.skipped = skipped(dataset.schema)
        self._dataset = dataset

    @cached_property
    def rows(self) -> int:
        """The number of rows: from footers if the dataset is of Parquet files, else by reading."""
        with reading(self.name):
            return int(self._dataset.count_rows())

    def nbytes(self, columns: Sequence[str] | None = None) -> None:
        """Not known."""

    def partitions(self, columns: Sequence[str] | None = None, *, threads: bool = False) -> list[Fragment]:
        """The fragments."""
        schema = self.chosen(columns)
        try:
            fragments = list(self._dataset.get_fragments())
        except ValueError:  # a filtered dataset does not show its fragments
            return [Fragment(self.name, self._dataset, {}, schema, threads)]
        whole = {"schema": self._dataset.schema}
        return [Fragment(self.name, fragment, whole, schema, threads) for fragment in fragments]


@dataclass(frozen=True)
class Fragment(Whole):
    """A partition of a Dataset."""

    name: str
    source: Any  # a Fragment or a Dataset of pyarrow: both have a scanner
    options: dict[str, Any]
    schema: pa.Schema
    threads: bool = False

    rows = None
    nbytes = None

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in order."""
        with reading(self.name):
            scanner = self.source.scanner(
                columns=self.schema.names, batch_size=rows, use_threads=self.threads, **self.options
            )
            for batch in rebatched(scanner.to_batches(), rows):
                yield canonical(batch.columns, self.schema)
