"""gpumon on the predictions in memory: every measure of two classes, with intervals, bounds and calibration.

With ``--slices``, also by two-day windows and country, 120 slices; with ``--reference``, judged against the reference's.
"""

import sys

import pyarrow as pa
import pyarrow.parquet as pq
from stopwatch import WARMING_ROWS, clock

import gpumon

SLICES = "--slices" in sys.argv
REFERENCE = "--reference" in sys.argv
COMPARED = ("accuracy", "precision", "recall", "f1", "auc", "average_precision", "log_loss", "brier_score")


def prepare(folder):
    return [pq.read_table(folder / f"predictions_{side}.parquet") for side in ("current", "reference")]


def work(tables: list[pa.Table]):
    cut = {"timestamp": "timestamp", "every": "2d", "by": "country"} if SLICES else {}
    return gpumon.evaluate(*tables[: 1 + REFERENCE], target="target", score="score", **cut)


def values(report):
    rows = report.results.where(window=None, segment=None, column=None)
    return {"current": {row.metric: row.value for row in rows if row.metric in COMPARED}}


if __name__ == "__main__":
    clock(
        "gpumon evaluate",
        ("gpumon", "numpy", "numba", "pyarrow", "scipy"),
        prepare=prepare,
        warm=lambda tables: work([table.slice(0, WARMING_ROWS) for table in tables]),
        work=work,
        values=values,
    )
