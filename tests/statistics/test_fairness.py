"""Rates by group and their gaps, against fairlearn, scikit-learn and scipy on the rows themselves."""

from __future__ import annotations

import fairlearn.metrics as oracle
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn import metrics
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from gpumon.statistics import fairness
from gpumon.statistics.fairness import demographic_parity, equal_opportunity, equalized_odds, gap_change

CONFUSIONS = hnp.arrays(
    np.int64,
    st.tuples(st.integers(1, 3), st.integers(1, 5), st.just(2), st.just(2)),
    elements=st.integers(0, 200),
)


def rows_of(confusion):
    """(true, predicted, group), a row for every count"""
    group, true, predicted = (
        np.repeat(index.ravel(), confusion.ravel()) for index in np.indices(confusion.shape)
    )
    return true, predicted, group


@pytest.fixture(params=range(8))
def confusion(request):
    rng = np.random.default_rng(request.param)
    return rng.integers(1, 120, (rng.integers(2, 7), 2, 2))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (fairness.selection_rate, oracle.selection_rate),
        (fairness.true_positive_rate, oracle.true_positive_rate),
        (fairness.false_positive_rate, oracle.false_positive_rate),
        (fairness.false_negative_rate, oracle.false_negative_rate),
        (fairness.positive_predictive_value, metrics.precision_score),
        (fairness.accuracy, metrics.accuracy_score),
    ],
)
def test_rates_by_group_are_fairlearns(ours, theirs, confusion):
    true, predicted, group = rows_of(confusion)
    frame = oracle.MetricFrame(metrics=theirs, y_true=true, y_pred=predicted, sensitive_features=group)
    np.testing.assert_allclose(ours(confusion).value, frame.by_group.sort_index().to_numpy(float))


def test_the_interval_of_a_rate_is_wilsons(confusion):
    found = fairness.true_positive_rate(confusion, 0.9)
    for group, counts in enumerate(confusion):
        expected = proportion_confint(counts[1, 1], counts[1].sum(), 0.1, "wilson")
        np.testing.assert_allclose([found.lower[group], found.upper[group]], expected)


@pytest.mark.parametrize(
    ("ours", "difference", "ratio"),
    [
        (demographic_parity, oracle.demographic_parity_difference, oracle.demographic_parity_ratio),
        (equal_opportunity, oracle.equal_opportunity_difference, oracle.equal_opportunity_ratio),
        (equalized_odds, oracle.equalized_odds_difference, oracle.equalized_odds_ratio),
    ],
)
def test_gaps_are_fairlearns(ours, difference, ratio, confusion):
    true, predicted, group = rows_of(confusion)
    gap = ours(confusion, smallest=1)
    assert gap.difference.value == pytest.approx(difference(true, predicted, sensitive_features=group))
    assert gap.ratio.value == pytest.approx(ratio(true, predicted, sensitive_features=group))


@pytest.mark.parametrize(
    ("ours", "rate"),
    [
        (demographic_parity, fairness.selection_rate),
        (equal_opportunity, fairness.true_positive_rate),
        (fairness.predictive_equality, fairness.false_positive_rate),
        (fairness.predictive_parity, fairness.positive_predictive_value),
        (fairness.accuracy_parity, fairness.accuracy),
    ],
)
def test_a_gap_lies_between_the_groups_it_names(ours, rate, confusion):
    gap, rates = ours(confusion, smallest=1), rate(confusion).value
    assert (gap.lowest, gap.highest) == (np.argmin(rates), np.argmax(rates))
    assert gap.difference.value == pytest.approx(np.ptp(rates))
    assert gap.ratio.value == pytest.approx(rates.min() / rates.max())


def test_intervals_of_a_gap_are_those_of_its_pair(confusion):
    gap = demographic_parity(confusion, smallest=1, level=0.9)
    selected, rows = confusion[:, :, 1].sum(axis=-1), confusion.sum(axis=(1, 2))
    pair = selected[gap.highest], rows[gap.highest], selected[gap.lowest], rows[gap.lowest]
    expected = confint_proportions_2indep(*pair, method="newcomb", alpha=0.1)
    np.testing.assert_allclose(gap.difference[1:], expected, atol=1e-9)
    low_over_high = confint_proportions_2indep(
        *pair[2:], *pair[:2], compare="ratio", method="score", correction=False, alpha=0.1
    )
    np.testing.assert_allclose(gap.ratio[1:], low_over_high, rtol=1e-5)


def test_p_is_the_chi_square_test_of_the_table(confusion):
    selected, rows = confusion[:, :, 1].sum(axis=-1), confusion.sum(axis=(1, 2))
    expected = stats.chi2_contingency([selected, rows - selected], correction=False).pvalue
    assert demographic_parity(confusion, smallest=1).p == pytest.approx(expected)


def test_small_groups_are_left_out():
    tiny = [[0, 0], [0, 29]]
    confusion = np.array([[[50, 10], [10, 30]], tiny, [[70, 5], [15, 10]]])
    gap, without = demographic_parity(confusion), demographic_parity(confusion[[0, 2]])
    assert (gap.compared, gap.lowest, gap.highest) == (2, 2, 0)
    np.testing.assert_allclose([*gap.difference, gap.p], [*without.difference, without.p])
    assert equal_opportunity(confusion).compared == 1, "25 and 29 positives are too few"
    assert demographic_parity(confusion, smallest=29).highest == 1


@pytest.mark.parametrize("gap_of", [demographic_parity, equal_opportunity, equalized_odds])
def test_one_group_has_no_gap(gap_of):
    gap = gap_of(np.array([[[500, 10], [10, 300]], [[0, 0], [0, 0]]]))
    assert (gap.lowest, gap.highest, gap.compared) == (-1, -1, 1)
    assert np.all(np.isnan([*gap.difference, *gap.ratio, gap.variance, gap.p]))


def test_a_rate_that_is_0_everywhere_has_no_ratio_and_no_difference():
    confusion = np.array([[[50, 0], [50, 0]], [[80, 0], [40, 0]]])
    for gap in (demographic_parity(confusion), equalized_odds(confusion)):
        assert gap.difference.value == 0
        assert np.isnan(gap.ratio.value)
        assert gap.p == 1


def test_half_of_the_odds_is_not_their_equality():
    confusion = np.array([[[0, 50], [50, 50]], [[0, 0], [50, 90]]])
    assert np.isnan(equalized_odds(confusion).difference.value)
    no_false_positive = np.array([[[90, 0], [50, 50]], [[90, 0], [50, 90]]])
    assert np.isnan(equalized_odds(no_false_positive).ratio.value)


@given(CONFUSIONS)
def test_laws_of_gaps(confusion):
    for gap_of in (demographic_parity, equal_opportunity, equalized_odds):
        gap = gap_of(confusion)
        known = gap.lowest >= 0
        assert np.array_equal(known, ~np.isnan(gap.difference.value))
        assert np.all((gap.difference.value >= 0) | ~known)
        assert np.all((gap.difference.lower <= gap.difference.value) | ~known)
        assert np.all((gap.difference.value <= gap.difference.upper) | ~known)
        ratio = gap.ratio.value
        assert np.all((ratio >= 0) & (ratio <= 1) | np.isnan(ratio))
        backwards = gap_of(confusion[:, ::-1])
        np.testing.assert_allclose(gap.difference.value, backwards.difference.value)
        np.testing.assert_allclose(gap.p, backwards.p)
        for index, one in enumerate(confusion):
            np.testing.assert_allclose(gap_of(one).difference.value, gap.difference.value[index])


def draws(rng, rates, rows, times):
    """Confusions (times, groups, 2, 2) of groups with these selection rates; all rows are true negatives."""
    selected = rng.binomial(rows, rates, (times, len(rates)))
    confusion = np.zeros((times, len(rates), 2, 2), np.int64)
    confusion[..., 0, 1], confusion[..., 0, 0] = selected, rows - selected
    return demographic_parity(confusion)


def test_the_interval_of_two_groups_covers_their_difference():
    gap = draws(np.random.default_rng(0), [0.3, 0.5], 100, 4_000)
    signed = np.where(gap.lowest == 0, 1, -1)
    covered = np.where(signed > 0, gap.difference.lower <= 0.2, -gap.difference.upper <= 0.2) & np.where(
        signed > 0, gap.difference.upper >= 0.2, -gap.difference.lower >= 0.2
    )
    assert np.mean(covered) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("rates", [[0.2] * 2, [0.2] * 5, [0.1, 0.3]])
@pytest.mark.parametrize("reference_rows", [200, 100_000])
def test_a_gap_that_has_not_changed_seldom_seems_to(rates, reference_rows):
    rng = np.random.default_rng(1)
    before, after = draws(rng, rates, reference_rows, 4_000), draws(rng, rates, 200, 4_000)
    assert np.mean(gap_change(before, after).p < 0.05) <= 0.06


def test_z_of_a_change_has_unit_spread_where_there_is_a_gap():
    rng = np.random.default_rng(2)
    change = gap_change(draws(rng, [0.1, 0.4], 500, 4_000), draws(rng, [0.1, 0.4], 300, 4_000))
    assert np.std(change.z) == pytest.approx(1, abs=0.05)
    np.testing.assert_allclose(change.p, 2 * stats.norm.sf(np.abs(change.z)))


def test_a_gap_that_has_opened_is_found():
    rng = np.random.default_rng(3)
    change = gap_change(draws(rng, [0.3] * 4, 2_000, 500), draws(rng, [0.3, 0.3, 0.3, 0.2], 1_000, 500))
    assert np.mean(change.p < 0.05) > 0.8
    assert np.mean(change.value) == pytest.approx(0.1, abs=0.03)
