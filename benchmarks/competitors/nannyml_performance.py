"""NannyML's realised performance of two classes, six metrics, each table as one chunk."""

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pyarrow.parquet as pq
from stopwatch import WARMING_ROWS, clock

METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc", "average_precision"]
NAMES = {"roc_auc": "auc"}


def prepare(folder):
    names = ["target", "score", "prediction"]
    return [
        pq.read_table(folder / f"predictions_{side}.parquet", columns=names).to_pandas()
        for side in ("reference", "current")
    ]


def work(frames):
    reference, current = frames
    calculator = nannyml.PerformanceCalculator(
        problem_type="classification_binary",
        y_true="target",
        y_pred="prediction",
        y_pred_proba="score",
        metrics=METRICS,
        chunk_number=1,
    )
    return calculator.fit(reference).calculate(current)


def values(result):
    frame = result.filter(period="analysis").to_df()
    return {"current": {NAMES.get(name, name): float(frame[name, "value"].iloc[0]) for name in METRICS}}


if __name__ == "__main__":
    clock(
        "NannyML",
        ("nannyml", "pandas", "numpy", "scipy"),
        prepare=prepare,
        warm=lambda frames: work([frame.head(WARMING_ROWS) for frame in frames]),
        work=work,
        values=values,
    )
