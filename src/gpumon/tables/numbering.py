"""A table with the numbers of its rows beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from gpumon.errors import OptionError
from gpumon.tables.table import BATCH_ROWS, Table
from gpumon.tables.widened import Widened, WidenedPart

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gpumon.tables.table import Partition

__all__ = ["ROW_NUMBER", "Numbered", "NumberedPart"]

ROW_NUMBER = "row number"


class Numbered(Widened):
    """A table and a column ``row number`` (int64), from 0 in the order of the rows.

    OptionError where it cannot be known before reading in which row a part begins, or there is such a column.
    """

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        if ROW_NUMBER in table.schema.names:
            raise OptionError(f"{self.name} has a column {ROW_NUMBER!r} already: name the column of ids")
        if table.device or table.rows is None or any(part.rows is None for part in table.partitions()):
            raise OptionError(
                f"{self.name}: the numbers of its rows are not known beforehand; name a column that says which row it is "
                "with row_id"
            )
        self.schema = table.schema.append(pa.field(ROW_NUMBER, pa.int64()))

    def nbytes(self, columns: Sequence[str] | None = None) -> int | None:
        """About how many bytes ``columns`` take when decoded."""
        return self._table.nbytes(self._own(columns))

    def partitions(
        self, columns: Sequence[str] | None = None, *, threads: bool = False
    ) -> Sequence[Partition]:
        """Those of the table, each with the number of its first row."""
        wanted = self.chosen(columns)
        parts = self._table.partitions(self._own(columns), threads=threads)
        starts = np.cumsum([0, *(part.rows or 0 for part in parts)]).tolist()
        return [NumberedPart(part, wanted, start) for part, start in zip(parts, starts, strict=False)]

    def _own(self, columns: Sequence[str] | None) -> list[str]:
        """The columns that are to be read, one at least."""
        names = [name for name in self.chosen(columns).names if name != ROW_NUMBER]
        return names or self._table.schema.names[:1]


@dataclass(frozen=True, eq=False)
class NumberedPart(WidenedPart):
    """A partition whose first row has the number ``start``."""

    start: int

    def batches(self, rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """The rows in their order, with their numbers."""
        start = self.start
        for batch in self.part.batches(rows):
            number = pa.array(np.arange(start, start + batch.num_rows))
            columns = [number if f.name == ROW_NUMBER else batch.column(f.name) for f in self.schema]
            yield pa.RecordBatch.from_arrays(columns, schema=self.schema)
            start += batch.num_rows
