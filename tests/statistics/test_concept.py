"""Tests of P(y | score) against statsmodels and scipy; the parts of a change of loss against reweighted rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable

from gpumon.statistics import concept

examples = settings(max_examples=80, deadline=None)

tables = st.integers(1, 6).flatmap(
    lambda strata: arrays(np.int64, (strata, 2, 2), elements=st.integers(1, 60))
)


@examples
@given(counts=tables, level=st.floats(0.5, 0.99))
def test_the_stratified_test_and_the_odds_ratio_equal_statsmodels(counts, level):
    expected = StratifiedTable(np.moveaxis(counts, 0, -1).astype(np.float64))
    test, null = concept.cochran_mantel_haenszel(counts), expected.test_null_odds(correction=False)
    assert test.statistic == pytest.approx(null.statistic, rel=1e-9, abs=1e-9)
    assert test.p == pytest.approx(null.pvalue, rel=1e-9)
    ratio = concept.common_odds_ratio(counts, level)
    assert ratio.value == pytest.approx(expected.oddsratio_pooled, rel=1e-9)
    assert (ratio.lower, ratio.upper) == pytest.approx(expected.oddsratio_pooled_confint(1 - level), rel=1e-9)


@examples
@given(counts=tables, empty=st.integers(0, 1))
def test_strata_that_one_sample_leaves_empty_tell_nothing(counts, empty):
    more = np.concatenate([counts, np.zeros((2, 2, 2), np.int64)])
    more[-1, empty] = [7, 9]
    for test in (concept.cochran_mantel_haenszel, concept.conditional_chi_square, concept.common_odds_ratio):
        np.testing.assert_allclose(np.stack(test(more)), np.stack(test(counts)), rtol=1e-12)


@examples
@given(
    counts=st.integers(1, 5).flatmap(
        lambda strata: arrays(np.int64, (strata, 2, 3), elements=st.integers(0, 40))
    )
)
def test_the_conditional_chi_square_is_the_sum_over_strata(counts):
    statistic = dof = 0
    for stratum in counts:
        table = stratum[:, stratum.any(axis=0)]
        if table.any(axis=1).all():
            part = stats.chi2_contingency(table, correction=False)
            statistic, dof = statistic + part.statistic, dof + part.dof
    found = concept.conditional_chi_square(counts)
    if counts.any(axis=-1).all(axis=-1).any():
        assert (found.statistic, found.dof) == pytest.approx((statistic, dof), rel=1e-9, abs=1e-9)
        assert found.p == pytest.approx(stats.chi2.sf(statistic, dof) if dof else 1.0, rel=1e-9)
    else:
        assert np.isnan(np.stack(found)).all()


def moments(values, cells, count):
    found = np.zeros((count, 3))
    for cell in range(count):
        x = values[cells == cell]
        if len(x):
            found[cell] = len(x), x.mean(), np.sum((x - x.mean()) ** 2)
    return found


@st.composite
def losses(draw, largest=5):
    n = draw(st.integers(1, 40))
    cells = draw(arrays(np.int64, n, elements=st.integers(0, largest)))
    return draw(arrays(np.float64, n, elements=st.floats(0, 10).map(lambda x: round(x, 3)))), cells


@examples
@given(one=losses(), two=losses())
def test_mantels_test_is_that_of_dealing_rows_out_at_random(one, two):
    """Mean and variance of the current's sum in a stratum, straight from the rows of both."""
    excess = variance = 0.0
    for cell in range(6):
        x, y = one[0][one[1] == cell], two[0][two[1] == cell]
        if len(x) and len(y):
            both = np.concatenate([x, y])
            excess += y.sum() - len(y) * both.mean()
            variance += len(x) * len(y) / len(both) * both.var(ddof=1)
    found = concept.mantel(moments(*one, 6), moments(*two, 6))
    if variance > 1e-9:
        assert found.statistic == pytest.approx(excess**2 / variance, rel=1e-6, abs=1e-9)
        assert found.p == pytest.approx(stats.chi2.sf(found.statistic, 1), rel=1e-9)


def test_the_tests_hold_their_level_and_the_odds_ratio_its_interval():
    rng = np.random.default_rng(0)
    rate = np.array([0.1, 0.3, 0.5, 0.8])
    shares = [[0.4, 0.3, 0.2, 0.1], [0.1, 0.2, 0.3, 0.4]]
    sizes = np.stack([rng.multinomial(400, share, 3_000) for share in shares], axis=-1)
    positives = rng.binomial(sizes, rate[:, None])
    counts = np.stack([sizes - positives, positives], axis=-1)
    for test in (concept.cochran_mantel_haenszel, concept.conditional_chi_square):
        assert np.mean(test(counts).p < 0.05) == pytest.approx(0.05, abs=0.02)
    ratio = concept.common_odds_ratio(counts)
    assert np.mean((ratio.lower <= 1) & (ratio.upper >= 1)) == pytest.approx(0.95, abs=0.02)


def test_a_change_that_turns_round_is_seen_by_the_conditional_test_only():
    counts = np.array([[[80, 20], [60, 40]], [[60, 40], [80, 20]]])
    assert concept.cochran_mantel_haenszel(counts).p > 0.9
    assert concept.conditional_chi_square(counts).p < 1e-3


@examples
@given(one=losses(), two=losses())
def test_the_covariate_part_is_that_of_reweighted_rows_and_the_parts_add_up(one, two):
    found = concept.loss_change(moments(*one, 6), moments(*two, 6))
    assert found.total.value == pytest.approx(two[0].mean() - one[0].mean(), abs=1e-9)
    assert (found.covariate.value + found.concept.value + found.unsupported) == pytest.approx(
        found.total.value, abs=1e-9
    )
    held = np.isin(two[1], one[1])
    assert found.unsupported_share == pytest.approx(1 - held.mean())
    ratio = np.array([np.mean(two[1] == cell) / np.mean(one[1] == cell) for cell in one[1]])
    reweighted = np.mean(ratio * one[0]) + (1 - held.mean()) * one[0].mean()
    assert found.covariate.value == pytest.approx(reweighted - one[0].mean(), abs=1e-9)
    for part in found[:3]:
        assert part.lower <= part.value <= part.upper


@examples
@given(one=losses())
def test_equal_samples_have_no_change(one):
    found = concept.loss_change(moments(*one, 6), moments(*one, 6))
    for part in (found.total, found.covariate, found.concept):
        assert part.value == pytest.approx(0, abs=1e-12)
    assert found.unsupported_share == 0


def test_the_parts_hold_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(1)
    before, after = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    mean = np.array([[1.0, 2.0, 4.0], [1.0, 2.5, 4.5]])

    def sampled(shares, mean, rows):
        counts = rng.multinomial(rows, shares, 1_500).astype(np.float64)
        means = rng.normal(mean, 1 / np.sqrt(counts))
        return np.stack([counts, means, rng.chisquare(counts - 1)], axis=-1)

    found = concept.loss_change(sampled(before, mean[0], 300), sampled(after, mean[1], 200))
    truth = {
        "total": after @ mean[1] - before @ mean[0],
        "covariate": (after - before) @ mean[0],
        "concept": after @ (mean[1] - mean[0]),
    }
    for name, value in truth.items():
        part = getattr(found, name)
        assert np.mean((part.lower <= value) & (value <= part.upper)) == pytest.approx(0.95, abs=0.02)


def test_no_rows_give_nan():
    nothing, some = np.zeros((2, 4, 3)), np.ones((2, 4, 3))
    for sides in ((nothing, some), (some, nothing)):
        found = concept.loss_change(*sides)
        assert np.isnan(np.stack(found[:3])).all()
        assert np.isnan(np.stack(found[3:])).all()
    assert np.isnan(np.stack(concept.mantel(nothing, some))).all()
    assert np.isnan(np.stack(concept.conditional_chi_square(np.zeros((3, 2, 2))))).all()


@examples
@given(counts=tables)
def test_the_shift_of_the_odds_is_their_logarithm(counts):
    ratio, shift = concept.common_odds_ratio(counts), concept.log_odds_shift(counts)
    assert tuple(shift) == pytest.approx(tuple(np.log(end) for end in ratio))


def test_the_concept_share_is_that_of_the_reference_loss():
    rng = np.random.default_rng(0)
    cell, later = rng.integers(0, 4, 4000), rng.integers(0, 4, 3000)
    before, after = rng.exponential(1 + cell), rng.exponential(1.5 + later)

    def moments(cells, x):
        parts = [x[cells == k] for k in range(4)]
        return np.array([(p.size, p.mean(), p.var() * p.size) for p in parts])

    reweighted = np.mean([before[cell == k].mean() for k in later])
    share = concept.concept_share(moments(cell, before), moments(later, after))
    assert share.value == pytest.approx((after.mean() - reweighted) / before.mean())
    assert share.lower < 0.5 / 2.5 < share.upper
    nothing = concept.concept_share(np.zeros((4, 3)), moments(later, after))
    assert np.isnan(nothing.value)


@pytest.mark.parametrize("parts", [2, 5])
def test_cramers_v_within_strata_is_that_of_scipys_tables(parts):
    rng = np.random.default_rng(parts)
    tables = rng.integers(20, 90, (7, 4, 2, parts))
    found = concept.conditional_cramers_v(tables)
    for i, strata in enumerate(tables):
        each = [stats.chi2_contingency(table, correction=False) for table in strata]
        statistic, dof = sum(one.statistic for one in each), sum(one.dof for one in each)
        assert found.value[i] == pytest.approx(np.sqrt(statistic / strata.sum()))
        assert found.dof[i] == dof
        assert found.p[i] == pytest.approx(stats.chi2.sf(statistic, dof))


def test_cramers_v_within_strata_exceeds_its_limit_as_often_as_said_with_rare_parts_too():
    rng = np.random.default_rng(3)
    shares = np.array([[0.9, 0.09, 0.008, 0.002], [0.25, 0.25, 0.25, 0.25], [0.0, 0.001, 0.5, 0.499]])
    sizes = np.array([300, 150, 200])
    sides = [
        np.stack([rng.multinomial(k * sizes[i], shares[i], 40_000) for i in range(3)], 1) for k in (3, 1)
    ]
    found = concept.conditional_cramers_v(np.stack(sides, axis=-2))
    for level in (0.05, 0.001):
        assert 0.4 * level < np.mean(found.value > found.critical(level)) < 2 * level


def test_without_rows_on_both_sides_nothing_is_known_within_strata():
    found = concept.conditional_cramers_v(np.array([[[50, 50], [0, 0]]]))
    assert np.isnan(found.value)
    assert np.isnan(found.p)


@pytest.mark.parametrize("ordered", [True, False])
def test_a_prediction_shift_that_no_one_made_is_called_so_as_often_as_said(ordered):
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.ones(5), 6)
    sides = [np.stack([rng.multinomial(n, p, 20_000) for p in shares], 1) for n in (400, 150)]
    found = concept.prediction_shift(np.stack(sides, axis=-2), ordered=ordered)
    assert np.all(found.parts >= 3)
    assert np.mean(found.p < 0.05) < 0.055
    assert np.mean(found.p < 0.001) < 0.0016
