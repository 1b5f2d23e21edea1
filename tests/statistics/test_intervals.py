"""Intervals against scipy and statsmodels, and how often they hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import proportion

from gpumon.statistics import intervals

examples = settings(max_examples=100, deadline=None)


@st.composite
def counted(draw, largest=10**7):
    n = draw(st.integers(1, largest))
    return draw(st.integers(0, n)), n


def moments(x):
    return np.array([len(x), np.mean(x), np.sum((x - np.mean(x)) ** 2)])


@examples
@given(one=counted(), level=st.floats(0.5, 0.9999))
def test_wilson_equals_statsmodels(one, level):
    found = intervals.wilson(*one, level)
    expected = proportion.proportion_confint(*one, alpha=1 - level, method="wilson")
    assert (found.lower, found.upper) == pytest.approx(expected, abs=1e-12)
    assert 0 <= found.lower <= found.value <= found.upper <= 1


def test_no_rows_give_no_interval():
    for found in (intervals.wilson(0, 0), intervals.share(np.nan, np.nan, 0), intervals.mean(np.zeros(3))):
        assert np.isnan(found).all()
    for found in (
        intervals.difference_of_proportions(0, 0, 3, 5),
        intervals.ratio_of_proportions(0, 0, 3, 5),
    ):
        assert np.isnan(found).all()
    assert np.isnan(intervals.proportion_p(0, 0, 0.5))
    one = intervals.mean(np.array([1.0, 7.0, 0.0]))
    assert one.value == 7
    assert np.isnan([one.lower, one.upper]).all()


@examples
@given(
    x=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    y=st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    level=st.floats(0.5, 0.999),
)
def test_intervals_of_means_equal_scipy(x, y, level):
    x, y = np.array(x), np.array(y)
    if min(np.ptp(x), np.ptp(y)) < 1e-3:
        return
    one = stats.ttest_1samp(x, 0).confidence_interval(level)
    found = intervals.mean(moments(x), level)
    assert (found.lower, found.upper) == pytest.approx((one.low, one.high), rel=1e-9, abs=1e-9)
    two = stats.ttest_ind(y, x, equal_var=False).confidence_interval(level)
    found = intervals.difference_of_means(moments(x), moments(y), level)
    assert (found.lower, found.upper) == pytest.approx((two.low, two.high), rel=1e-9, abs=1e-9)


@examples
@given(first=counted(10**5), second=counted(10**5), level=st.floats(0.5, 0.999))
def test_newcombe_equals_statsmodels(first, second, level):
    found = intervals.difference_of_proportions(*first, *second, level)
    expected = proportion.confint_proportions_2indep(*second, *first, method="newcomb", alpha=1 - level)
    assert (found.lower, found.upper) == pytest.approx(expected, abs=1e-9)
    assert found.lower <= found.value <= found.upper


@pytest.mark.parametrize(
    ("k1", "n1", "k2", "n2"),
    [(30, 100, 45, 100), (3, 20, 9, 17), (99, 100, 97, 100), (5_000, 10**5, 40, 900)],
)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_the_ratio_of_proportions_equals_statsmodels(k1, n1, k2, n2, level):
    found = intervals.ratio_of_proportions(k1, n1, k2, n2, level)
    expected = proportion.confint_proportions_2indep(
        k2, n2, k1, n1, compare="ratio", method="score", correction=False, alpha=1 - level
    )
    assert (found.lower, found.upper) == pytest.approx(expected, rel=1e-5)  # statsmodels' own root finder


@examples
@given(first=counted(1_000), second=counted(1_000))
def test_the_ends_of_a_ratio_are_just_not_rejected(first, second):
    """The chi-square at each finite end is the critical value; turned round, the interval is its inverse."""
    found = intervals.ratio_of_proportions(*first, *second)
    inverse = intervals.ratio_of_proportions(*second, *first)
    if first[0] == second[0] == 0:
        assert (found.lower, found.upper) == (0, np.inf)
        return
    assert found.lower <= found.value <= found.upper
    with np.errstate(divide="ignore"):
        assert (found.lower, found.upper) == pytest.approx((1 / inverse.upper, 1 / inverse.lower), rel=1e-9)
    for end in (found.lower, found.upper):
        if 0 < end < np.inf:
            counts = [np.float64(x) for x in (*first, *second)]
            assert intervals._ratio_score(*counts, end) == pytest.approx(stats.norm.isf(0.025) ** 2, rel=1e-6)


@examples
@given(counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=20).filter(any))
def test_goodman_equals_statsmodels(counts):
    found = intervals.multinomial(np.array(counts))
    expected = proportion.multinomial_proportions_confint(counts, method="goodman")
    np.testing.assert_allclose(np.stack(found[1:], axis=-1), expected, atol=1e-9)


@examples
@given(one=counted(10**4), expected=st.floats(0.01, 0.99))
def test_the_score_test_equals_statsmodels_and_agrees_with_wilson(one, expected):
    p = intervals.proportion_p(*one, expected)
    assert p == pytest.approx(proportion.proportions_ztest(*one, expected, prop_var=expected)[1], abs=1e-9)
    found = intervals.wilson(*one, 0.95)
    if abs(p - 0.05) > 1e-6:
        assert (found.lower <= expected <= found.upper) == (p > 0.05)


def test_a_share_with_the_variance_of_a_share_is_wilsons():
    found, expected = intervals.share(0.3, 0.3 * 0.7 / 50, 50), intervals.wilson(15, 50)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("n", [30, 300])
def test_a_ratio_of_means_holds_as_often_as_it_says(n):
    rng = np.random.default_rng(n)
    a = rng.gamma(4, 1, (4_000, n))
    b = a / 2 + rng.gamma(4, 1, (4_000, n))
    centred = [x - x.mean(axis=-1, keepdims=True) for x in (a, b)]
    sums = [np.vecdot(x, y) for x, y in ((centred[0],) * 2, (centred[1],) * 2, centred)]
    found = intervals.ratio_of_means(n, a.mean(axis=-1), b.mean(axis=-1), *sums)
    held = np.mean((found.lower <= 4 / 6) & (found.upper >= 4 / 6))
    assert held == pytest.approx(0.95, abs=0.025)


def test_the_difference_of_two_intervals_holds_as_often_as_it_says():
    rng = np.random.default_rng(3)
    k1, k2 = rng.binomial(40, 0.9, 4_000), rng.binomial(25, 0.75, 4_000)
    found = intervals.difference(intervals.wilson(k1, 40), intervals.wilson(k2, 25))
    assert np.mean((found.lower <= -0.15) & (found.upper >= -0.15)) == pytest.approx(0.95, abs=0.02)


def test_a_normal_interval_is_cut_at_its_ends():
    found = intervals.normal([0.99, 0.5], 0.01, smallest=0.0, largest=1.0)
    assert found.upper.tolist() == pytest.approx([1.0, 0.5 + 0.1 * stats.norm.isf(0.025)])
