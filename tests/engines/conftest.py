"""Clusters of real processes, and tables of many partitions for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def write(folder: Path, files: int, rows: int, seed: int = 0) -> Path:
    """Parquet files of numbers, words, flags and times, some of them missing."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    words = np.array(["red", "green", "blue", "ünï"])
    for i in range(files):
        table = {
            "x": pa.array(rng.lognormal(size=rows) * 1e6, mask=rng.random(rows) < 0.05),
            "single": rng.normal(size=rows).astype(np.float32),
            "small": rng.integers(-5, 5, rows),
            "word": pa.array(rng.choice(words, rows), mask=rng.random(rows) < 0.1),
            "flag": rng.random(rows) < 0.3,
            "when": np.datetime64("2026-03-01") + rng.integers(0, 3 * 86_400, rows).astype("timedelta64[s]"),
        }
        pq.write_table(pa.table(table), folder / f"{i:04}.parquet")
    return folder


@pytest.fixture(scope="session")
def write_files():
    """``write_files(folder, files, rows, seed)``."""
    return write


@pytest.fixture
def small_partitions(monkeypatch):
    """Partitions of about a thousand rows, so that little data makes many tasks."""
    monkeypatch.setattr("gpumon.tables.parquet.PARTITION_ROWS", 1000)


@pytest.fixture(scope="session")
def many(tmp_path_factory) -> Path:
    """60 files of 1,000 rows."""
    return write(tmp_path_factory.mktemp("many") / "table", 60, 1000)
