"""How close performance estimated without labels comes to the labels: ``results/estimation-MACHINE.json``.

    python benchmarks/estimation.py DIR --machine 2-core

DIR has NannyML's synthetic car loans (classification) and car prices (regression) as ``car_loan_reference.parquet``,
``car_loan_current.parquet``, ``car_loan_current_labels.parquet`` and the same of ``car_price``. The current rows are
taken in ten chunks, in the second half of which the features drift. gpumon learns from the labelled reference, as NannyML
0.13.1 does (``python benchmarks/environments.py nannyml``), and neither sees the labels of the current, which then judge:
mean absolute difference to the realised measure over the chunks, and how many chunks lie within the interval. gpumon's
figures are from score cells (1,024 equal ones) and binned features (at most 254 quantiles), NannyML's from raw values.
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

from drift import HERE, surroundings
from environments import python_of
from gpumon.statistics import estimation, loss_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHUNKS, CELLS = 10, 1024
OF_CLASSES = {
    "accuracy": metrics.accuracy_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "specificity": lambda y, predicted: metrics.recall_score(y, predicted, pos_label=0),
    "f1": metrics.f1_score,
}
OF_SCORES = {
    "roc_auc": metrics.roc_auc_score,
    "average_precision": metrics.average_precision_score,
    "brier": metrics.brier_score_loss,
    "log_loss": metrics.log_loss,
}
NUMBERS = ("car_age", "km_driven", "price_new", "accident_count", "door_count", "y_pred")
CATEGORIES = ("fuel", "transmission")

Found = dict[str, tuple["NDArray[np.float64]", estimation.Estimate]]


def tables(data: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The reference, and the current with the labels that came later."""
    current = pd.read_parquet(data / f"{name}_current.parquet")
    labels = pd.read_parquet(data / f"{name}_current_labels.parquet")
    return pd.read_parquet(data / f"{name}_reference.parquet"), current.merge(labels, on="id")


def chunks(values: pd.Series) -> NDArray[Any]:
    return values.to_numpy().reshape(CHUNKS, -1)


def of_loans(data: Path) -> tuple[Found, float]:
    """Realised and estimated measures by chunk, and the seconds that the estimates took."""
    reference, current = tables(data, "car_loan")
    start = time.perf_counter()

    def cell(frame: pd.DataFrame) -> NDArray[np.int64]:
        return np.minimum((frame["y_pred_proba"].to_numpy() * CELLS).astype(np.int64), CELLS - 1)

    learnt, positive = cell(reference), reference["repaid"].to_numpy() > 0
    calibration = estimation.calibrate(
        np.bincount(learnt[~positive], minlength=CELLS), np.bincount(learnt[positive], minlength=CELLS)
    )
    threshold = int(learnt[reference["y_pred"].to_numpy() == 1].min())
    cells, score = cell(current).reshape(CHUNKS, -1), chunks(current["y_pred_proba"])
    counts = np.stack([np.bincount(chunk, minlength=CELLS) for chunk in cells])
    sums = np.stack([np.bincount(c, s, minlength=CELLS) for c, s in zip(cells, score, strict=True)])
    mean_score = sums / np.maximum(counts, 1)
    estimates = {name: getattr(estimation, name)(counts, calibration, threshold) for name in OF_CLASSES}
    estimates |= {
        name: getattr(estimation, name)(counts, calibration) for name in ("roc_auc", "average_precision")
    }
    estimates |= {
        name: getattr(estimation, name)(counts, calibration, mean_score) for name in ("brier", "log_loss")
    }
    seconds = time.perf_counter() - start
    label, predicted = chunks(current["repaid"].astype(int)), chunks(current["y_pred"])
    found = {}
    for name, estimate in estimates.items():
        measure, given = (OF_CLASSES[name], predicted) if name in OF_CLASSES else (OF_SCORES[name], score)
        found[name] = np.array([measure(*chunk) for chunk in zip(label, given, strict=True)]), estimate
    return found, seconds


def of_prices(data: Path) -> tuple[Found, float]:
    reference, current = tables(data, "car_price")

    def coded(frame: pd.DataFrame) -> NDArray[np.uint8]:
        columns = []
        for name in NUMBERS:
            edges = np.unique(np.quantile(reference[name], np.linspace(0, 1, 255)[1:-1]))
            columns.append(np.searchsorted(edges, frame[name].to_numpy(), side="right"))
        columns += [
            pd.Categorical(frame[name], sorted(reference[name].unique())).codes for name in CATEGORIES
        ]
        return np.stack(columns, axis=1).astype(np.uint8)

    start = time.perf_counter()
    learnt, coming = coded(reference), coded(current)
    error = (reference["y_pred"] - reference["y_true"]).to_numpy()
    estimates = {}
    for name, loss, mean in (
        ("mae", np.abs(error), estimation.mean_loss),
        ("rmse", error**2, estimation.root_mean_loss),
    ):
        model = loss_model.fit(learnt, loss)
        predicted = loss_model.predict(model, coming).reshape(CHUNKS, -1)
        estimates[name] = mean(predicted, model.residual_variance)
    seconds = time.perf_counter() - start
    error = chunks(current["y_pred"] - current["y_true"])
    real = {"mae": np.mean(np.abs(error), axis=1), "rmse": np.sqrt(np.mean(error**2, axis=1))}
    return {name: (real[name], estimate) for name, estimate in estimates.items()}, seconds


def judged(found: Found, theirs: dict[str, Any] | None) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, (real, estimate) in found.items():
        gap = np.abs(estimate.value - real)
        row: dict[str, Any] = {
            "realised": real.tolist(),
            "gpumon": estimate.value.tolist(),
            "gpumon_mean_difference": float(np.mean(gap)),
            "gpumon_chunks_within_95": int(np.sum(gap <= 1.96 * estimate.realised_error)),
        }
        if theirs is not None and name in theirs:
            values = np.array(theirs[name]["value"])
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
