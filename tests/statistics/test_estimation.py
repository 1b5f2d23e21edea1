"""Estimates without labels against scikit-learn, simulation where the truth is known, and labels that came later."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import special
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from gpumon.statistics import estimation, ranking

DATA = Path(os.environ.get("GPUMON_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
CELLS = 256
THRESHOLD = 100
OF_CLASSES = {
    "accuracy": metrics.accuracy_score,
    "precision": metrics.precision_score,
    "recall": metrics.recall_score,
    "specificity": lambda y, predicted, **how: metrics.recall_score(y, predicted, pos_label=0, **how),
    "f1": metrics.f1_score,
}
OF_SCORES = {"roc_auc": metrics.roc_auc_score, "average_precision": metrics.average_precision_score}
OF_PROBABILITIES = {"brier": metrics.brier_score_loss, "log_loss": metrics.log_loss}
CENTRES = (np.arange(CELLS) + 0.5) / CELLS
MEASURES = (*OF_CLASSES, *OF_SCORES, *OF_PROBABILITIES)

examples = settings(max_examples=60, deadline=None)


def estimate(name, counts, calibration, level=0.95):
    extra = {"threshold": THRESHOLD} if name in OF_CLASSES else {}
    extra |= {"scores": CENTRES} if name in OF_PROBABILITIES else {}
    return getattr(estimation, name)(counts, calibration, **extra, level=level)


def realised(name, negatives, positives):
    """The measure by scikit-learn, of counts by cell that serve as weights."""
    y, cell = np.repeat([0, 1], CELLS), np.tile(np.arange(CELLS), 2)
    weights = np.concatenate([negatives, positives])
    y, cell, weights = y[weights > 0], cell[weights > 0], weights[weights > 0]
    if name in OF_CLASSES:
        return OF_CLASSES[name](y, (cell >= THRESHOLD).astype(int), sample_weight=weights)
    if name in OF_SCORES:
        return OF_SCORES[name](y, cell, sample_weight=weights)
    return OF_PROBABILITIES[name](y, CENTRES[cell], sample_weight=weights)


def truth(slope=6.0, middle=0.45):
    """P(positive | cell) of a model that is not calibrated."""
    return special.expit(slope * (CENTRES - middle))


def cells(rng, rows, a=1.0, b=1.5):
    return np.bincount((rng.beta(a, b, rows) * CELLS).astype(int), minlength=CELLS)


def known(probability):
    """A calibration without error: the truth."""
    return estimation.Calibration(probability, np.arange(len(probability)), np.full(len(probability), 1e18))


def reference(rng, rows=50_000):
    total = cells(rng, rows)
    positives = rng.binomial(total, truth())
    return total - positives, positives


counted = arrays(np.int64, st.integers(1, 30), elements=st.integers(0, 9))


@examples
@given(negatives=counted, data=st.data())
def test_calibration_equals_isotonic_regression_of_scikit_learn(negatives, data):
    positives = data.draw(arrays(np.int64, negatives.shape, elements=st.integers(0, 9)))
    found = estimation.calibrate(negatives, positives)
    cell, total = np.arange(len(negatives)), negatives + positives
    if not total.any():
        assert np.isnan(found.probability).all()
        return
    filled = total > 0
    model = IsotonicRegression(out_of_bounds="clip")
    model.fit(
        cell[filled], (positives / np.maximum(total, 1))[filled], sample_weight=total[filled].astype(float)
    )
    np.testing.assert_allclose(found.probability, model.predict(cell), atol=1e-12)
    blocks = np.bincount(found.block[filled], total[filled])
    np.testing.assert_array_equal(found.rows[filled], blocks[found.block[filled]])


def test_calibration_takes_scores_one_by_one():
    rng = np.random.default_rng(1)
    negatives, positives = rng.integers(0, 5, (2, 2, 3, 20))
    found = estimation.calibrate(negatives, positives)
    for index in np.ndindex(2, 3):
        one = estimation.calibrate(negatives[index], positives[index])
        for many, single in zip(found, one, strict=True):
            np.testing.assert_array_equal(many[index], single)


@pytest.mark.parametrize("name", [name for name in MEASURES if name != "average_precision"])
def test_the_value_is_that_of_the_expected_rows_by_scikit_learn(name):
    rng = np.random.default_rng(2)
    counts, calibration = cells(rng, 3_000, 2.0, 1.0), estimation.calibrate(*reference(rng))
    positives = counts * calibration.probability
    assert estimate(name, counts, calibration).value == pytest.approx(
        realised(name, counts - positives, positives), rel=1e-9
    )


def test_average_precision_is_that_of_the_ranking_measures():
    rng = np.random.default_rng(2)
    counts, calibration = cells(rng, 3_000, 2.0, 1.0), estimation.calibrate(*reference(rng))
    positives = counts * calibration.probability
    found = estimate("average_precision", counts, calibration).value
    bounds = ranking.average_precision(counts - positives, positives)
    assert bounds.lower <= found <= bounds.upper
    assert found == pytest.approx(realised("average_precision", counts - positives, positives), abs=0.002)


@pytest.mark.parametrize("name", MEASURES)
def test_the_errors_are_those_of_simulated_rows(name):
    """Labels drawn given the cells: ``realised_error``; cells drawn as well: ``error``; the calibration is the truth."""
    rng = np.random.default_rng(3)
    shares, p, rows = cells(rng, 10**6) / 10**6, truth(), 2_000
    counts = rng.multinomial(rows, shares)
    given_cells, all_drawn = [], []
    for _ in range(400):
        positives = rng.binomial(counts, p)
        given_cells.append(realised(name, counts - positives, positives))
        fresh = rng.multinomial(rows, shares)
        positives = rng.binomial(fresh, p)
        all_drawn.append(realised(name, fresh - positives, positives))
    found = estimate(name, counts, known(p))
    assert found.realised_error == pytest.approx(np.std(given_cells), rel=0.15)
    assert found.error == pytest.approx(np.std(all_drawn), rel=0.15)
    assert found.value == pytest.approx(np.mean(given_cells), abs=4 * np.std(given_cells) / 20 + 0.002)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "brier"])
def test_a_small_reference_widens_the_error(name):
    """Of a current without sampling error all that is left is the calibration's."""
    rng = np.random.default_rng(4)
    counts = cells(rng, 10**7)
    drawn = [estimate(name, counts, estimation.calibrate(*reference(rng, 1_000))) for _ in range(200)]
    spread = np.std([one.value for one in drawn])
    assert np.mean([one.realised_error for one in drawn]) == pytest.approx(spread, rel=0.35)
    exact = estimate(name, counts, known(truth()))
    assert np.mean([one.realised_error for one in drawn]) > 10 * exact.realised_error


@pytest.mark.parametrize("name", MEASURES)
def test_under_covariate_shift_the_estimate_is_right_and_the_reference_is_not(name):
    rng = np.random.default_rng(5)
    negatives, positives = reference(rng, 200_000)
    calibration = estimation.calibrate(negatives, positives)
    p, covered, drawn = truth(), 0, 100
    population = cells(rng, 10**7, 3.0, 2.0)
    target = realised(name, population * (1 - p), population * p)
    for _ in range(drawn):
        counts = rng.multinomial(5_000, population / population.sum())
        found = estimate(name, counts, calibration)
        covered += bool(found.lower <= target <= found.upper)
    assert covered >= 0.87 * drawn
    assert abs(found.value - target) < abs(realised(name, negatives, positives) - target)


@pytest.mark.parametrize("name", ["accuracy", "roc_auc", "brier"])
def test_under_concept_shift_the_estimate_is_wrong_and_says_nothing(name):
    rng = np.random.default_rng(6)
    calibration = estimation.calibrate(*reference(rng, 200_000))
    counts = cells(rng, 5_000)
    positives = rng.binomial(counts, truth(slope=2.0))  # the score has lost most of its meaning
    found = estimate(name, counts, calibration)
    assert abs(found.value - realised(name, counts - positives, positives)) > 5 * found.realised_error
    assert estimation.unsupported_share(cells(rng, 200_000), counts) < 0.001


def test_intervals_widen_with_the_level_and_leading_axes_are_kept():
    rng = np.random.default_rng(7)
    calibration = estimation.calibrate(*reference(rng))
    counts = np.stack([cells(rng, 500), cells(rng, 5_000)])
    for name in MEASURES:
        narrow, wide = estimate(name, counts, calibration, 0.5), estimate(name, counts, calibration, 0.99)
        assert narrow.value.shape == (2,)
        assert np.all((wide.lower < narrow.lower) & (narrow.upper < wide.upper))
        assert np.all(narrow.realised_error < narrow.error)
        one = estimate(name, counts[1], calibration, 0.5)
        assert [float(part[1]) for part in narrow] == pytest.approx([float(part) for part in one])


def test_what_is_not_defined_is_nan():
    calibration = estimation.calibrate(np.full(CELLS, 5), np.arange(CELLS))
    empty = np.zeros(CELLS, np.int64)
    for name in MEASURES:
        assert all(np.isnan(part) for part in estimate(name, empty, calibration)), name
    below = empty.copy()
    below[:THRESHOLD] = 3
    assert np.isnan(estimation.precision(below, calibration, THRESHOLD).value)
    assert np.isnan(estimation.precision(below, calibration, THRESHOLD).error)


CONFUSION = np.array([[400, 60, 40], [30, 250, 20], [10, 30, 160]])


def test_label_shift_finds_the_shares_of_the_classes():
    rng = np.random.default_rng(8)
    given_true = CONFUSION / CONFUSION.sum(1, keepdims=True)
    priors, covered = np.array([0.2, 0.3, 0.5]), np.zeros(3)
    values = []
    for _ in range(300):
        matrix = np.array([rng.multinomial(n, p) for n, p in zip(CONFUSION.sum(1), given_true, strict=True)])
        found = estimation.label_shift(matrix, rng.multinomial(2_000, priors @ given_true))
        covered += (found.lower <= priors) & (priors <= found.upper)
        values.append(found.value)
    np.testing.assert_allclose(np.mean(values, axis=0), priors, atol=0.01)
    assert np.all(covered >= 0.91 * 300)
    assert np.all(covered < 300)


def test_label_shift_of_the_reference_itself_is_the_reference():
    found = estimation.label_shift(CONFUSION, CONFUSION.sum(0))
    np.testing.assert_allclose(found.value, CONFUSION.sum(1) / CONFUSION.sum())
    stacked = estimation.label_shift(np.stack([CONFUSION, CONFUSION * 2]), CONFUSION.sum(0))
    np.testing.assert_allclose(stacked.value, np.stack([found.value] * 2))


@pytest.mark.parametrize("matrix", [[[5, 5], [0, 0]], [[6, 4], [3, 2]]])
def test_label_shift_needs_predictions_that_depend_on_the_truth(matrix):
    found = estimation.label_shift(np.array(matrix), np.array([3, 4]))
    assert all(np.isnan(part).all() for part in found)


def test_support():
    assert estimation.unsupported_share([10, 3, 0], [1, 1, 2]) == 0.5
    assert estimation.unsupported_share([10, 3, 0], [1, 1, 2], fewest=5) == 0.75
    assert np.isnan(estimation.unsupported_share([1, 1], [0, 0]))
    assert estimation.effective_rows([50, 50], [7, 7]) == pytest.approx(100)
    assert estimation.effective_rows([0, 50], [7, 0]) == 0
    assert np.isnan(estimation.effective_rows([0, 0], [7, 0]))


def test_effective_rows_are_those_of_a_weighted_mean():
    """The variance of a reweighted mean of equal noise is that of so many rows."""
    reference, current = np.array([900, 90, 10]), np.array([10, 20, 70])
    weight = np.repeat(current / reference, reference)
    assert estimation.effective_rows(reference, current) == pytest.approx(
        weight.sum() ** 2 / np.sum(weight**2)
    )


def test_mean_loss_is_the_mean_with_the_error_of_rows():
    rng = np.random.default_rng(9)
    expected = rng.gamma(2.0, 50.0, (400, 800))
    loss = expected + rng.normal(0, 30, expected.shape)
    found = estimation.mean_loss(expected, 900.0)
    back_test = loss.mean(-1) - found.value
    assert np.std(back_test) == pytest.approx(found.realised_error.mean(), rel=0.1)
    assert np.std(loss.mean(-1)) == pytest.approx(found.error.mean(), rel=0.1)
    assert np.mean((found.lower < 100) & (found.upper > 100)) == pytest.approx(0.95, abs=0.04)
    root = estimation.root_mean_loss(expected**2, 0.0)
    np.testing.assert_allclose(root.value, np.sqrt(np.mean(expected**2, axis=-1)))
    assert np.std(root.value) == pytest.approx(root.error.mean(), rel=0.15)
    assert all(np.isnan(part) for part in estimation.mean_loss(np.zeros(0), 1.0))


@pytest.mark.skipif(not (DATA / "car_loan_reference.parquet").exists(), reason="the car loans are not here")
def test_car_loans_whose_labels_came_late():
    """Ten chunks of 5,000; in the last five the AUC falls by 0.011, which is seen without labels."""
    bins = 1024
    learnt = pd.read_parquet(DATA / "car_loan_reference.parquet")
    current = pd.read_parquet(DATA / "car_loan_current.parquet").merge(
        pd.read_parquet(DATA / "car_loan_current_labels.parquet"), on="id"
    )

    def cell(frame):
        return np.minimum((frame["y_pred_proba"].to_numpy() * bins).astype(int), bins - 1)

    positive = learnt["repaid"].to_numpy() > 0
    calibration = estimation.calibrate(
        *(np.bincount(cell(learnt)[of], minlength=bins) for of in (~positive, positive))
    )
    counts = np.stack([np.bincount(chunk, minlength=bins) for chunk in cell(current).reshape(10, -1)])
    threshold = int(cell(current)[current["y_pred"] == 1].min())
    y = current["repaid"].to_numpy().astype(int).reshape(10, -1)
    score = current["y_pred_proba"].to_numpy().reshape(10, -1)
    predicted = current["y_pred"].to_numpy().reshape(10, -1)
    auc = estimation.roc_auc(counts, calibration)
    real = np.array([metrics.roc_auc_score(*chunk) for chunk in zip(y, score, strict=True)])
    assert np.mean(np.abs(auc.value - real)) < 0.003
    assert auc.value[5:].max() < auc.value[:5].min() - 0.005
    assert np.all(np.abs(auc.value - real) < 3 * auc.realised_error)
    for name, measure in OF_CLASSES.items():
        found = getattr(estimation, name)(counts, calibration, threshold)
        real = np.array([measure(*chunk) for chunk in zip(y, predicted, strict=True)])
        assert np.mean(np.abs(found.value[:5] - real[:5])) < 0.006, name


def test_moments_give_what_the_rows_give():
    predicted = np.random.default_rng(0).exponential(size=(3, 400))
    moments = np.stack((np.full(3, 400), predicted.mean(axis=1), 400 * predicted.var(axis=1)), axis=-1)
    for of_moments, of_rows in (
        (estimation.expected_loss, estimation.mean_loss),
        (estimation.expected_root_loss, estimation.root_mean_loss),
    ):
        np.testing.assert_allclose(of_moments(moments, 0.3), of_rows(predicted, 0.3))
    assert np.isnan(estimation.expected_loss(np.array([0.0, np.nan, np.nan]), 0.3).value)


def test_the_ratio_of_realised_to_expected_covers_the_truth():
    hits = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        expected = rng.uniform(1, 3, 300)
        loss = 1.2 * expected * rng.exponential(size=300)
        sums = [300, loss.sum(), expected.sum(), loss @ loss, loss @ expected, expected @ expected]
        found = estimation.realised_over_expected(np.array(sums))
        assert found.value == pytest.approx(loss.mean() / expected.mean())
        # the delta method, on the rows
        error = np.std(loss - found.value * expected, ddof=1) / np.sqrt(300) / expected.mean()
        assert found.upper - found.value == pytest.approx(1.959964 * error, rel=1e-5)
        root = estimation.root_realised_over_expected(np.array(sums))
        np.testing.assert_allclose(np.square(root), found)
        hits += found.lower <= 1.2 <= found.upper
    assert 0.92 <= hits / 400 <= 0.98
    assert np.isnan(estimation.realised_over_expected(np.zeros(6)).value)


def thresholded(before, hit, now):
    """Average thresholded confidence of rows as they are."""
    return float(np.mean(now >= np.quantile(before, 1 - hit.mean(), method="higher")))


@examples
@given(st.integers(0, 10**6), st.integers(5, 400), st.integers(5, 400))
def test_thresholded_confidence_is_that_of_the_rows(seed, n, m):
    rng = np.random.default_rng(seed)
    before, now = rng.beta(3, 1, n).round(2), rng.beta(2, 2, m).round(2)
    hit = rng.random(n) < before
    cells = np.unique(np.concatenate((before, now)))
    wrong, right, counts = (np.searchsorted(cells, x) for x in (before[~hit], before[hit], now))
    wrong, right, counts = (np.bincount(x, minlength=cells.size) for x in (wrong, right, counts))
    taken = estimation.sure_enough(wrong, right, cells)
    assert np.sum((wrong + right) * taken) == pytest.approx(
        hit.sum()
    )  # of the reference itself it is the accuracy
    found = estimation.thresholded_confidence(counts, taken, np.array([hit.mean(), n]))
    # ties at the threshold are taken in part, so the rows' value lies between those of all of them and of none
    at = np.flatnonzero((taken > 0) & (taken < 1))
    none = np.sum(counts[taken == 1]) / m
    whole = none + np.sum(counts[at]) / m
    assert found.lower == pytest.approx(none)
    assert found.upper == pytest.approx(whole)
    assert found.lower <= found.value <= found.upper
    if 0 < hit.sum() < n:
        assert none - 1e-12 <= thresholded(before, hit, now) <= whole + 1e-12


def test_thresholded_confidence_of_nothing_is_nothing():
    nothing, some = np.zeros(3), np.ones(3)
    assert np.isnan(estimation.sure_enough(nothing, nothing, CENTRES[:3])).all()
    taken = estimation.sure_enough(some, some, CENTRES[:3])
    assert np.isnan(estimation.thresholded_confidence(nothing, taken, np.array([0.5, 6.0]))).all()
    mirrored = estimation.sure_enough(np.array([1, 1]), np.array([1, 3]), np.array([0.7, 0.7]))
    assert mirrored[0] == mirrored[1] == pytest.approx(4 / 6)
