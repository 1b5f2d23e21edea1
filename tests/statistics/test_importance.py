"""Changes of importances, against scikit-learn and scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from sklearn.metrics import ndcg_score

from gpumon.statistics.importance import (
    attribution_mismatch_share,
    importance_ndcg,
    importance_rank_correlation,
    importance_share_distance,
    resampled_importances,
    top_features_overlap,
)

ALL = [importance_ndcg, importance_rank_correlation, top_features_overlap, importance_share_distance]
PAIRS = hnp.arrays(
    np.float64, st.tuples(st.just(2), st.integers(2, 12)), elements=st.integers(0, 5).map(float)
)


@given(PAIRS.filter(lambda pair: np.all(pair.sum(axis=1) > 0)))
def test_ndcg_is_scikit_learns_also_with_ties(pair):
    reference, current = pair
    assert importance_ndcg(reference, current) == pytest.approx(ndcg_score([reference], [current]))


@given(PAIRS.filter(lambda pair: np.all(np.ptp(pair, axis=1) > 0)))
def test_rank_correlation_is_scipys_also_with_ties(pair):
    expected = stats.spearmanr(*pair).statistic
    assert importance_rank_correlation(*pair) == pytest.approx(expected, abs=1e-12)


@given(st.permutations(range(12)), st.permutations(range(12)), st.integers(1, 15))
def test_overlap_is_that_of_sets(first, second, k):
    reference, current = np.array(first) + 1.0, np.array(second) + 1.0
    tops = [set(np.argsort(side)[::-1][:k].tolist()) for side in (reference, current)]
    expected = len(tops[0] & tops[1]) / len(tops[0] | tops[1])
    assert top_features_overlap(reference, current, k) == pytest.approx(expected)


@given(PAIRS.filter(lambda pair: np.all(pair.sum(axis=1) > 0)))
def test_share_distance_is_the_city_block_distance_of_shares(pair):
    first, second = (side / side.sum() for side in pair)
    assert importance_share_distance(*pair) == pytest.approx(np.linalg.norm(first - second, ord=1))


@pytest.mark.parametrize("measure", ALL)
@given(pair=PAIRS, order=st.randoms())
def test_neither_order_nor_unit_nor_sign_matters(measure, pair, order):
    features = list(range(pair.shape[1]))
    order.shuffle(features)
    plain = measure(*pair)
    np.testing.assert_allclose(measure(*pair[:, features]), plain, atol=1e-12)
    np.testing.assert_allclose(measure(-pair[0], 4 * pair[1]), plain, atol=1e-12)
    np.testing.assert_allclose(measure(np.stack(pair), pair[1])[0], plain, atol=1e-12)


@pytest.mark.parametrize(("measure", "same"), list(zip(ALL, [1, 1, 1, 0], strict=True)))
def test_no_change(measure, same):
    importances = np.random.default_rng(0).random((3, 20))
    np.testing.assert_allclose(measure(importances, importances * 2), same, atol=1e-12)


@pytest.mark.parametrize("measure", ALL)
def test_no_importance_is_unknown_and_not_0(measure):
    some = np.array([0.5, 0.3, 0.2])
    for other in (np.zeros(3), np.array([0.5, np.nan, 0.2])):
        assert np.isnan(measure(some, other))
        assert np.isnan(measure(other, some))


def test_a_swap_at_the_top_weighs_more_than_one_at_the_bottom():
    reference = np.array([0.5, 0.25, 0.15, 0.1])
    top, bottom = reference[[1, 0, 2, 3]], reference[[0, 1, 3, 2]]
    assert importance_ndcg(reference, top) < importance_ndcg(reference, bottom) < 1
    assert importance_rank_correlation(reference, top) == importance_rank_correlation(reference, bottom)


def test_resampled_importances_vary_as_means_of_rows_drawn_anew():
    rng = np.random.default_rng(1)
    phi = np.abs(rng.lognormal(0, 1, (40_000, 2)))
    drawn = resampled_importances(phi.mean(axis=0), phi.std(axis=0), np.array([200, 400]), 4_000)
    means = [phi[rng.integers(0, len(phi), (3_000, n)), i].mean(axis=1) for i, n in enumerate((200, 400))]
    for i, found in enumerate(means):
        assert drawn[:, i].mean() == pytest.approx(found.mean(), rel=0.02)
        assert drawn[:, i].std() == pytest.approx(found.std(), rel=0.06)
    assert (resampled_importances(np.zeros(3), np.ones(3), np.ones(3), 50) >= 0).all()


def test_the_share_of_mismatches_is_the_lesser_of_both_readings_of_the_output():
    checks = np.array([[100, 7, 90], [100, 100, 3], [0, 0, 0]])
    found = attribution_mismatch_share(checks)
    assert found.value[:2].tolist() == [0.07, 0.03]
    assert np.isnan(found.value[2])
    expected = stats.binomtest(7, 100).proportion_ci(method="wilson")
    assert (found.lower[0], found.upper[0]) == pytest.approx((expected.low, expected.high))
