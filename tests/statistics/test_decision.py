"""Thresholds from counts by score, against the scores themselves and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, precision_score, recall_score

from gpumon.statistics.decision import (
    at_threshold,
    positive_rate,
    precision_restoring,
    rate_restoring,
    share_near,
    threshold_for_precision,
    threshold_for_rate,
    threshold_in_force,
)

CELLS = 100
EDGES = np.linspace(0, 1, CELLS + 1)


def cells(scores, edges=EDGES):
    return np.histogram(scores, edges)[0]


def scored(seed, rows=2_000):
    rng = np.random.default_rng(seed)
    labels = rng.random(rows) < 0.3
    return np.clip(rng.beta(2, 4, rows) + 0.25 * labels, 0, 1), labels


def predicted(scores, threshold, edges=EDGES):
    decided = scores >= threshold
    return cells(scores[~decided], edges), cells(scores[decided], edges)


@given(st.floats(0.05, 0.95), st.integers(0, 100))
def test_the_threshold_in_force_is_bracketed(threshold, seed):
    scores, _ = scored(seed)
    found = threshold_in_force(*predicted(scores, threshold), EDGES)
    assert found.contradictions == 0
    assert found.holds(threshold)
    decided = scores >= threshold
    largest, smallest = scores[~decided].max(initial=-np.inf), scores[decided].min(initial=np.inf)
    # the cells of the largest score with ŷ = 0 and of the smallest with ŷ = 1
    assert found.lower <= largest
    assert found.upper >= smallest
    if decided.any() and not decided.all():
        assert found.lower >= largest - 1.0001 / CELLS
        assert found.upper <= smallest + 1.0001 / CELLS


def test_a_threshold_that_was_changed_in_code_is_seen():
    scores, _ = scored(0)
    found = threshold_in_force(*predicted(scores, 0.6), EDGES)
    assert not found.holds(0.5)
    assert found.upper - found.lower <= 0.0201


def test_predictions_that_no_threshold_explains_are_counted():
    scores, _ = scored(1)
    decided = scores >= 0.5
    overruled = np.flatnonzero(np.abs(scores - 0.5) > 0.1)[::50]
    decided[overruled] ^= True
    found = threshold_in_force(cells(scores[~decided]), cells(scores[decided]), EDGES)
    assert found.contradictions == len(overruled)
    assert found.lower <= 0.5 <= found.upper
    assert not found.holds(0.5)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=8))
def test_contradictions_are_the_fewest_that_a_threshold_leaves(rows):
    negative, positive = np.array(rows).T
    edges = np.arange(len(rows) + 1.0)
    found = threshold_in_force(negative, positive, edges)
    # by hand: a threshold below all cells, in one of them, or above all
    cuts = {-1: negative.sum(), len(rows): positive.sum()}
    cuts |= {i: positive[:i].sum() + negative[i + 1 :].sum() for i in range(len(rows))}
    assert found.contradictions == min(cuts.values())
    best = [i for i, wrong in cuts.items() if wrong == min(cuts.values())]
    assert found.lower == (edges[min(best)] if min(best) >= 0 else -np.inf)
    assert found.upper == (edges[max(best) + 1] if max(best) < len(rows) else np.inf)


def test_one_sided_predictions_leave_the_bracket_open():
    some, none = np.array([1, 2, 3]), np.zeros(3, np.int64)
    edges = np.array([0.0, 0.1, 0.2, 0.3])
    assert threshold_in_force(some, none, edges)[:2] == (pytest.approx(0.2), np.inf)
    assert threshold_in_force(none, some, edges)[:2] == (-np.inf, pytest.approx(0.1))
    assert threshold_in_force(none, none, edges)[:2] == (-np.inf, np.inf)


@given(st.floats(-0.1, 1.1), st.floats(0, 0.5), st.integers(0, 50))
def test_shares_lie_within_their_bounds(threshold, delta, seed):
    scores, _ = scored(seed, rows=150)
    scores[:20] = np.round(scores[:20], 1)
    edges = np.linspace(0, 1, 11)
    counts = cells(scores, edges)
    rate, near = positive_rate(counts, edges, threshold), share_near(counts, edges, threshold, delta)
    assert rate.lower <= rate.value <= rate.upper
    assert rate.lower <= np.mean(scores >= threshold) <= rate.upper
    inside = (scores >= threshold - delta) & (scores < threshold + delta)
    assert near.lower <= near.value <= near.upper
    assert near.lower <= np.mean(inside) <= near.upper


def test_shares_are_exact_on_edges_of_powers_of_two():
    scores, _ = scored(3)
    edges = np.linspace(0, 1, 65)
    rate = positive_rate(cells(scores, edges), edges, 0.25)
    assert rate.lower == rate.upper == np.mean(scores >= 0.25)
    near = share_near(cells(scores, edges), edges, 0.5, 0.125)
    assert near.lower == near.upper == np.mean((scores >= 0.375) & (scores < 0.625))


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.33, 0.9])
def test_the_threshold_for_a_rate_restores_it(rate):
    scores, _ = scored(4)
    counts = cells(scores)
    found = threshold_for_rate(counts, EDGES, rate)
    assert found.rate == pytest.approx(np.mean(scores >= found.threshold))
    assert abs(found.rate - rate) <= counts.max() / counts.sum() / 2
    every = [np.mean(scores >= edge) for edge in EDGES]
    assert abs(found.rate - rate) == pytest.approx(np.min(np.abs(np.array(every) - rate)))
    assert np.isnan(found.precision)


@pytest.mark.parametrize("precision", [0.35, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("seed", range(3))
def test_the_threshold_for_a_precision_is_scikit_learns(precision, seed):
    scores, labels = scored(seed, rows=500)
    values = np.unique(scores)
    edges = np.append(values, np.inf)
    found = threshold_for_precision(
        cells(scores[~labels], edges), cells(scores[labels], edges), edges, precision
    )
    curve, recall, thresholds = precision_recall_curve(labels, scores)
    place = np.argmax(curve[:-1] >= precision)
    if curve[place] < precision:
        assert np.all(np.isnan(found))
        return
    assert found.threshold == thresholds[place]
    assert found.precision == pytest.approx(curve[place])
    assert found.recall == pytest.approx(recall[place])


def test_measures_at_a_threshold_are_scikit_learns():
    scores, labels = scored(6)
    edges = np.linspace(0, 1, 65)
    counts = cells(scores[~labels], edges), cells(scores[labels], edges)
    found = at_threshold(*counts, edges, np.array([0.25, 0.5]))
    for index, threshold in enumerate([0.25, 0.5]):
        decided = scores >= threshold
        expected = [
            threshold,
            decided.mean(),
            precision_score(labels, decided),
            recall_score(labels, decided),
        ]
        np.testing.assert_allclose([part[index] for part in found], expected)


def test_what_cannot_be_reached_or_known_is_nan():
    none, some = np.zeros(4, np.int64), np.array([4, 3, 2, 1])
    edges = np.linspace(0, 1, 5)
    assert np.all(np.isnan(threshold_for_precision(some, none, edges, 0.5)))
    assert np.all(np.isnan(threshold_for_rate(none, edges, 0.5)))
    assert np.all(np.isnan(positive_rate(none, edges, 0.5)))
    assert np.all(np.isnan(share_near(none, edges, 0.5, 0.1)))


def test_segments_are_computed_together():
    sides = [predicted(scored(seed)[0], threshold) for seed, threshold in ((0, 0.3), (1, 0.7))]
    negative, positive = (np.stack(side) for side in zip(*sides, strict=True))
    together = threshold_in_force(negative, positive, EDGES)
    for index, (zeros, ones) in enumerate(sides):
        for all_of, one in zip(together, threshold_in_force(zeros, ones, EDGES), strict=True):
            assert all_of[index] == one
    rates = threshold_for_rate(negative + positive, EDGES, 0.2)
    assert rates.rate.shape == (2,)


@given(st.integers(0, 200), st.floats(0.3, 0.95))
def test_the_threshold_that_restores_precision_brackets_that_of_scikit_learn(seed, precision):
    scores, labels = scored(seed)
    found = precision_restoring(cells(scores[~labels]), cells(scores[labels]), EDGES, precision)
    reached, _, thresholds = precision_recall_curve(labels, scores)
    exact = thresholds[np.flatnonzero(reached[:-1] >= precision)]
    if np.isnan(found.value):
        return
    assert found.lower <= exact[0]
    # scikit-learn's is a score: of the scores from the edge on the lowest
    assert exact[0] <= scores[scores >= found.upper].min()


@given(st.integers(0, 200), st.floats(0.01, 0.99))
def test_the_threshold_that_restores_the_volume_is_the_scores_quantile(seed, rate):
    scores, _ = scored(seed)
    found = rate_restoring(cells(scores), EDGES, rate)
    exact = np.sort(scores)[::-1][int(np.ceil(rate * scores.size)) - 1]
    assert found.lower <= found.value <= found.upper
    assert found.lower <= exact <= found.upper or np.mean(scores >= found.value) == pytest.approx(rate)


def test_without_rows_no_threshold_restores_anything():
    none = np.zeros(CELLS, np.int64)
    assert np.isnan(rate_restoring(none, EDGES, 0.3)).all()
    assert np.isnan(precision_restoring(none, none, EDGES, 0.3)).all()
