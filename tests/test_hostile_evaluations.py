"""Predictions and labels that nobody would make on purpose, with any options: a sound report, or one clear line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gpumon
from gpumon.errors import GpumonError

NAMES = np.array(["a", "b", "<b>x</b>", "é\n", "", "1", "true", "x" * 300, "o'\"&"], object)
ODD = (np.nan, np.inf, -np.inf, 0.0, 1.0, -0.5, 2.0)
SEEDS = 100


def numbers(rng: np.random.Generator, kinds: list[str], rows: int) -> np.ndarray:
    kind = rng.choice(kinds)
    if kind == "share":
        x = rng.random(rows)
    elif kind == "whole":
        x = rng.integers(0, 4, rows).astype(float)
    elif kind == "constant":
        x = np.full(rows, rng.choice([0.0, 0.5, 1.0]))
    else:
        x = rng.normal(size=rows) * (10.0 ** rng.integers(-300, 300) if kind == "far" else 1.0)
    if rng.random() < 0.3:
        x[rng.random(rows) < rng.random()] = rng.choice(ODD)
    return x


def table(rng: np.random.Generator, task: str, classes: np.ndarray) -> dict[str, Any]:
    rows = int(rng.choice([0, 1, 2, 5, 40, 300]))
    found: dict[str, Any] = {}
    if task == "multiclass":
        p = rng.dirichlet(np.ones(len(classes)), rows)
        if rng.random() < 0.2:
            p[rng.random(rows) < 0.2] *= 2
        if rng.random() < 0.3:
            p[rng.random(rows) < 0.3, 0] = np.nan
        y = classes[rng.integers(0, len(classes), rows)]
        if rng.random() < 0.3:
            y[rng.random(rows) < 0.5] = None
        if rng.random() < 0.15:
            y[:1] = "another"
        found |= {f"p{i}": p[:, i] for i in range(len(classes))}
        found |= {"y": y, "yhat": classes[p.argmax(axis=1)]}
    elif task == "binary":
        p = numbers(rng, ["share", "share", "share", "constant", "normal", "whole"], rows)
        y = (rng.random(rows) < 0.5).astype(float)
        if rng.random() < 0.3:
            y[rng.random(rows) < 0.5] = np.nan
        found |= {"p": p, "y": y, "yhat": (np.nan_to_num(p) >= 0.4).astype(float)}
    else:
        kinds = ["normal", "whole", "far", "constant"]
        found |= {name: numbers(rng, kinds, rows) for name in ("y", "yhat")}
        found["sd"] = numbers(rng, ["share", "normal", "constant"], rows)
    found["w"] = numbers(rng, ["share", "whole", "constant"], rows)
    found["id"] = rng.integers(0, 50, rows)
    found["t"] = np.datetime64("2026-01-01") + rng.integers(0, rng.choice([1, 3, 12]), rows).astype(
        "timedelta64[D]"
    )
    found["g"] = NAMES[rng.integers(0, 3, rows)]
    found["f"] = numbers(rng, ["normal", "whole", "far"], rows)
    return found


def options(rng: np.random.Generator, task: str, classes: np.ndarray) -> dict[str, Any]:
    def sometimes(chance: float, **given: Any) -> dict[str, Any]:
        return given if rng.random() < chance else {}

    found: dict[str, Any] = {"target": "y"}
    if task == "regression":
        found |= (
            {"prediction": "yhat", "task": task} | sometimes(0.4, std="sd") | sometimes(0.3, features=["f"])
        )
    else:
        score = {name: f"p{i}" for i, name in enumerate(classes)} if task == "multiclass" else "p"
        found |= sometimes(0.8, score=score)
        found |= sometimes(0.5 if "score" in found else 1.0, prediction="yhat")
    if task == "binary":
        found |= sometimes(0.3, costs=(1, float(rng.choice([0, 5, 1e300]))))
    found |= sometimes(0.3, worst_rows=int(rng.choice([1, 7, 100])), row_id=str(rng.choice(["id", "g", "f"])))
    return (
        found
        | sometimes(0.3, weight="w")
        | sometimes(0.5, timestamp="t", every="1d")
        | sometimes(0.3, by=["g"])
        | sometimes(0.3, slices=["f", "g"])
        | sometimes(0.2, sensitive_features=["g"])
        | sometimes(0.2, exact=True)
        | sometimes(0.2, thresholds="conventional")
        | sometimes(0.3, columns=["f"])
        | sometimes(0.25, clusters=["f", "w"])
    )


def sound(report: gpumon.Report) -> None:
    found = report.to_pandas()
    failed = found[found["status"] == "error"]
    assert not len(failed), set(failed["metric"] + ": " + failed["reason"])
    silent = found[found["value"].isna() & (found["status"] != "no_data")]
    assert not len(silent), set(silent["metric"])
    slack = 1e-9 * found["value"].abs()
    outside = found[(found["lower"] > found["value"] + slack) | (found["upper"] < found["value"] - slack)]
    assert not len(outside), set(outside["metric"])


@pytest.mark.parametrize("part", range(4))
def test_any_predictions_with_any_options_give_a_sound_report_or_one_line(part, tmp_path):
    reports, refused = 0, []
    for seed in range(part, SEEDS, 4):
        rng = np.random.default_rng(seed)
        task = str(rng.choice(["binary", "multiclass", "regression"]))
        classes = rng.choice(NAMES, int(rng.integers(2, 5)), replace=False)
        current = table(rng, task, classes)
        reference = table(rng, task, classes) if rng.random() < 0.85 else None
        try:
            report = gpumon.evaluate(current, reference, **options(rng, task, classes))
        except GpumonError as error:
            refused.append(str(error))
            continue
        sound(report)
        reports += 1
        for kind in ("html", "json") if reports % 3 == 0 else ():
            report.save(tmp_path / f"report.{kind}")
            assert "<b>x</b>" not in (tmp_path / "report.html").read_text("utf-8")
    assert reports >= SEEDS // 12
    assert not [message for message in refused if "\n" in message]
