"""Results: the table that every view is drawn from, one row a metric, column, window and segment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

__all__ = ["FIELDS", "STATUSES", "Result", "Results"]

STATUSES = ("ok", "warn", "alert", "no_data", "error")


class Result(NamedTuple):
    """One row. Numbers that do not apply are NaN, names that do not apply are None."""

    metric: str
    id: str
    family: str
    column: str | None  # None: the table as a whole; "a ~ b": a pair; "p | a": p at equal a
    window: str | None  # None: all
    segment: str | None  # None: all
    value: float
    lower: float  # the exact value lies in [lower, upper]; both equal value where it is exact
    upper: float
    ci_lower: float  # 95 % interval of what these rows are a sample of
    ci_upper: float
    unit: str
    n: int  # rows of the current table that it rests on
    reference: float  # the same metric of the reference, where it describes one table
    p_value: float
    q_value: float
    threshold: float  # of the effect, for alert
    status: str
    method: str
    reason: str  # in words, where the status is not ok


FIELDS = Result._fields
TEXTS = {"metric", "id", "family", "column", "window", "segment", "unit", "status", "method", "reason"}


class Results:
    """Rows as arrays by field: ``len``, iteration (of :class:`Result`), ``where``, Arrow and pandas."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.arrays = dict(arrays)

    @classmethod
    def of(cls, parts: list[dict[str, Any]]) -> Results:
        """From parts that give each field as an array or as one value for all their rows; what is left out is empty."""
        arrays = {}
        sizes = [np.size(part["value"]) for part in parts]
        for name in FIELDS:
            kind: Any = object if name in TEXTS else np.int64 if name == "n" else np.float64
            blank = (
                None
                if name in {"column", "window", "segment"}
                else ""
                if name in TEXTS
                else 0
                if name == "n"
                else np.nan
            )
            whole = np.empty(sum(sizes), kind)
            start = 0
            for part, size in zip(parts, sizes, strict=True):
                whole[start : start + size] = part.get(name, blank)
                start += size
            arrays[name] = whole
        return cls(arrays)

    def __len__(self) -> int:
        return int(self.arrays["value"].size)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.arrays[name]

    def __iter__(self) -> Iterator[Result]:
        for row in zip(*(self.arrays[name].tolist() for name in FIELDS), strict=True):
            yield Result(*row)

    def __add__(self, other: Results) -> Results:
        return Results({name: np.concatenate((self.arrays[name], other.arrays[name])) for name in FIELDS})

    def where(self, rows: NDArray[Any] | None = None, **equal: str | None) -> Results:
        """The rows of a mask or of row numbers, and those whose fields equal the given values.

        >>> one = Results.of([{"value": np.array([1.0, 2.0]), "metric": "psi", "column": np.array(["a", "b"])}])
        >>> len(one.where(column="b"))
        1
        """
        mask: NDArray[Any] = np.ones(len(self), np.bool_) if rows is None else rows
        for name, value in equal.items():
            mask = mask & (self.arrays[name] == value)
        return Results({name: array[mask] for name, array in self.arrays.items()})

    def to_arrow(self) -> pa.Table:
        """As an Arrow table; NaN of numbers that do not apply becomes null."""
        import pyarrow as pa

        kinds = {
            name: pa.string() if name in TEXTS else pa.int64() if name == "n" else pa.float64()
            for name in FIELDS
        }
        return pa.table({name: pa.array(self.arrays[name], kinds[name], from_pandas=True) for name in FIELDS})

    def to_pandas(self) -> pd.DataFrame:
        """As a pandas DataFrame (needs pandas)."""
        import pandas as pd

        return pd.DataFrame({name: self.arrays[name] for name in FIELDS})
