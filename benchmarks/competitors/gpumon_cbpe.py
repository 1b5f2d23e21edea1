"""gpumon's estimates without labels: 5,000,000 rows that have none, by the reference's 5,000,000 labelled ones."""

import pyarrow.parquet as pq
from stopwatch import WARMING_ROWS, clock

import gpumon

NAMES = ("accuracy", "precision", "recall", "f1", "auc", "average_precision")


def prepare(folder):
    reference = pq.read_table(folder / "predictions_reference.parquet", columns=["target", "score"])
    return reference, pq.read_table(folder / "predictions_current.parquet", columns=["score"])


def work(tables):
    reference, current = tables
    return gpumon.evaluate(
        current, reference, target="target", score="score", metrics=[f"estimated_{name}" for name in NAMES]
    )


def values(report):
    rows = report.results.where(window=None, segment=None, column=None)
    found = {row.metric.removeprefix("estimated_"): row.value for row in rows}
    return {"current": {name: found[name] for name in NAMES}}


if __name__ == "__main__":
    clock(
        "gpumon estimates",
        ("gpumon", "numpy", "numba", "pyarrow", "scipy"),
        prepare=prepare,
        warm=lambda tables: work([table.slice(0, WARMING_ROWS) for table in tables]),
        work=work,
        values=values,
    )
