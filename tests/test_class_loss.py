"""The log loss of the rows of each class, end to end, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import log_loss

import gpumon

NAMES = ("a", "b", "c")


def binary(n, seed, wrong=0.0, rate=2.0):
    """Calibrated scores; of a part of the positive rows the score is a fifth."""
    r = np.random.default_rng(seed)
    p = r.beta(rate, 5, n)
    y = r.random(n) < p
    p = np.where(y & (r.random(n) < wrong), p / 5, p)
    return {"y": np.where(y, "yes", "no"), "p": p}


def many(n, seed, wrong=0.0):
    r = np.random.default_rng(seed)
    q = r.dirichlet((1, 2, 4), n)
    y = (q.cumsum(axis=1) < r.random((n, 1))).sum(axis=1).clip(0, 2)
    other = (y == 0) & (r.random(n) < wrong)
    q[other] = q[other][:, [2, 1, 0]] * [0.1, 1, 1] + [0.0, 0.0, 0.001]
    q /= q.sum(axis=1, keepdims=True)
    return {"y": np.array(NAMES)[y]} | {f"p_{name}": q[:, i] for i, name in enumerate(NAMES)}


def found(current, reference=None, score="p", **options):
    options = {"target": "y", "score": score, "metrics": ["class_log_loss"]} | options
    return gpumon.evaluate(current, reference, **options)


def one(report, column, **where):
    (row,) = report.results.where(column=column, **({"window": None, "segment": None} | where))
    return row


def test_of_two_classes_it_is_scikit_learns_of_their_rows():
    table = binary(3000, 0)
    report = found(table, positive="yes")
    for name in ("yes", "no"):
        mine = table["y"] == name
        row = one(report, f"y={name}")
        p = table["p"][mine]
        assert row.value == pytest.approx(log_loss(table["y"][mine], np.c_[1 - p, p], labels=["no", "yes"]))
        interval = stats.ttest_1samp(-np.log(p if name == "yes" else 1 - p), 0).confidence_interval()
        assert (row.ci_lower, row.ci_upper) == pytest.approx(tuple(interval))
        assert row.n == mine.sum()
    assert one(found(table, positive="no"), "y=no").value == pytest.approx(
        -np.log(table["p"][table["y"] == "no"]).mean()
    )


def test_of_several_classes_too_and_the_average_is_theirs():
    table = many(3000, 0)
    report = found(table, score="p_")
    q = np.stack([table[f"p_{name}"] for name in NAMES], axis=1)
    losses = []
    for name in NAMES:
        mine = table["y"] == name
        row = one(report, f"y={name}")
        losses.append(log_loss(table["y"][mine], q[mine], labels=NAMES))
        assert row.value == pytest.approx(losses[-1])
        assert row.n == mine.sum()
    average = one(report, None)
    assert (average.value, average.n, average.method) == (
        pytest.approx(np.mean(losses)),
        3000,
        "macro average",
    )


@pytest.mark.parametrize(("table", "score", "column"), [(binary, "p", "y=yes"), (many, "p_", "y=a")])
def test_the_class_that_is_lost_alerts_and_no_other(table, score, column):
    report = found(table(9000, 1, 0.4), table(9000, 0), score)
    alerts = {row.column for row in report.results if row.status == "alert"}
    assert alerts == {column}
    assert one(report, column).reason.startswith("class_log_loss is up from")
    better = found(table(9000, 1), table(9000, 0, 0.4), score)
    assert {row.status for row in better.results} == {"ok"}


@pytest.mark.parametrize("rate", [2.0, 0.1])
def test_unchanged_classes_are_no_alarm_however_few_their_rows(rate):
    reference = gpumon.profile(binary(6000, 0, rate=rate), roles={"target": "y", "score": "p"})
    for seed in range(1, 151):
        current = binary((15, 40, 300, 3000)[seed % 4], seed, rate=rate)
        report = gpumon.evaluate(current, reference, metrics=["class_log_loss"])
        assert {row.status for row in report.results} <= {"ok", "no_data"}, seed


def test_weights_weigh_and_a_class_without_rows_is_no_data():
    table = binary(3000, 2)
    table["w"] = np.random.default_rng(0).integers(0, 4, 3000).astype(float)
    row = one(found(table, weight="w"), "y=yes")
    mine = table["y"] == "yes"
    assert row.value == pytest.approx(np.average(-np.log(table["p"][mine]), weights=table["w"][mine]))
    alone = {name: x[~mine] for name, x in binary(3000, 2).items()}
    report = found(alone, binary(3000, 3))
    row = one(report, "y=yes")
    assert (row.status, row.n, row.reason) == ("no_data", 0, "the labels are all of one class")
    assert one(report, "y=no").status == "ok"
