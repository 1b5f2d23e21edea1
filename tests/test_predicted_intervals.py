"""Prediction intervals end to end: what the model logs, and what prediction ± a width would hold."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint, proportions_ztest

import gpumon
from gpumon.errors import GpumonError
from gpumon.profiles.intervals import Intervals
from gpumon.reports import models

COLUMNS = {"target": "y", "prediction": "p", "lower": "lo", "upper": "hi"}


def rows(n, seed, *, wide=1.0, noise=1.0):
    """Predictions with intervals that hold 90 % where ``wide`` and ``noise`` are 1."""
    rng = np.random.default_rng(seed)
    p, spread = rng.normal(10, 3, n), rng.gamma(4, 0.25, n)
    reach = 1.6448536 * spread * wide
    return {"y": p + rng.normal(0, noise * spread), "p": p, "lo": p - reach, "hi": p + reach}


def one(report, metric, **where):
    (row,) = report.results.where(metric=metric, **({"window": None, "segment": None} | where))
    return row


def test_intervals_that_hold_what_they_promise_are_ok():
    report = gpumon.evaluate(rows(6000, 1), rows(8000, 0), **COLUMNS)
    assert {row.status for row in report.results.where(id="PD-13")} == {"ok"}
    assert one(report, "interval_coverage").reference == 0.9


def test_coverage_is_judged_against_the_promise():
    current = rows(6000, 1, wide=0.75)
    report = gpumon.evaluate(current, rows(8000, 0), **COLUMNS)
    row = one(report, "interval_coverage")
    held = int(np.sum((current["lo"] <= current["y"]) & (current["y"] <= current["hi"])))
    assert row.value == held / 6000
    assert (row.ci_lower, row.ci_upper) == pytest.approx(proportion_confint(held, 6000, method="wilson"))
    assert row.p_value == pytest.approx(proportions_ztest(held, 6000, 0.9, prop_var=0.9)[1], rel=1e-6)
    assert row.status == "alert"
    assert row.reason.startswith("interval_coverage is down from 0.9 to 0.7")
    width = one(report, "mean_interval_width")
    assert width.value == pytest.approx(np.mean(current["hi"] - current["lo"]))
    assert width.status == "alert"
    shift = one(report, "interval_width_shift")
    sides = [table["hi"] - table["lo"] for table in (rows(8000, 0), current)]
    exact = stats.ks_2samp(*sides)
    assert shift.lower <= exact.statistic <= shift.upper
    assert shift.status == "alert"


def test_noise_that_grows_is_undercoverage_whether_intervals_are_logged_or_not():
    reference, current = rows(8000, 0), rows(6000, 1, noise=1.5)
    report = gpumon.evaluate(current, reference, **COLUMNS)
    for name in ("interval_coverage", "interval_score", "conformal_coverage", "conformal_half_width"):
        assert one(report, name).status == "alert", name
    assert one(report, "mean_interval_width").status == "ok"
    bare = gpumon.evaluate(current, reference, target="y", prediction="p", nominal=0.8)
    size = np.sort(np.abs(reference["y"] - reference["p"]))
    half = size[int(np.ceil(8001 * 0.8)) - 1]
    row = one(bare, "conformal_coverage")
    exact = np.mean(np.abs(current["y"] - current["p"]) <= half)
    assert row.reference == 0.8
    assert row.value == pytest.approx(exact, abs=2e-3)
    needed = one(bare, "conformal_half_width")
    now = np.sort(np.abs(current["y"] - current["p"]))
    assert needed.lower <= now[int(np.ceil(6001 * 0.8)) - 1] <= needed.upper
    assert needed.reference == pytest.approx(half, rel=2e-3)
    assert not list(bare.results.where(metric="interval_coverage"))


def test_ends_that_cross_are_told():
    current = rows(4000, 1)
    current["lo"][:200], current["hi"][:200] = current["hi"][:200].copy(), current["lo"][:200].copy()
    report = gpumon.evaluate(current, rows(8000, 0), **COLUMNS)
    row = one(report, "interval_crossing_share")
    assert row.value == 0.05
    assert row.status == "alert"


def test_intervals_alone_are_predictions_enough():
    table = rows(3000, 3)
    del table["p"]
    report = gpumon.evaluate(table, target="y", lower="lo", upper="hi")
    assert one(report, "labelled_share").value == 1.0
    assert one(report, "interval_coverage").value == pytest.approx(0.9, abs=0.02)
    assert not list(report.results.where(metric="mae"))


def test_windows_without_labels_still_have_widths():
    table = rows(3000, 4)
    table["t"] = np.repeat(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]"), 1000)
    table["y"][2000:] = np.nan
    reference = rows(5000, 5) | {"t": np.full(5000, np.datetime64("2023-12-01"))}
    report = gpumon.evaluate(table, reference, **COLUMNS, timestamp="t", every="1d")
    last = {"window": "2024-01-03"}
    assert one(report, "interval_coverage", **last).status == "no_data"
    assert one(report, "mean_interval_width", **last).n == 1000
    assert one(report, "mean_interval_width", **last).status == "ok"
    assert "interval_coverage by window" in models.charts(report)
    second = slice(1000, 2000)
    held = np.mean((table["lo"] <= table["y"])[second] & (table["y"] <= table["hi"])[second])
    assert one(report, "interval_coverage", window="2024-01-02").value == pytest.approx(held)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 900), max_size=4))
def test_counts_do_not_depend_on_the_partitioning(cuts):
    table, plan = rows(900, 6), gpumon.profile(rows(500, 7), roles=COLUMNS)
    whole = gpumon.profile(table, like=plan).state("", "intervals")
    ends = sorted({0, *cuts, 900})
    parts = [
        gpumon.profile({name: x[a:b] for name, x in table.items()}, like=plan) for a, b in pairwise(ends)
    ]
    summed = sum(parts[::-1], plan.empty()).state("", "intervals")
    for name in ("counts", "tallies", "extremes", "missing"):
        assert (getattr(summed, name) == getattr(whole, name)).all()
    np.testing.assert_allclose(summed.sums, whole.sums, rtol=1e-12)


def test_a_saved_profile_stands_for_its_table(tmp_path):
    reference, current = rows(5000, 0), rows(4000, 1, wide=0.8)
    plan = gpumon.profile(reference, roles=COLUMNS, nominal=0.95)
    assert isinstance(plan.state("", "intervals"), Intervals)
    plan.save(tmp_path / "reference.gpumon")
    loaded = gpumon.Profile.load(tmp_path / "reference.gpumon")
    assert loaded == plan
    direct = gpumon.evaluate(current, reference, **COLUMNS, nominal=0.95)
    saved = gpumon.evaluate(current, loaded)
    for row in direct.results.where(id="PD-13"):
        twin = one(saved, row.metric)
        assert (row.value, row.status) == (twin.value, twin.status)
        assert row.reference == pytest.approx(twin.reference, nan_ok=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"target": "y", "lower": "lo"}, "one column of lower and one of upper ends"),
        ({**COLUMNS, "nominal": 90}, "nominal 90 is no share"),
        ({**COLUMNS, "nominal": float("nan")}, "nominal nan is no share"),
        ({**COLUMNS, "upper": "nowhere"}, "no column 'nowhere'"),
        ({**COLUMNS, "std": "q"}, "stands in the place of lower and upper"),
        ({"target": "y", "score": "p", "std": "q"}, "needs a column of predictions"),
        ({"target": "y", "prediction": "p", "std": "word"}, "is to hold numbers"),
        ({"target": "y", "prediction": "p", "std": 1}, "std must be the name of a column"),
        ({**COLUMNS, "upper": 3}, "upper must be the name of a column"),
        ({**COLUMNS, "upper": "word"}, "is to hold numbers"),
        (
            {"target": "flag", "score": "q", "lower": "lo", "upper": "hi"},
            "are of quantities and not of classes",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, words):
    table = rows(50, 8) | {"word": ["a"] * 50, "flag": [True, False] * 25, "q": [0.2, 0.7] * 25}
    with pytest.raises(GpumonError, match=words) as caught:
        gpumon.evaluate(table, **arguments)
    assert "\n" not in str(caught.value)


def with_std(table, wide=1.0):
    reach = stats.norm.ppf(0.95)
    return {"y": table["y"], "p": table["p"], "sigma": wide * (table["hi"] - table["lo"]) / (2 * reach)}


def test_a_std_makes_the_intervals_that_hold_what_they_promise_of_normal_errors(tmp_path):
    reference, current = rows(8000, 0), rows(6000, 1, wide=0.75)
    ends = gpumon.evaluate(current, reference, **COLUMNS)
    named = {"target": "y", "prediction": "p", "std": "sigma"}
    report = gpumon.evaluate(with_std(current), with_std(reference), **named)
    gpumon.profile(with_std(reference), roles=named).save(tmp_path / "reference.gpumon")
    saved = gpumon.evaluate(with_std(current), gpumon.Profile.load(tmp_path / "reference.gpumon"))
    assert len(ends.results.where(id="PD-13")) >= 5
    for row in ends.results.where(id="PD-13"):
        for other in (report, saved):
            twin = one(other, row.metric)
            assert twin.status == row.status
            assert (twin.value, twin.lower, twin.upper) == pytest.approx(
                (row.value, row.lower, row.upper), abs=5e-3, nan_ok=True
            )
    coverage = one(
        gpumon.evaluate(with_std(rows(20_000, 3)), with_std(reference), **named), "interval_coverage"
    )
    assert coverage.ci_lower < 0.9 < coverage.ci_upper
    wider = gpumon.evaluate(with_std(rows(20_000, 3)), with_std(reference), **named, nominal=0.99)
    assert one(wider, "interval_coverage").value == pytest.approx(0.99, abs=0.003)


def test_a_negative_std_crosses():
    table = with_std(rows(500, 1))
    table["sigma"][:25] *= -1
    table["sigma"][25:30] = np.nan
    report = gpumon.evaluate(table, with_std(rows(500, 0)), target="y", prediction="p", std="sigma")
    row = one(report, "interval_crossing_share")
    assert (row.value, row.n) == (25 / 495, 495)
