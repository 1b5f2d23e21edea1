"""How close performance estimated without labels comes to the labels: ``results/estimation-MACHINE.json``.

    python benchmarks/estimation.py DIR --machine 2-core

DIR has NannyML's synthetic car loans (classification) and car prices (regression) as ``car_loan_reference.parquet``,
``car_loan_current.parquet``, ``car_loan_current_labels.parquet`` and the same of ``car_price``. The current rows are
taken in ten chunks, in the second half of which the features drift. gpumon.evaluate learns from the labelled reference,
as NannyML 0.13.1 does (``python benchmarks/environments.py nannyml``), and neither sees the labels of the current, which
then judge, by scikit-learn: mean absolute difference to the realised measure over the chunks, and how many chunks lie
within the interval. The seconds are those of everything that one call of evaluate does, counting included; both tools have
seen 2,000 rows before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn import metrics

import gpumon
from drift import HERE, surroundings
from environments import python_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNKS = 10
WARM = 2_000
OF_CLASSES = {
    "accuracy": metrics.accuracy_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "f1": metrics.f1_score,
}
OF_SCORES = {"auc": metrics.roc_auc_score, "average_precision": metrics.average_precision_score}
OF_PRICES = {"mae": metrics.mean_absolute_error, "rmse": metrics.root_mean_squared_error}
THRESHOLD = 0.65  # from which score on the loans have a prediction of 1
NANNYML = {"auc": "roc_auc"}
FEATURES = (
    "car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"
)  # fmt: skip

Found = dict[str, tuple["NDArray[np.float64]", list[Any]]]
"""Of each measure the realised value of every chunk, and the row of its estimate."""


def tables(data: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference, and the current with the labels that came later."""
    current = pd.read_parquet(data / f"{name}_current.parquet")
    labels = pd.read_parquet(data / f"{name}_current_labels.parquet")
    return pd.read_parquet(data / f"{name}_reference.parquet"), current.merge(labels, on="id")


def chunks(values: pd.Series) -> NDArray[Any]:
    return values.to_numpy().reshape(CHUNKS, -1)


def estimated(
    reference: pd.DataFrame, current: pd.DataFrame, names: Any, **roles: Any
) -> tuple[dict[str, list[Any]], float]:
    """The rows of estimates by chunk, and the seconds that they took; ``current`` comes without labels."""
    size = len(current) // CHUNKS
    reference = reference.assign(chunk="learnt")
    current = current.assign(chunk=[f"{i // size:02}" for i in range(len(current))])
    gpumon.evaluate(current.head(WARM), reference.head(WARM), by="chunk", **roles)
    start = time.perf_counter()
    report = gpumon.evaluate(current, reference, by="chunk", **roles)
    seconds = time.perf_counter() - start
    found = {}
    for name in names:
        rows = [row for row in report.results.where(metric=f"estimated_{name}", window=None) if row.segment]
        found[name] = sorted(rows, key=lambda row: row.segment)
    return found, seconds


def of_loans(data: Path) -> tuple[Found, float]:
    reference, current = tables(data, "car_loan")
    estimates, seconds = estimated(
        reference,
        current.drop(columns="repaid"),
        (*OF_CLASSES, *OF_SCORES),
        target="repaid",
        score="y_pred_proba",
        threshold=THRESHOLD,
    )
    label = chunks(current["repaid"].astype(int))
    predicted, score = chunks(current["y_pred"]), chunks(current["y_pred_proba"])
    found = {}
    for name, rows in estimates.items():
        measure, given = (OF_CLASSES[name], predicted) if name in OF_CLASSES else (OF_SCORES[name], score)
        found[name] = np.array([measure(*chunk) for chunk in zip(label, given, strict=True)]), rows
    return found, seconds


def of_prices(data: Path) -> tuple[Found, float]:
    reference, current = tables(data, "car_price")
    estimates, seconds = estimated(
        reference,
        current.drop(columns="y_true"),
        OF_PRICES,
        target="y_true",
        prediction="y_pred",
        features=FEATURES,
    )
    sides = [*zip(chunks(current["y_true"]), chunks(current["y_pred"]), strict=True)]
    found = {
        name: (np.array([OF_PRICES[name](*side) for side in sides]), rows) for name, rows in estimates.items()
    }
    return found, seconds


def judged(found: Found, theirs: dict[str, Any] | None) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, (real, rows) in found.items():
        value, lower, upper = (
            np.array([getattr(row, part) for row in rows]) for part in ("value", "ci_lower", "ci_upper")
        )
        row: dict[str, Any] = {
            "realised": real.tolist(),
            "gpumon": value.tolist(),
            "gpumon_mean_difference": float(np.mean(np.abs(value - real))),
            "gpumon_chunks_within_95": int(np.sum((real >= lower) & (real <= upper))),
        }
        name_of_theirs = NANNYML.get(name, name)
        if theirs is not None and name_of_theirs in theirs:
            values = np.array(theirs[name_of_theirs]["value"])
            row |= {
                "nannyml": values.tolist(),
                "nannyml_mean_difference": float(np.mean(np.abs(values - real))),
            }
        result[name] = row
    return result


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DIR", help="has the six files")
    parser.add_argument("--machine", default="2-core", help="names the result file (default: 2-core)")
    parser.add_argument(
        "--nannyml", type=Path, default=python_of("nannyml"), help="interpreter that has NannyML"
    )
    options = parser.parse_args()
    result = surroundings(options.machine)
    theirs = None
    if options.nannyml.exists():
        command = [
            options.nannyml,
            "-W",
            "ignore",
            HERE / "competitors" / "nannyml_estimation.py",
            options.data,
        ]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        theirs = json.loads(run.stdout.splitlines()[-1])
    for key, measure in (("loans", of_loans), ("prices", of_prices)):
        found, seconds = measure(options.data)
        other = None if theirs is None else theirs[key]
        result[key] = judged(found, other) | {"seconds": {"gpumon": seconds}}
        if other is not None:
            result[key]["seconds"]["nannyml"] = other["seconds"]
        for name, row in result[key].items():
            shown = {part: value for part, value in row.items() if not isinstance(value, list)}
            print(f"{key} {name}: {json.dumps(shown)}")
    file = HERE / "results" / f"estimation-{options.machine}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(result, indent=1) + "\n")
    print(f"\nwritten: {file}")
