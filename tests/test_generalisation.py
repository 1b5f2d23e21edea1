"""Generalisation gaps: what the reference had more, end to end, against intervals of the rows themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss, mean_absolute_error, roc_auc_score
from statsmodels.stats.proportion import confint_proportions_2indep

import gpumon
from gpumon.reports import models

GAPS = [
    f"{name}_generalisation_gap" for name in ("accuracy", "auc", "log_loss", "brier_score", "rmse", "mae")
]


def scored(n, seed, noise=0.0):
    r = np.random.default_rng(seed)
    p = r.random(n)
    y = r.random(n) < p
    return {"y": y, "p": np.clip(p + noise * r.normal(size=n), 0.001, 0.999)}


def amounts(n, seed, noise=1.0):
    r = np.random.default_rng(seed)
    p = r.normal(10, 3, n)
    return {"y": p - noise * r.normal(size=n), "p": p}


def one(report, metric, **where):
    (row,) = report.results.where(metric=metric, **({"window": None, "segment": None} | where))
    return row


def found(current, reference, **options):
    return gpumon.evaluate(current, reference, target="y", **({"score": "p", "metrics": GAPS} | options))


def test_the_gap_is_the_references_measure_less_the_current_one():
    train, now = scored(6000, 0), scored(4000, 1, noise=0.3)
    report = found(now, train)
    right = [int(np.sum((table["p"] >= 0.5) == table["y"])) for table in (train, now)]
    row = one(report, "accuracy_generalisation_gap")
    newcombe = confint_proportions_2indep(right[0], 6000, right[1], 4000, method="newcomb")
    assert row.value == pytest.approx(right[0] / 6000 - right[1] / 4000)
    assert (row.ci_lower, row.ci_upper) == pytest.approx(newcombe)
    assert row.ci_lower > 0
    row = one(report, "auc_generalisation_gap")
    aucs = [roc_auc_score(table["y"], table["p"]) for table in (train, now)]
    assert row.lower - 1e-12 <= aucs[0] - aucs[1] <= row.upper + 1e-12
    assert row.ci_lower < row.value < row.ci_upper
    row = one(report, "log_loss_generalisation_gap")
    losses = [log_loss(table["y"], table["p"]) for table in (train, now)]
    assert row.value == pytest.approx(losses[0] - losses[1])
    each = [-np.log(np.where(table["y"], table["p"], 1 - table["p"])) for table in (train, now)]
    welch = stats.ttest_ind(*each, equal_var=False).confidence_interval()
    assert (row.ci_lower, row.ci_upper) == pytest.approx(tuple(welch), rel=0.01)
    assert {(row.status, row.threshold == row.threshold) for row in report.results} == {("ok", False)}
    mae = one(
        found(amounts(3000, 1, 1.3), amounts(5000, 0), prediction="p", score=None), "mae_generalisation_gap"
    )
    errors = [mean_absolute_error(t["y"], t["p"]) for t in (amounts(5000, 0), amounts(3000, 1, 1.3))]
    assert mae.value == pytest.approx(errors[0] - errors[1])
    assert mae.unit == "target"
    assert mae.ci_upper < 0


def test_the_interval_covers_no_gap_as_often_as_it_says():
    hits, n = dict.fromkeys(GAPS[:4], 0), 200
    for seed in range(n):
        report = found(scored(800, 2 * seed), scored(1500, 2 * seed + 1), metrics=GAPS[:4])
        for name in hits:
            row = one(report, name)
            hits[name] += row.ci_lower <= 0 <= row.ci_upper
    assert all(0.91 <= hit / n <= 0.99 for hit in hits.values()), hits


def test_windows_and_segments_have_their_own_and_immature_ones_are_not_ok():
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]")
    table = scored(3000, 3) | {"t": np.repeat(days, 1000), "g": np.tile(["x", "z"], 1500)}
    table["y"] = table["y"].astype(float)
    table["y"][2000:2600] = np.nan
    reference = scored(5000, 4) | {"t": np.full(5000, days[0]), "g": np.tile(["x", "z"], 2500)}
    reference["y"] = reference["y"].astype(float)
    report = found(table, reference, timestamp="t", every="1d", by="g", metrics=[*GAPS, "accuracy"])
    for at in ({"window": "2024-01-02"}, {"segment": "g=x"}, {"window": "2024-01-01", "segment": "g=z"}):
        gap, measure = (one(report, name, **at) for name in (GAPS[0], "accuracy"))
        assert gap.value == pytest.approx(measure.reference - measure.value)
        assert gap.n == measure.n
    assert one(report, GAPS[0], window="2024-01-03").status == "no_data"


def test_without_a_reference_there_is_no_gap_and_none_is_drawn():
    options = {"timestamp": "t", "every": "1d", "target": "y", "score": "p"}
    table = scored(900, 0) | {"t": np.datetime64("2024-01-01") + np.arange(900) % 3}
    bare = gpumon.evaluate(table, **options)
    assert set(GAPS).isdisjoint(bare.results["metric"])
    report = gpumon.evaluate(table, table, **options)
    assert one(report, GAPS[0]).value == 0
    assert not any("generalisation" in name for name in models.charts(report))
    drawn = models.charts(gpumon.evaluate(table, table, metrics=["class_log_loss"], **options))
    for name in ("y=true", "y=false"):
        assert f"class log loss of {name}" in drawn[f"class_log_loss of {name} by window"]
