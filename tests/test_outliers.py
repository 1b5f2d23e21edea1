"""Outliers among the errors of a regression, end to end."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import gpumon
from gpumon.profiles.labels import ROBUST, error_edges

NAMES = ["extreme_error_share", "outlier_share"]
SHAPES = {
    "normal": lambda r, n: r.normal(size=n),
    "long tails": lambda r, n: r.standard_t(3, n),
    "skewed": lambda r, n: r.lognormal(size=n),
    "rounded": lambda r, n: np.round(r.laplace(size=n), 1),
}


def rows(n, seed, shape="normal", wild=0.0):
    """Predictions off by an error, and a part of them ten times as far off."""
    r = np.random.default_rng(seed)
    p = r.normal(10, 3, n)
    e = SHAPES[shape](r, n)
    return {"y": p - np.where(r.random(n) < wild, 10 * e, e), "p": p}


def errors(table):
    return np.asarray(table["p"]) - np.asarray(table["y"])


def one(report, metric, **where):
    (row,) = report.results.where(metric=metric, **({"window": None, "segment": None} | where))
    return row


def found(current, reference, **options):
    return gpumon.evaluate(current, reference, target="y", prediction="p", metrics=NAMES, **options)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", [(700, 500), (20_000, 9000), (90_000, 20_000)])
def test_shares_are_what_numpy_and_scipy_find_on_the_rows(shape, sizes):
    reference, current = rows(sizes[0], 0, shape), rows(sizes[1], 1, shape, wild=0.01)
    report = found(current, reference)
    before, now = errors(reference), errors(current)
    limit = np.quantile(np.abs(before), 0.999, method="inverted_cdf")
    exact = [np.mean(np.abs(e) > limit) for e in (before, now)]
    row = one(report, "extreme_error_share")
    if sizes[0] < 32_768:  # all rows were seen when the cells were cut
        assert row.lower == row.value == row.upper == pytest.approx(exact[1])
        assert row.reference == pytest.approx(exact[0])
    else:
        assert (row.reference, row.value) == pytest.approx(exact, abs=4e-4)
    row = one(report, "outlier_share")
    spread = stats.median_abs_deviation(before, scale="normal")
    exact = [np.mean(np.abs(e - np.median(before)) / spread > 3.5) for e in (before, now)]
    assert row.lower - 1e-12 <= exact[1] <= row.upper + 1e-12
    assert row.upper - row.lower < 0.007
    assert (row.reference, row.value) == pytest.approx(exact, abs=2e-3)
    assert row.ci_lower <= row.value <= row.ci_upper


def test_a_few_wild_errors_alert_and_say_so():
    report = found(rows(9000, 1, wild=0.02), rows(20_000, 0))
    for name in NAMES:
        row = one(report, name)
        assert row.status == "alert", name
        assert row.p_value < 1e-9
        assert row.reason.startswith(f"{name} is up from 0.00")
    fewer = found(rows(9000, 1, wild=0.0), rows(20_000, 0, wild=0.02))
    assert {row.status for row in fewer.results} == {"ok"}  # better is no alert


@pytest.mark.parametrize("shape", SHAPES)
def test_unchanged_errors_are_no_alarm(shape):
    reference = profile(rows(5000, 0, shape))
    for seed in range(1, 76):
        report = gpumon.evaluate(rows((12, 40, 300, 4000)[seed % 4], seed, shape), reference, metrics=NAMES)
        assert {row.status for row in report.results} == {"ok"}, seed


def profile(table):
    return gpumon.profile(table, roles={"target": "y", "prediction": "p"})


def test_windows_and_segments_have_their_own():
    table = rows(6000, 3)
    table["t"] = np.repeat(np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[D]"), 2000)
    table["g"] = np.tile(["north", "south"], 3000)
    table["y"][4000:][1::20] += 30.0  # in the south, on the last day
    reference = rows(20_000, 4) | {
        "t": np.full(20_000, np.datetime64("2023-12-01")),
        "g": ["north", "south"] * 10_000,
    }
    report = found(table, reference, timestamp="t", every="1d", by="g")
    for name in NAMES:
        last = one(report, name, window="2024-01-03", segment="g=south")
        assert last.status == "alert"
        assert last.value == pytest.approx(0.1, abs=2e-3)
        assert one(report, name, window="2024-01-03").value == pytest.approx(0.05, abs=2e-3)
        for calm in ({"window": "2024-01-03", "segment": "g=north"}, {"window": "2024-01-02"}):
            assert one(report, name, **calm).status == "ok"


def test_a_reference_of_which_half_is_right_has_no_robust_spread():
    reference = rows(4000, 0, "long tails")
    reference["y"][::2] = reference["p"][::2]
    reference["y"][1::8] = reference["p"][1::8]
    report = found(rows(500, 1), reference)
    row = one(report, "outlier_share")
    assert (row.status, row.reason) == ("no_data", "undefined: there is nothing to divide by")
    assert one(report, "extreme_error_share").status == "ok"


def test_profiles_of_days_say_the_same_as_their_rows(tmp_path):
    reference, current = profile(rows(8000, 0)), rows(6000, 1, wild=0.01)
    reference.save(tmp_path / "reference.gpumon")
    loaded = gpumon.Profile.load(tmp_path / "reference.gpumon")
    parts = [
        gpumon.profile({name: x[i : i + 1000] for name, x in current.items()}, like=loaded)
        for i in range(0, 6000, 1000)
    ]
    whole = gpumon.evaluate(current, reference, metrics=NAMES)
    summed = gpumon.evaluate(sum(parts[::-1], loaded.empty()), loaded, metrics=NAMES)
    for name in NAMES:
        a, b = one(whole, name), one(summed, name)
        assert (a.value, a.lower, a.upper, a.p_value, a.status) == (
            b.value,
            b.lower,
            b.upper,
            b.p_value,
            b.status,
        )


def test_cells_are_cut_where_the_limits_of_a_sample_are():
    e = np.random.default_rng(0).standard_t(3, 30_000)
    edges, sizes = error_edges(e)
    reach = ROBUST * stats.median_abs_deviation(e, scale="normal")
    for limit in (np.median(e) - reach, np.median(e) + reach):
        assert np.abs(edges - limit).min() < 1e-12
        assert np.sum(np.abs(edges - limit) < 0.05 * reach) >= 7
    usual = np.quantile(np.abs(e), 0.999, method="inverted_cdf")
    assert {usual, np.nextafter(usual, np.inf)} <= set(sizes.tolist())
    for few in (np.zeros(0), np.zeros(7), np.array([1e308, -1e308, 1.7e308])):
        for each in error_edges(few):
            assert np.isfinite(each).all()
            assert (each[1:] > each[:-1]).all()
            assert each.size >= 2
