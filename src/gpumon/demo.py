"""The demo: real flights, bundled with their source and licence (data/README.md)."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

    from gpumon.reports.report import Report

__all__ = ["flights", "flights_of"]

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
