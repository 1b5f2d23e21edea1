"""Predicted intervals against scikit-learn, scipy and statsmodels on the rows; conformal ones against NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import mean_pinball_loss
from statsmodels.stats.proportion import proportion_confint

from gpumon.statistics.prediction_intervals import (
    IntervalSums,
    conformal_coverage,
    conformal_half_width,
    conformal_half_width_interval,
    coverage,
    coverage_p,
    crossing_share,
    interval_sums,
    mean_width,
    winkler_score,
)


def rows(seed=0, n=500):
    rng = np.random.default_rng(seed)
    spread = rng.gamma(4, 0.25, n)
    return -1.645 * spread, 1.645 * spread, rng.normal(0, spread)


@pytest.mark.parametrize("nominal", [0.5, 0.9, 0.95])
def test_the_winkler_score_is_the_pinball_loss_of_both_ends(nominal):
    lower, upper, target = rows()
    tail = (1 - nominal) / 2
    expected = mean_pinball_loss(target, lower, alpha=tail) + mean_pinball_loss(target, upper, alpha=1 - tail)
    found = winkler_score(interval_sums(lower, upper, target, nominal))
    assert found.value == pytest.approx(expected / tail)


def test_the_true_quantiles_have_the_least_score():
    _, upper, target = rows(n=20_000)
    scores = [winkler_score(interval_sums(-upper * f, upper * f, target, 0.9)).value for f in (0.8, 1, 1.25)]
    assert np.argmin(scores) == 1


def test_widths_and_coverage_are_those_of_the_rows():
    lower, upper, target = rows()
    sums = interval_sums(lower, upper, target, 0.9)
    width = upper - lower
    inside = np.sum((lower <= target) & (target <= upper))
    np.testing.assert_allclose(mean_width(sums)[:1], width.mean())
    expected = stats.ttest_1samp(width, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean_width(sums)[1:], expected)
    np.testing.assert_allclose(coverage(sums)[1:], proportion_confint(inside, 500, method="wilson"))
    assert coverage(sums).value == inside / 500
    assert sums.below + sums.above == 500 - inside


def test_the_promise_of_the_right_width_is_kept_and_of_a_narrow_one_is_not():
    lower, upper, target = rows(n=5_000)
    assert coverage_p(interval_sums(lower, upper, target, 0.9), 0.9) > 0.01
    narrow = interval_sums(0.9 * lower, 0.9 * upper, target, 0.9)
    assert coverage_p(narrow, 0.9) < 1e-6
    assert coverage(narrow).upper < 0.9


def test_a_crossing_covers_nothing_and_has_no_width():
    lower, upper, target = rows()
    lower[:20], upper[:20] = upper[:20].copy(), lower[:20].copy()
    target[:20] = 0
    sums = interval_sums(lower, upper, target, 0.9)
    assert (sums.rows, sums.crossings, sums.labelled) == (500, 20, 500)
    assert crossing_share(sums).value == 0.04
    assert mean_width(sums).value == pytest.approx(np.mean((upper - lower)[20:]))
    assert sums.covered == np.sum(((lower <= target) & (target <= upper))[20:])


def test_labels_that_are_yet_to_come_take_no_part():
    lower, upper, target = rows()
    late = np.append(target[:300], np.full(200, np.nan))
    sums, first = (
        interval_sums(lower, upper, late, 0.9),
        interval_sums(lower[:300], upper[:300], target[:300], 0.9),
    )
    assert sums.rows == 500
    for measure in (coverage, winkler_score):
        np.testing.assert_allclose(measure(sums), measure(first))


def test_no_rows_are_unknown():
    sums = interval_sums(np.full(3, np.nan), np.ones(3), np.ones(3), 0.9)
    for measure in (coverage, winkler_score, mean_width, crossing_share):
        assert np.all(np.isnan(measure(sums)))


ROWS = hnp.arrays(
    np.float64, st.tuples(st.integers(0, 20), st.just(3)), elements=st.integers(-9, 9) | st.just(np.nan)
)


@given(ROWS, ROWS)
def test_sums_add(first, second):
    parts = [interval_sums(*part.T, 0.75) for part in (first, second)]
    whole = interval_sums(*np.concatenate([first, second]).T, 0.75)
    added = IntervalSums(*(a + b for a, b in zip(*parts, strict=True)))
    np.testing.assert_array_equal(added, whole, "sums of small integers are exact")
    outside = whole.below + whole.above
    assert whole.covered + outside <= whole.labelled <= whole.rows


RESIDUALS = hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-8, 8, width=32))


@given(RESIDUALS, st.sampled_from([0.3, 0.5, 0.8, 0.9, 0.95]))
def test_the_conformal_half_width_lies_within_its_bounds(residuals, nominal):
    edges = np.linspace(-6, 6, 9)
    cell = np.searchsorted(np.concatenate([[-np.finfo(float).max], edges, [np.inf]]), residuals, side="right")
    counts = np.bincount(cell, minlength=14)
    extremes = np.array([residuals.min(), residuals.max()])
    found = conformal_half_width(counts, edges, extremes, nominal)
    n = len(residuals)
    k = next(k for k in range(n + 2) if k >= (n + 1) * nominal - 1e-9)
    exact = np.sort(np.abs(residuals))[k - 1] if k <= n else np.inf
    assert found.lower <= exact <= found.upper
    assert found.lower <= found.value <= found.upper


def test_cells_of_one_value_are_exact(profiled):
    residuals = np.random.default_rng(0).integers(-6, 7, 200).astype(float)
    distinct = np.unique(residuals)
    edges = np.unique([distinct, np.nextafter(distinct, np.inf)])
    found = conformal_half_width(*profiled(residuals, edges)[:1], edges, profiled(residuals, edges)[1], 0.9)
    expected = np.quantile(np.abs(residuals), np.ceil(201 * 0.9) / 200, method="inverted_cdf")
    np.testing.assert_array_equal(found, expected)


def test_fine_cells_are_close_to_numpys_quantile(profiled):
    residuals = np.random.default_rng(1).standard_t(4, 5_000)
    edges = np.quantile(residuals, np.linspace(0, 1, 1_001)[1:-1])
    counts, extremes = profiled(residuals, edges)
    found = conformal_half_width(counts, edges, extremes, np.array([0.5, 0.9, 0.99]))
    for index, nominal in enumerate([0.5, 0.9, 0.99]):
        exact = np.quantile(np.abs(residuals), np.ceil(5_001 * nominal) / 5_000, method="inverted_cdf")
        assert found.lower[index] <= exact <= found.upper[index]
        assert found.value[index] == pytest.approx(exact, rel=0.02)


def test_new_rows_are_covered_as_promised(profiled):
    rng = np.random.default_rng(2)
    edges = np.linspace(-4, 4, 257)
    held = []
    for _ in range(400):
        counts, extremes = profiled(rng.standard_t(5, 60), edges)
        half = conformal_half_width(counts, edges, extremes, 0.9)
        held.append([np.mean(np.abs(rng.standard_t(5, 500)) <= bound) for bound in half])
    value, lower, upper = np.mean(held, axis=0)
    assert value == pytest.approx(np.ceil(61 * 0.9) / 61, abs=0.01)
    assert lower <= value <= upper
    assert upper >= 0.9 - 0.005


def test_too_few_residuals_promise_nothing_finite(profiled):
    residuals, edges = np.arange(8.0), np.linspace(0, 8, 9)
    counts, extremes = profiled(residuals, edges)
    assert np.all(np.isinf(conformal_half_width(counts, edges, extremes, 0.9)))
    assert np.all(np.isnan(conformal_half_width(np.zeros_like(counts), edges, extremes * np.nan, 0.9)))
    with_infinite = counts + np.bincount([0], minlength=len(counts)) * 5
    assert np.isinf(conformal_half_width(with_infinite, edges, np.array([-np.inf, 7]), 0.8).value)


def cells(values, edges):
    """Counts of finite values as in ``ecdf``."""
    counts = np.zeros(edges.size + 5, np.int64)
    np.add.at(counts, 1 + np.searchsorted(edges, values, side="right"), 1)
    return counts, np.array([values.min(), values.max()])


@given(
    hnp.arrays(np.float64, st.integers(1, 60), elements=st.floats(-4, 4)),
    st.floats(0, 5),
    st.booleans(),
)
def test_conformal_coverage_lies_within_its_bounds(residuals, half_width, signed):
    values = residuals if signed else np.abs(residuals)
    edges = np.linspace(-4, 4, 9)
    counts, extremes = cells(values, edges)
    found = conformal_coverage(counts, edges, extremes, np.array(half_width))
    share = np.mean(np.abs(residuals) <= half_width)
    assert found.lower <= share <= found.upper
    assert found.ci_lower - 1e-12 <= found.value <= found.ci_upper + 1e-12
    fine = np.unique(np.concatenate((values, np.nextafter(values, np.inf))))
    if len(fine) > 1:
        exact = conformal_coverage(*cells_and(values, fine), np.array(half_width))
        assert exact.lower == exact.value == exact.upper == pytest.approx(share)
        expected = proportion_confint(round(share * len(values)), len(values), method="wilson")
        np.testing.assert_allclose(exact[3:], expected, atol=1e-12)


def cells_and(values, edges):
    counts, extremes = cells(values, edges)
    return counts, edges, extremes


def test_the_interval_of_a_half_width_covers_as_often_as_it_says():
    edges, hits = np.linspace(0, 6, 6001), 0
    for seed in range(400):
        sample = np.abs(np.random.default_rng(seed).normal(size=300))
        counts, extremes = cells(sample, edges)
        found = conformal_half_width_interval(counts, edges, extremes, 0.9)
        assert found.ci_lower <= found.lower <= found.value <= found.upper <= found.ci_upper
        hits += found.ci_lower <= stats.norm.ppf(0.95) <= found.ci_upper
    assert 0.93 <= hits / 400 <= 0.98


def test_without_rows_there_is_no_conformal_width_and_no_coverage():
    edges = np.array([0.0, 1.0])
    nothing, extremes = np.zeros(7, np.int64), np.array([np.inf, -np.inf])
    assert np.isnan(conformal_half_width_interval(nothing, edges, extremes, 0.9).value)
    assert np.isnan(conformal_coverage(nothing, edges, extremes, np.array(1.0)).value)
    one, extremes = cells(np.array([0.5]), edges)
    assert np.isnan(conformal_coverage(one, edges, extremes, np.array(np.nan)).value)
    assert conformal_coverage(one, edges, extremes, np.array(np.inf)).value == 1.0
