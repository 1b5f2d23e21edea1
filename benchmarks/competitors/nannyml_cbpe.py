"""NannyML's CBPE of two classes, six metrics, each table as one chunk."""

import os

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pyarrow.parquet as pq
from nannyml_performance import METRICS, NAMES
from stopwatch import WARMING_ROWS, clock


def prepare(folder):
    names = ["target", "score", "prediction"]
    reference = pq.read_table(folder / "predictions_reference.parquet", columns=names).to_pandas()
    current = pq.read_table(folder / "predictions_current.parquet", columns=names[1:]).to_pandas()
    return [reference, current]


def work(frames):
    reference, current = frames
    estimator = nannyml.CBPE(
        problem_type="classification_binary",
        y_true="target",
        y_pred="prediction",
        y_pred_proba="score",
        metrics=METRICS,
        chunk_number=1,
    )
    return estimator.fit(reference).estimate(current)


def values(result):
    frame = result.filter(period="analysis").to_df()
    return {"current": {NAMES.get(name, name): float(frame[name, "value"].iloc[0]) for name in METRICS}}


if __name__ == "__main__":
    clock(
        "NannyML CBPE",
        ("nannyml", "pandas", "numpy", "scipy"),
        prepare=prepare,
        warm=lambda frames: work([frame.head(WARMING_ROWS) for frame in frames]),
        work=work,
        values=values,
    )
