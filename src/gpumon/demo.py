"""The demo: real flights, bundled with their source and licence (data/README.md)."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from gpumon.reports.report import Report

__all__ = ["car_loans", "car_prices", "flights", "flights_of"]

IDENTIFYING = ["year", "month", "day", "flight", "tailnum"]
"""Columns that say which flight it was; they differ between any two periods."""


def flights_of(*months: int) -> pa.Table:
    """The flights that left New York City in these months of 2013, as an Arrow table.

    >>> flights_of(1, 2).num_rows
    51955
    """
    import pyarrow.parquet as pq

    with as_file(files("gpumon") / "data" / "flights.parquet") as path:
        return pq.read_table(path, filters=[("month", "in", months)])


def car_loans() -> tuple[pa.Table, pa.Table, pa.Table]:
    """Loans with their labels, later loans, and the labels of these, which are joined on ``id``.

    >>> [table.num_rows for table in car_loans()]
    [50000, 50000, 50000]
    """
    return _three("car_loan")


def car_prices() -> tuple[pa.Table, pa.Table, pa.Table]:
    """Prices of cars with their predictions, later predictions, and the prices of these, which are joined on ``id``.

    >>> [table.num_rows for table in car_prices()]
    [60000, 60000, 60000]
    """
    return _three("car_price")


def _three(name: str) -> tuple[pa.Table, pa.Table, pa.Table]:
    import pyarrow.parquet as pq

    tables = []
    for part in ("reference", "current", "current_labels"):
        with as_file(files("gpumon") / "data" / f"{name}_{part}.parquet") as path:
            tables.append(pq.read_table(path))
    return tables[0], tables[1], tables[2]


def flights(**options: Any) -> Report:
    """June and July against January and February, day by day."""
    from gpumon.api import scan

    return scan(
        flights_of(6, 7),
        flights_of(1, 2),
        roles={"ignore": IDENTIFYING},
        timestamp="time_hour",
        every="1d",
        **options,
    )
