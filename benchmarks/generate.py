"""Write the tables that the benchmarks read, into ``benchmarks/data``: the same on every machine, for they are seeded.

    python benchmarks/generate.py             # reference, current: 1,000,000 rows, 20 float64 and 4 string columns
                                              # and 5,000,000 predictions of each side
    python benchmarks/generate.py --large     # large_reference, large_current: 10,000,000 rows, 50 float32 (4.6 GB)

The files have pyarrow's own defaults (snappy, dictionaries, row groups of 1 Mi rows), as a user's would.
Where a column of ``current`` differs from ``reference``, it differs by the second draw in the tables below.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

DATA = Path(__file__).resolve().parent / "data"
SEED = 20_250_101
ROW_GROUP = 1 << 20
SIDES = ("reference", "current")

# from random numbers and a normal cause that columns can share, to values
Draw = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def generator(*key: int) -> np.random.Generator:
    """Random numbers of their own for every key (table, side, column or row group)."""
    return np.random.Generator(np.random.PCG64([SEED, *key]))


def normal(mean: float, deviation: float) -> Draw:
    return lambda rng, cause: rng.normal(mean, deviation, cause.size)


def linked(correlation: float) -> Draw:
    """Normal, with this correlation to the cause that all linked columns share."""
    own = np.sqrt(1 - correlation**2)
    return lambda rng, cause: correlation * cause + own * rng.standard_normal(cause.size)


def lognormal(mean: float, deviation: float) -> Draw:
    return lambda rng, cause: rng.lognormal(mean, deviation, cause.size)


def uniform(low: float, high: float) -> Draw:
    return lambda rng, cause: rng.uniform(low, high, cause.size)


def exponential(scale: float) -> Draw:
    return lambda rng, cause: rng.exponential(scale, cause.size)


def student(freedom: float, scale: float) -> Draw:
    """Heavy tails: no variance at ``freedom`` ≤ 2."""
    return lambda rng, cause: scale * rng.standard_t(freedom, cause.size)


def mostly_zero(zeros: float, scale: float) -> Draw:
    return lambda rng, cause: np.where(
        rng.random(cause.size) < zeros, 0.0, rng.exponential(scale, cause.size)
    )


def poisson(mean: float) -> Draw:
    return lambda rng, cause: rng.poisson(mean, cause.size).astype(np.float64)


def integers(high: int) -> Draw:
    return lambda rng, cause: rng.integers(0, high, cause.size).astype(np.float64)


def categories(count: int, skew: float = 0.0, unseen: float = 0.0) -> Draw:
    """Codes whose shares fall as rank^−skew; a share ``unseen`` is of ten codes above ``count``."""
    shares = np.arange(1, count + 1) ** -skew
    cumulative = np.cumsum(shares / shares.sum())

    def draw(rng: np.random.Generator, cause: np.ndarray) -> np.ndarray:
        codes = np.minimum(np.searchsorted(cumulative, rng.random(cause.size), "right"), count - 1)
        return np.where(rng.random(cause.size) < unseen, rng.integers(count, count + 10, cause.size), codes)

    return draw


class Column(NamedTuple):
    name: str
    draw: Draw
    drifted: Draw | None = None  # what current holds, where it is not the same
    nulls: tuple[float, float] = (0.0, 0.0)  # share in reference, in current


NUMERIC = (
    Column("normal_1", normal(0, 1)),
    Column("normal_2", normal(100, 15), normal(101.5, 15)),  # mean + 0.1 deviations
    Column("normal_3", normal(-5, 2), normal(-5, 2.5), nulls=(0.01, 0.01)),  # deviation × 1.25
    Column("linked_1", linked(0.9)),
    Column("linked_2", linked(0.8), linked(0.5)),  # correlation 0.72 → 0.45; itself the same
    Column("lognormal_1", lognormal(0, 1)),
    Column("lognormal_2", lognormal(3, 0.5), lognormal(3.1, 0.5), nulls=(0.05, 0.05)),  # × 1.105
    Column("lognormal_3", lognormal(1, 2), nulls=(0.02, 0.02)),
    Column("uniform_1", uniform(0, 1)),
    Column("uniform_2", uniform(-1, 1), uniform(-0.9, 1.1)),  # a twentieth of the mass beyond the old largest
    Column("uniform_3", uniform(0, 1000), nulls=(0.05, 0.10)),  # nulls doubled
    Column("exponential_1", exponential(1)),
    Column("exponential_2", exponential(10), exponential(15)),  # × 1.5
    Column("exponential_3", exponential(0.1), nulls=(0.20, 0.20)),
    Column("student_1", student(3, 1)),
    Column("student_2", student(1.5, 10), nulls=(0.01, 0.01)),
    Column("zeros_1", mostly_zero(0.7, 5)),
    Column("zeros_2", mostly_zero(0.7, 50), mostly_zero(0.6, 50)),
    Column("integers_1", poisson(7), poisson(7.5)),
    Column("integers_2", integers(10_000), nulls=(0.01, 0.01)),
)
STRINGS = (
    Column("category_5", categories(5)),
    Column("category_50", categories(50, 0.2), categories(50, 0.5), nulls=(0.01, 0.01)),
    Column("category_1000", categories(1000, 0.5)),
    Column("category_200", categories(200, 1.2), categories(200, 1.2, unseen=0.02)),
)


def strings(codes: np.ndarray, mask: np.ndarray) -> pa.Array:
    """Plain strings ``value 7`` for code 7, null where ``mask``."""
    names = pa.array([f"value {code}" for code in range(int(codes.max()) + 1)])
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=mask), names).cast(
        pa.string()
    )


def mixed_table(side: int, rows: int) -> pa.Table:
    """One side of the pair that every tool is timed on: 20 float64 and 4 string columns."""
    cause = generator(0, side).standard_normal(rows)
    arrays = {}
    for place, column in enumerate((*NUMERIC, *STRINGS), 1):
        rng = generator(0, side, place)
        draw = column.drifted if side and column.drifted else column.draw
        values, mask = draw(rng, cause), rng.random(rows) < column.nulls[side]
        arrays[column.name] = strings(values, mask) if column in STRINGS else pa.array(values, mask=mask)
    return pa.table(arrays)


def float32_tables(side: int, rows: int) -> Iterator[pa.Table]:
    """One side of the large pair, a row group at a time; five of its fifty columns drift by 0.1 deviations."""
    draws = (
        lambda rng, size: rng.standard_normal(size, np.float32),
        lambda rng, size: np.exp(rng.standard_normal(size, np.float32)),
        lambda rng, size: rng.random(size, np.float32),
        lambda rng, size: rng.standard_exponential(size, np.float32),
        lambda rng, size: (
            rng.standard_normal(size, np.float32) / np.sqrt(rng.random(size, np.float32) + 1e-3)
        ),
    )
    for group, start in enumerate(range(0, rows, ROW_GROUP)):
        size = min(ROW_GROUP, rows - start)
        arrays = {}
        for place in range(50):
            values = draws[place % 5](generator(1, side, group, place), size)
            arrays[f"feature_{place:02}"] = values + np.float32(0.1) if side and place % 10 == 0 else values
        yield pa.table(arrays)


def predictions_table(side: int, rows: int) -> pa.Table:
    """Thirty days of a binary classifier: calibrated in reference, too sure of itself in current."""
    rng = generator(2, side)
    score = rng.beta(2.5 if side else 2.0, 5.0, rows)
    target = rng.random(rows) < (score**1.2 if side else score)
    start = np.datetime64("2025-02-01" if side else "2025-01-01", "us")
    spacing = np.timedelta64(30, "D").astype("timedelta64[us]") / rows
    unmasked = np.zeros(rows, bool)
    return pa.table(
        {
            "timestamp": pa.array(start + np.arange(rows) * spacing, pa.timestamp("us", tz="UTC")),
            "target": target.astype(np.int8),
            "score": score,
            "prediction": (score >= 0.5).astype(np.int8),
            "country": strings(categories(8, 1.0)(rng, score), unmasked),
            "device": strings(categories(4, 0.5)(rng, score), unmasked),
        }
    )


def write_large(folder: Path, rows: int) -> None:
    for number, side in enumerate(SIDES):
        tables = float32_tables(number, rows)
        first = next(tables)
        with pq.ParquetWriter(folder / f"large_{side}.parquet", first.schema) as writer:
            writer.write_table(first, row_group_size=ROW_GROUP)
            for table in tables:
                writer.write_table(table, row_group_size=ROW_GROUP)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="of reference and current; predictions 5 ×, large 10 ×"
    )
    parser.add_argument("--large", action="store_true", help="write the large pair, and only that")
    parser.add_argument("--into", type=Path, default=DATA, metavar="FOLDER", help="default: benchmarks/data")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    if options.large:
        write_large(options.into, 10 * options.rows)
    else:
        for number, side in enumerate(SIDES):
            pq.write_table(mixed_table(number, options.rows), options.into / f"{side}.parquet")
            pq.write_table(
                predictions_table(number, 5 * options.rows), options.into / f"predictions_{side}.parquet"
            )
