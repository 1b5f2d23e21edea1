"""NannyML's CBPE and DLE on the car loans and prices, ten chunks of the current rows; prints JSON for estimation.py."""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml
import pandas as pd

CHUNKS = 10
WARM = 2_000
OF_LOANS = ["roc_auc", "average_precision", "accuracy", "precision", "recall", "specificity", "f1"]
OF_PRICES = ["mae", "rmse"]


def estimated(estimator, metrics: list[str], reference: pd.DataFrame, current: pd.DataFrame) -> dict:
    estimator.fit(reference.head(WARM)).estimate(current.head(WARM))
    start = time.perf_counter()
    table = estimator.fit(reference).estimate(current).filter(period="analysis").to_df()
    seconds = time.perf_counter() - start
    return {"seconds": seconds} | {
        metric: {part: table[metric, part].tolist() for part in ("value", "sampling_error")}
        for metric in metrics
    }


def pair(data: Path, name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    return tuple(pd.read_parquet(data / f"{name}_{side}.parquet") for side in ("reference", "current"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    reference, current = pair(data, "car_loan")
    loans = nannyml.CBPE(
        y_pred_proba="y_pred_proba",
        y_pred="y_pred",
        y_true="repaid",
        problem_type="classification_binary",
        metrics=OF_LOANS,
        chunk_size=len(current) // CHUNKS,
    )
    result = {"loans": estimated(loans, OF_LOANS, reference, current)}
    reference, current = pair(data, "car_price")
    features = [name for name in current.columns if name not in {"id", "timestamp", "y_pred"}]
    prices = nannyml.DLE(
        feature_column_names=features,
        y_pred="y_pred",
        y_true="y_true",
        metrics=OF_PRICES,
        chunk_size=len(current) // CHUNKS,
    )
    result["prices"] = estimated(prices, OF_PRICES, reference, current)
    print(json.dumps(result))
