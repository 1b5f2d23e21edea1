"""Outliers among errors against scipy's median absolute deviation, NumPy's quantiles and binomial tests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from gpumon.profiles.numeric import around
from gpumon.statistics import outliers
from gpumon.statistics.ecdf import quantile
from gpumon.statistics.regression import absolute_quantile


def cells(values, edges):
    """Counts of finite values as in ``ecdf``, the edges, and the extremes."""
    counts = np.zeros(edges.size + 5, np.int64)
    np.add.at(counts, 1 + np.searchsorted(edges, values, side="right"), 1)
    return counts, edges, np.array([values.min(), values.max()])


FINE = {"elements": st.floats(-4, 4).map(lambda x: round(x, 3))}
Z = 3.5
ROWS = hnp.arrays(np.float64, st.integers(1, 60), **FINE)


def robust_z(values, of):
    """|x − median| in robust standard deviations of other rows."""
    spread = stats.median_abs_deviation(of, scale="normal")
    return np.abs(values - np.median(of)) / spread


@given(ROWS, ROWS)
def test_the_share_of_robust_outliers_lies_within_its_bounds(reference, current):
    coarse = np.linspace(-4, 4, 9)
    limits = outliers.robust_limits(*cells(reference, coarse), Z)
    if stats.median_abs_deviation(reference) == 0:
        return
    exact = np.mean(robust_z(current, reference) > Z)
    found = outliers.share_outside(*cells(current, coarse), limits)
    slack = 1e-9 + np.mean(np.abs(robust_z(current, reference) - Z) < 1e-9)
    assert found.lower - slack <= exact <= found.upper + slack
    assert found.lower <= found.value <= found.upper


@given(ROWS, ROWS)
def test_on_values_with_cells_of_their_own_it_is_what_scipy_finds(reference, current):
    edges = around(np.unique(np.concatenate((reference, current))))
    limits = outliers.robust_limits(*cells(reference, edges), Z)
    spread = stats.median_abs_deviation(reference)
    if spread == 0:
        assert np.isnan(limits).all()
        return
    middle, reach = (
        np.median(reference),
        Z * stats.median_abs_deviation(reference, scale="normal"),
    )
    np.testing.assert_allclose(limits, [[middle - reach, middle + reach]] * 3)
    z = robust_z(current, reference)
    exact = np.mean(z > Z)
    found = outliers.share_outside(*cells(current, edges), limits)
    if not (np.abs(z - Z) < 1e-9).any():
        assert found.lower == found.value == found.upper == pytest.approx(exact)
        expected = proportion_confint(round(exact * len(z)), len(z), method="wilson")
        np.testing.assert_allclose(found[3:], expected, atol=1e-12)


@given(ROWS, st.floats(0, 1))
def test_the_median_absolute_deviation_lies_within_its_bounds(values, level):
    at = cells(values, np.linspace(-4, 4, 9))
    middle = quantile(*at, 0.5)
    found = absolute_quantile(*at, np.asarray(level), middle)
    exact = np.quantile(np.abs(values - np.median(values)), level)
    assert found.lower - 1e-9 <= exact <= found.upper + 1e-9


@given(ROWS, ROWS, st.sampled_from([0.5, 0.9, 0.999]))
def test_the_limit_is_the_smallest_value_that_so_many_do_not_exceed(reference, current, level):
    size, now = np.abs(reference), np.abs(current)
    edges = around(np.unique(np.concatenate((size, now))))
    limits = outliers.quantile_limits(*cells(size, edges), level)
    exact = np.quantile(size, level, method="inverted_cdf")
    np.testing.assert_array_equal(limits, [[-np.inf, exact]] * 3)
    found = outliers.share_outside(*cells(now, edges), limits)
    assert found.lower == found.value == found.upper == np.mean(now > exact)
    coarse = np.linspace(0, 4, 5)
    wide = outliers.quantile_limits(*cells(size, coarse), level)
    assert (wide[:, 1] >= exact).all()
    beyond = outliers.share_outside(*cells(size, coarse), wide)
    assert beyond.lower == beyond.value == beyond.upper <= 1 - level + 1e-12


@given(st.integers(0, 40), st.integers(1, 5000), st.integers(0, 60), st.integers(1, 5000))
def test_more_outliers_are_tested_by_a_binomial(k1, n1, k2, n2):
    found = outliers.more_outliers_p(k1, n1, k2, n2)
    expected = 1.0 if k2 == 0 else stats.binomtest(k2, k1 + k2, n2 / (n1 + n2), "greater").pvalue
    assert found == pytest.approx(expected, rel=1e-9)


@given(st.integers(0, 500), st.integers(1000, 10**7), st.integers(1000, 10**7), st.floats(-9, -1))
def test_the_critical_number_has_the_level(k1, n1, n2, power):
    critical = outliers.more_outliers_critical(10**power, k1, n1, n2)
    assert outliers.more_outliers_p(k1, n1, critical, n2) == pytest.approx(10**power, rel=1e-6)


def test_beyond_the_rth_largest_value_chance_exceeds_no_more_often_than_it_says():
    # the number of new rows beyond the r-th largest of n is beta-binomial
    for r, n, m in ((1, 300, 200), (5, 5000, 900), (40, 2000, 2000)):
        new = stats.betabinom(m, r, n - r + 1)
        for x in range(0, 200, 3):
            exact = new.sf(x - 1)
            if exact < 0.2:
                assert exact <= outliers.more_outliers_p(r - 1, n, x, m) + 1e-9


def test_infinite_errors_are_outside_and_without_rows_there_is_nothing():
    edges, extremes = np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.5])
    limits = outliers.quantile_limits(np.array([0, 0, 9, 1, 0, 0, 0, 0]), edges, extremes, 0.9)
    found = outliers.share_outside(np.array([0, 0, 3, 0, 0, 1, 5, 5]), edges, extremes, limits)
    assert found.lower == found.upper == 0.25
    nothing = np.zeros(8, np.int64), edges, np.array([np.inf, -np.inf])
    with np.errstate(invalid="ignore"):
        assert np.isnan(outliers.share_outside(*nothing, limits)).all()
        assert np.isnan(outliers.quantile_limits(*nothing, 0.9)).all()
        assert np.isnan(outliers.robust_limits(*nothing, Z)).all()
    there = np.array([0, 0, 3, 0, 0, 0, 0, 0])
    assert np.isnan(outliers.share_outside(there, edges, extremes, np.full((3, 2), np.nan)).value)
    assert np.isnan(outliers.more_outliers_p(0, 0, 1, 5))
    assert np.isnan(outliers.more_outliers_critical(0.01, 0, 5, 0))
