"""Measures of a confusion matrix against scikit-learn, statsmodels and scipy; their intervals against sampling."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from sklearn import metrics
from statsmodels.stats.inter_rater import cohens_kappa

from gpumon.statistics import classification

examples = settings(max_examples=80, deadline=None)

matrices = st.integers(2, 5).flatmap(
    lambda k: arrays(np.int64, (k, k), elements=st.integers(0, 30) | st.just(0))
)


def rows_of(confusion):
    """The true and predicted classes of the rows, a line each."""
    true, predicted = np.indices(confusion.shape)
    times = confusion.ravel()
    return np.repeat(true.ravel(), times), np.repeat(predicted.ravel(), times)


def sklearns(function, confusion, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*rows_of(confusion), **options)


@examples
@given(confusion=matrices.filter(np.any))
def test_measures_equal_scikit_learn(confusion):
    labels = np.arange(len(confusion))
    support = classification.true_counts(confusion)
    for beta in (0.5, 1.0, 2.0):
        found = (
            classification.precision(confusion),
            classification.recall(confusion),
            classification.f_beta(confusion, beta),
        )
        expected = sklearns(
            metrics.precision_recall_fscore_support, confusion, beta=beta, labels=labels, zero_division=np.nan
        )
        for ours, theirs in zip(found, expected[:3], strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
        for average, of in (
            ("macro", classification.macro),
            ("weighted", lambda x: classification.weighted(x, support)),
        ):
            expected = sklearns(
                metrics.precision_recall_fscore_support,
                confusion,
                beta=beta,
                labels=labels,
                average=average,
                zero_division=np.nan,
            )
            for ours, theirs in zip(found, expected[:3], strict=True):
                unweighted = average == "weighted" and not support[~np.isnan(ours)].any()  # there: 0
                np.testing.assert_allclose(of(ours), np.nan if unweighted else theirs, rtol=1e-12)
    some = sklearns(
        metrics.precision_recall_fscore_support,
        confusion,
        labels=[1],
        average="micro",
        zero_division=np.nan,
    )
    np.testing.assert_allclose(classification.micro(confusion, np.array([1])), some[:3], rtol=1e-12)
    assert classification.accuracy(confusion) == pytest.approx(sklearns(metrics.accuracy_score, confusion))
    np.testing.assert_allclose(classification.micro(confusion), classification.accuracy(confusion))
    assert classification.balanced_accuracy(confusion) == pytest.approx(
        sklearns(metrics.balanced_accuracy_score, confusion)
    )
    mcc = sklearns(metrics.matthews_corrcoef, confusion)
    found = classification.matthews_correlation(confusion)
    assert found == pytest.approx(mcc, abs=1e-12) or (np.isnan(found) and mcc == 0)
    kappa = sklearns(metrics.cohen_kappa_score, confusion, labels=labels)
    assert classification.cohens_kappa(confusion) == pytest.approx(kappa, nan_ok=True, abs=1e-12)
    tn, fp, fn, tp = np.moveaxis(
        sklearns(metrics.multilabel_confusion_matrix, confusion, labels=labels), 0, -1
    ).reshape(4, -1)
    counts = classification.one_versus_rest(confusion)
    np.testing.assert_array_equal(np.stack(counts), [tp, fp, fn, tn])
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(classification.specificity(confusion), tn / (tn + fp))
        np.testing.assert_allclose(classification.false_positive_rate(confusion), fp / (tn + fp))
        np.testing.assert_allclose(classification.false_negative_rate(confusion), fn / (tp + fn))


EVERY = [
    classification.accuracy,
    classification.precision,
    classification.recall,
    classification.specificity,
    classification.false_positive_rate,
    classification.false_negative_rate,
    classification.f_beta,
    classification.balanced_accuracy,
    classification.matthews_correlation,
    classification.cohens_kappa,
    classification.prior_gap,
]
INTERVALS = {
    classification.accuracy_interval: classification.accuracy,
    classification.precision_interval: classification.precision,
    classification.recall_interval: classification.recall,
    classification.specificity_interval: classification.specificity,
    classification.false_positive_rate_interval: classification.false_positive_rate,
    classification.false_negative_rate_interval: classification.false_negative_rate,
    classification.f_beta_interval: classification.f_beta,
    classification.macro_f1_interval: lambda confusion: classification.macro(
        classification.f_beta(confusion)
    ),
    classification.macro_precision_interval: lambda confusion: classification.macro(
        classification.precision(confusion)
    ),
    classification.macro_false_positive_rate_interval: lambda confusion: classification.macro(
        classification.false_positive_rate(confusion)
    ),
    classification.macro_false_negative_rate_interval: lambda confusion: classification.macro(
        classification.false_negative_rate(confusion)
    ),
    classification.balanced_accuracy_interval: classification.balanced_accuracy,
    classification.matthews_correlation_interval: classification.matthews_correlation,
    classification.cohens_kappa_interval: classification.cohens_kappa,
}


@pytest.mark.parametrize("measure", EVERY)
@examples
@given(confusion=matrices, seed=st.integers(0, 9))
def test_classes_in_another_order_and_weights_change_nothing(measure, confusion, seed):
    order = np.random.default_rng(seed).permutation(len(confusion))
    value, moved = measure(confusion), measure(confusion[np.ix_(order, order)])
    np.testing.assert_allclose(moved, value[order] if value.ndim else value, atol=1e-12)
    np.testing.assert_allclose(measure(confusion * 0.25), value, atol=1e-12)


@pytest.mark.parametrize("measure", EVERY)
def test_leading_axes_broadcast_and_no_rows_give_nan(measure):
    rng = np.random.default_rng(0)
    many = rng.integers(1, 50, (3, 4, 5, 5))
    many[0, 0] = 0
    values = measure(many)
    np.testing.assert_allclose(values[2, 1], measure(many[2, 1]))
    assert np.isnan(values[0, 0]).all()


@pytest.mark.parametrize("interval", INTERVALS)
@examples
@given(confusion=matrices)
def test_an_interval_holds_its_value(interval, confusion):
    found = interval(confusion)
    np.testing.assert_allclose(found.value, INTERVALS[interval](confusion), atol=1e-12)
    known = ~np.isnan(found.lower)
    assert (found.lower <= found.value + 1e-12)[known].all()
    assert (found.value <= found.upper + 1e-12)[known].all()
    assert known[~np.isnan(found.value)].all()


TRUTH = np.array([[0.30, 0.04, 0.02], [0.05, 0.25, 0.06], [0.03, 0.02, 0.23]])


@pytest.mark.parametrize("interval", INTERVALS)
def test_an_interval_holds_the_truth_as_often_as_it_says(interval):
    samples = np.random.default_rng(1).multinomial(250, TRUTH.ravel(), 3_000).reshape(-1, 3, 3)
    found, truth = interval(samples), INTERVALS[interval](TRUTH)
    held = np.mean((found.lower <= truth) & (truth <= found.upper), axis=0)
    np.testing.assert_allclose(held, 0.95, atol=0.025)  # of a share it swings by 0.02, as 250 is finite


@examples
@given(confusion=arrays(np.int64, (3, 3), elements=st.integers(1, 50)))
def test_the_variance_of_kappa_equals_statsmodels(confusion):
    found = classification.cohens_kappa_interval(confusion)
    expected = cohens_kappa(confusion)
    half = stats.norm.isf(0.025) * np.sqrt(expected.var_kappa)
    assert found.lower == pytest.approx(max(expected.kappa - half, -1), abs=1e-9)


@examples
@given(confusion=arrays(np.int64, (3, 3), elements=st.integers(1, 50)), seed=st.integers(0, 99))
def test_the_gradients_of_the_delta_method_are_those_of_finite_differences(confusion, seed):
    """A jackknife of every cell, each by a small step, gives the same variance."""
    confusion = confusion.astype(np.float64)
    for interval in (
        classification.matthews_correlation_interval,
        classification.cohens_kappa_interval,
    ):
        measure, step = INTERVALS[interval], 1e-4
        moved = confusion + step * np.eye(9).reshape(9, 3, 3)
        gradient = ((measure(moved) - measure(confusion)) / step).reshape(3, 3)
        variance = np.sum(confusion * gradient**2)
        found = interval(confusion, level=0.5)
        if found.lower > -1 and found.upper < 1:
            assert found.upper - found.lower == pytest.approx(
                2 * stats.norm.isf(0.25) * np.sqrt(variance), rel=1e-3
            )


@examples
@given(counts=st.lists(st.integers(0, 1_000), min_size=2, max_size=9).filter(any))
def test_shares_of_classes(counts):
    counts = np.array(counts)
    assert classification.entropy(counts) == pytest.approx(stats.entropy(counts, base=2), abs=1e-12)
    assert classification.evenness(counts) == pytest.approx(
        stats.entropy(counts) / np.log(len(counts)), abs=1e-12
    )
    ratio = classification.imbalance_ratio(counts)
    assert ratio == (counts.max() / counts.min() if counts.min() else np.inf)
    np.testing.assert_allclose(classification.class_shares(counts).value, counts / counts.sum())


def test_a_thousand_classes():
    confusion = np.random.default_rng(0).integers(0, 3, (1_000, 1_000))
    for measure in EVERY:
        assert np.isfinite(measure(confusion)).all()
    for interval in INTERVALS:
        assert np.isfinite(np.stack(interval(confusion))).all()
