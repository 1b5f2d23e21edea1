"""Gaps between the mean errors of groups, beside fairlearn, SciPy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import MetricFrame
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import mean_absolute_error
from statsmodels.stats.oneway import anova_oneway

from gpumon.statistics.fairness import gap_change
from gpumon.statistics.mean_parity import mean_parity, welch_anova_p


def moments(groups):
    return np.array([[len(x), np.mean(x), np.sum((x - np.mean(x)) ** 2)] for x in groups])


@st.composite
def samples(draw, least=2):
    seed = draw(st.integers(0, 10_000))
    rng = np.random.default_rng(seed)
    sizes = rng.integers(least, 60, draw(st.integers(2, 6)))
    return [rng.gamma(rng.uniform(0.5, 3), rng.uniform(0.5, 2), size) for size in sizes]


@given(samples())
def test_the_gap_is_that_of_fairlearn(groups):
    error = np.concatenate(groups)
    group = np.repeat(np.arange(len(groups)), [len(x) for x in groups])
    frame = MetricFrame(
        metrics=mean_absolute_error, y_true=np.zeros(error.size), y_pred=error, sensitive_features=group
    )
    gap = mean_parity(moments(groups), smallest=1)
    assert gap.difference.value == pytest.approx(frame.difference())
    assert gap.ratio.value == pytest.approx(frame.ratio())
    assert (gap.lowest, gap.highest) == (frame.by_group.argmin(), frame.by_group.argmax())
    assert gap.ratio.lower <= gap.ratio.value <= gap.ratio.upper


@given(samples())
def test_the_interval_is_welchs_of_the_extreme_pair(groups):
    gap = mean_parity(moments(groups), smallest=1)
    low, high = groups[int(gap.lowest)], groups[int(gap.highest)]
    expected = stats.ttest_ind(high, low, equal_var=False).confidence_interval()
    assert gap.difference.lower == pytest.approx(expected.low)
    assert gap.difference.upper == pytest.approx(expected.high)
    assert gap.variance == pytest.approx(np.var(high, ddof=1) / len(high) + np.var(low, ddof=1) / len(low))


@given(samples(least=4))
def test_the_test_of_all_groups_is_that_of_statsmodels(groups):
    expected = anova_oneway(groups, use_var="unequal", welch_correction=True).pvalue
    assert welch_anova_p(moments(groups)) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_small_groups_are_left_out_and_one_group_has_no_gap():
    few = np.array([[10, 9.0, 1.0], [100, 2.0, 99.0], [50, 3.0, 98.0]])
    gap = mean_parity(few)
    assert (gap.compared, gap.lowest, gap.highest) == (2, 1, 2)
    alone = mean_parity(few[:2])
    assert (alone.compared, alone.lowest, alone.highest) == (1, -1, -1)
    assert np.isnan([alone.difference.value, alone.ratio.value, alone.variance, alone.p]).all()
    assert np.isnan(mean_parity(np.zeros((3, 3))).difference.value)


def test_signed_means_have_a_difference_and_no_ratio():
    gap = mean_parity(np.array([[100, -1.0, 99.0], [100, 2.0, 99.0]]))
    assert gap.difference.value == 3
    assert np.isnan(gap.ratio.value)


def test_leading_axes_are_kept_and_changes_can_be_tested():
    some = np.array([[[100, 1.0, 99.0], [80, 1.5, 99.0]], [[100, 1.0, 99.0], [80, 2.5, 99.0]]])
    gap = mean_parity(some)
    assert gap.difference.value.tolist() == [0.5, 1.5]
    change = gap_change(mean_parity(some[:1]), gap)
    assert change.value.tolist() == [0.0, 1.0]
    assert change.p[0] == 1
    assert change.p[1] < 1e-4


def test_groups_that_do_not_vary():
    same = np.array([[50, 2.0, 0.0], [60, 2.0, 0.0]])
    assert welch_anova_p(same) == 1
    apart = np.array([[50, 2.0, 0.0], [60, 3.0, 0.0]])
    assert welch_anova_p(apart) == pytest.approx(0, abs=1e-12)


def test_where_nothing_differs_p_is_uniform():
    rng = np.random.default_rng(0)
    p = [welch_anova_p(moments([rng.gamma(2, size=n) for n in (40, 60, 90)])) for _ in range(800)]
    assert 0.02 < np.mean(np.array(p) < 0.05) < 0.09
