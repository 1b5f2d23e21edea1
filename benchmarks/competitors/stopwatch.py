"""What every competitor's script has in common: its arguments, the clock, and the one JSON line that it prints.

The work is first done once untimed, on the first 10,000 rows, so that imports, caches and compilers are warm; then
``--repeat`` times on all rows. Reading the files and turning them into the tool's own form is not timed.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHOWN = ("normal_2", "uniform_2", "zeros_2", "integers_1", "category_50")  # columns whose values are compared
WARMING_ROWS = 10_000

Values = dict[str, dict[str, float]]  # statistic → column → value


def numeric_names(table: pa.Table) -> list[str]:
    return [field.name for field in table.schema if pa.types.is_floating(field.type)]


def string_names(table: pa.Table) -> list[str]:
    return [field.name for field in table.schema if pa.types.is_string(field.type)]


def shown(values: Mapping[str, float]) -> dict[str, float]:
    """Return the values of the columns that are compared, as plain numbers."""
    return {name: float(values[name]) for name in SHOWN if name in values}


def clock(
    name: str,
    packages: tuple[str, ...],
    prepare: Callable[[Path], Any],
    warm: Callable[[Any], Any],
    work: Callable[[Any], Any],
    values: Callable[[Any], Values],
) -> None:
    """Time ``work(prepare(folder of the data))`` as the command line tells, and print one JSON line."""
    parser = argparse.ArgumentParser(description=f"Time {name}.")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[1] / "data")
    parser.add_argument("--repeat", type=int, default=1)
    options, _ = parser.parse_known_args()  # a script may have a switch of its own
    prepared = prepare(options.data)
    warm(prepared)
    seconds = []
    for _ in range(options.repeat):
        start = time.perf_counter()
        result = work(prepared)
        seconds.append(time.perf_counter() - start)
    line = {
        "name": name,
        "versions": {package: version(package) for package in packages},
        "seconds": seconds,
        "values": values(result),
    }
    print(json.dumps(line))


def clock_tables(
    name: str,
    packages: tuple[str, ...],
    prepare: Callable[[pa.Table, pa.Table], Any],
    work: Callable[[Any], Any],
    values: Callable[[Any], Values],
) -> None:
    """Time ``work(prepare(reference, current))`` on the two tables in memory."""

    def read(folder: Path) -> tuple[Any, Any]:
        reference, current = (pq.read_table(folder / f"{side}.parquet") for side in ("reference", "current"))
        few = prepare(reference.slice(0, WARMING_ROWS), current.slice(0, WARMING_ROWS))
        return few, prepare(reference, current)

    clock(
        name,
        packages,
        read,
        warm=lambda both: work(both[0]),
        work=lambda both: work(both[1]),
        values=values,
    )
