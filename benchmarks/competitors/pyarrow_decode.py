"""What reading alone costs: pyarrow decodes both files with all threads, warm; ``--large`` by row group, dropping each."""

import sys
from pathlib import Path

import pyarrow.parquet as pq
from stopwatch import clock

LARGE = "--large" in sys.argv


def work(folder: Path):
    if not LARGE:
        return sum(pq.read_table(folder / f"{side}.parquet").nbytes for side in ("reference", "current"))
    files = [pq.ParquetFile(folder / f"large_{side}.parquet") for side in ("reference", "current")]
    return sum(file.read_row_group(group).nbytes for file in files for group in range(file.num_row_groups))


if __name__ == "__main__":
    clock(
        "pyarrow decode",
        ("pyarrow",),
        prepare=lambda folder: folder,
        warm=work,
        work=work,
        values=lambda _: {},
    )
