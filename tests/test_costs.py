"""What wrong predictions cost, realised and estimated."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import gpumon
from gpumon.errors import OptionError


def rows(n, seed, a=2.0, b=3.0):
    """Calibrated scores of two classes."""
    rng = np.random.default_rng(seed)
    p = rng.beta(a, b, n)
    return {"y": (rng.random(n) < p).astype(int), "p": p}


def one(report, metric):
    (row,) = report.results.where(metric=metric, window=None, segment=None)
    return row


def each(table, costs, threshold=0.5):
    predicted = table["p"] >= threshold
    return np.where(
        predicted & (table["y"] == 0), costs[0], np.where(~predicted & (table["y"] == 1), costs[1], 0.0)
    )


@pytest.mark.parametrize("costs", [(1, 20), {"false_negative": 20, "false_positive": 1}])
def test_the_mean_cost_is_that_of_every_row(costs):
    reference, current = rows(6000, 0), rows(5000, 1)
    report = gpumon.evaluate(current, reference, target="y", score="p", threshold=0.3, costs=costs)
    found, cost = one(report, "mean_cost"), each(current, (1, 20), 0.3)
    student = stats.ttest_1samp(cost, 0).confidence_interval()
    assert (found.value, found.ci_lower, found.ci_upper) == pytest.approx((cost.mean(), *student))
    assert found.reference == pytest.approx(each(reference, (1, 20), 0.3).mean())
    assert (found.id, found.unit, found.status) == ("PD-11", "cost", "ok")
    estimate = one(report, "estimated_cost")
    assert estimate.ci_lower < cost.mean() < estimate.ci_upper


def test_estimates_of_cost_hold_what_they_promise():
    held = 0
    for seed in range(60):
        current = rows(2000, seed + 500, 1.0, 1.0)
        truth = rows(200_000, seed + 900, 1.0, 1.0)
        del current["y"]
        found = one(
            gpumon.evaluate(
                current, rows(3000, seed), target="y", score="p", costs=(3, 1), metrics=["estimated_cost"]
            ),
            "estimated_cost",
        )
        held += found.ci_lower < each(truth, (3, 1)).mean() < found.ci_upper
    assert held >= stats.binom.ppf(0.001, 60, 0.95)


def test_a_rise_of_the_costly_mistakes_alerts_where_accuracy_does_not_move():
    rng = np.random.default_rng(5)

    def table(missed, wrongly, n=20_000):
        y = rng.random(n) < 0.3
        return {"y": y, "yhat": np.where(y, rng.random(n) >= missed, rng.random(n) < wrongly)}

    reference, current = table(0.05, 0.10), table(0.19, 0.04)
    report = gpumon.evaluate(current, reference, target="y", prediction="yhat", costs=(1, 30))
    assert one(report, "accuracy").status == "ok"
    assert one(report, "mean_cost").status == "alert"
    assert not len(report.results.where(metric="estimated_cost"))  # there is no score


def test_windows_and_a_saved_reference(tmp_path):
    day = {"t": np.datetime64("2026-01-01") + np.arange(4000) % 4}
    reference = rows(4000, 0) | day
    gpumon.profile(reference, roles={"target": "y", "score": "p"}, timestamp="t", every="1d").save(
        tmp_path / "reference.gpumon"
    )
    saved = gpumon.Profile.load(tmp_path / "reference.gpumon")
    current = rows(4000, 1) | day
    options = {"costs": (1, 2), "timestamp": "t", "every": "1d"}
    direct = gpumon.evaluate(current, reference, target="y", score="p", **options)
    later = gpumon.evaluate(current, saved, **options)
    assert "costs" not in saved.facts
    for window in {row.window for row in direct.results if row.window}:
        here, there = (
            report.results.where(metric="mean_cost", window=window)["value"] for report in (direct, later)
        )
        assert list(here) == list(there)


def test_unchanged_costs_do_not_alarm():
    for seed in range(40):
        report = gpumon.evaluate(rows(800, seed + 100), rows(800, seed), target="y", score="p", costs=(1, 50))
        assert {one(report, name).status for name in ("mean_cost", "estimated_cost")} == {"ok"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"costs": 3}, "numbers from 0 on"),
        ({"costs": (1, -1)}, "numbers from 0 on"),
        ({"costs": (0, 0)}, "not both 0"),
        ({"costs": (1, float("nan"))}, "numbers from 0 on"),
        ({"costs": {"false_positive": 1}}, "numbers from 0 on"),
        ({"costs": "1,x"}, "numbers from 0 on"),
        ({"metrics": ["mean_cost"]}, "needs costs"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(options, words):
    with pytest.raises(OptionError, match=words) as caught:
        gpumon.evaluate(rows(100, 0), rows(100, 1), target="y", score="p", **options)
    assert "\n" not in str(caught.value)


def test_costs_are_of_two_classes():
    table = {"y": np.array(["a", "b", "c"] * 20), "yhat": np.array(["a", "b", "c"] * 20)}
    with pytest.raises(OptionError, match="of two classes"):
        gpumon.evaluate(table, table, target="y", prediction="yhat", costs=(1, 2))
