"""Confidence from cells against the probabilities themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from gpumon.statistics.confidence import (
    binary_entropy,
    binary_spans,
    confidence_distance,
    confidence_quantile,
    mean_between,
    share_above,
    share_below,
    spans,
)

EDGES = np.append(np.arange(65) / 64, np.nextafter(1.0, 2.0))
SPANS = binary_spans(EDGES)
ON_EDGES = st.integers(0, 64).map(lambda i: i / 64)
PROBABILITIES = arrays(
    np.float64, st.integers(1, 80), elements=st.floats(0, 1) | st.sampled_from([0.4, 0.6]) | ON_EDGES
)


def ks_2samp(p, q):
    with np.errstate(divide="ignore"):  # of its p-value, for a row or two
        return stats.ks_2samp(p, q, method="asymp").statistic


def binned(p):
    return np.histogram(p, EDGES)[0], np.histogram(p, EDGES, weights=p)[0]


@given(PROBABILITIES)
def test_entropy_is_scipys_within_its_ends(p):
    exact = np.mean(stats.entropy(np.stack((p, 1 - p)), base=2))
    found = mean_between(*binary_entropy(*binned(p), EDGES))
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12


def test_the_interval_of_a_mean_is_students():
    x = np.random.default_rng(3).beta(2, 3, 200)
    moments = np.array([200, x.mean(), np.sum((x - x.mean()) ** 2)])
    found = mean_between(moments, np.array([x.mean(), x.mean()]))
    assert (found.ci_lower, found.ci_upper) == pytest.approx(
        stats.ttest_1samp(x, 0).confidence_interval(), rel=1e-12
    )


@given(PROBABILITIES)
def test_a_row_lies_in_the_span_of_its_cell(p):
    cell = np.searchsorted(EDGES, p, side="right") - 1
    sure = np.maximum(p, 1 - p)
    assert (SPANS[0, cell] <= sure).all()
    assert (sure <= SPANS[1, cell]).all()
    plain = spans(EDGES)
    assert (plain[0, cell] <= p).all()
    assert (p <= plain[1, cell]).all()


@given(PROBABILITIES, st.sampled_from([0.05, 0.5, 0.95]))
def test_quantiles_are_numpys_within_their_bounds(p, level):
    exact = np.quantile(np.maximum(p, 1 - p), level, method="inverted_cdf")
    found = confidence_quantile(binned(p)[0], SPANS, level)
    assert found.lower <= exact <= found.upper
    assert found.upper - found.lower <= 2 / 64


@given(PROBABILITIES, st.floats(0.4, 1) | st.sampled_from([0.6, 0.75, 1.0]))
def test_shares_are_counted_within_bounds(p, limit):
    sure = np.maximum(p, 1 - p)
    for found, exact in (
        (share_below(binned(p)[0], SPANS, limit), np.mean(sure < limit)),
        (share_above(binned(p)[0], SPANS, limit), np.mean(sure > limit)),
    ):
        assert found.lower - 1e-12 <= exact <= found.upper + 1e-12
        wilson = proportion_confint(found.value * p.size, p.size, method="wilson")
        assert (found.ci_lower, found.ci_upper) == pytest.approx(wilson, abs=1e-9)


@given(PROBABILITIES, PROBABILITIES)
def test_the_distance_is_scipys_within_its_bounds(p, q):
    exact = ks_2samp(np.maximum(p, 1 - p), np.maximum(q, 1 - q))
    found = confidence_distance(binned(p)[0], binned(q)[0], SPANS)
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12
    assert found.lower <= found.value <= found.upper
    turned = confidence_distance(binned(q)[0], binned(p)[0], SPANS)
    assert turned == pytest.approx(found)
    exact = ks_2samp(p, q)
    found = confidence_distance(binned(p)[0], binned(q)[0], spans(EDGES))
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12


def test_scores_that_are_turned_over_are_as_sure_as_before():
    edges = np.unique([0.0, 0.25, np.nextafter(0.25, 1), 0.5, 0.75, np.nextafter(0.75, 1), 1.0])
    counts = [np.histogram([value] * 9, edges)[0] for value in (0.25, 0.75)]
    found = confidence_distance(*counts, binary_spans(edges))
    assert found == (0.0, 0.0, 0.0)


def test_many_slices_are_each_as_alone():
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 9, (2, 3, 20, 65))
    whole = confidence_distance(*counts, SPANS)
    assert whole.value.shape == (3, 20)
    for i in np.ndindex(3, 20):
        alone = confidence_distance(counts[0][i], counts[1][i], SPANS)
        assert tuple(part[i] for part in whole) == alone


def test_without_rows_there_is_no_confidence():
    none = np.zeros((2, 65))
    for found in (
        mean_between(*binary_entropy(none, none, EDGES)),
        confidence_quantile(none, SPANS, 0.5),
        share_below(none, SPANS, 0.6),
        share_above(none, SPANS, 0.6),
        confidence_distance(none, none + 1, SPANS),
    ):
        assert np.isnan(found).all()


def test_a_sure_and_an_unsure_model():
    def mean(*p):
        return mean_between(*binary_entropy(*binned(np.array(p)), EDGES)).value

    assert mean(0.5, 0.5) == pytest.approx(1)
    assert mean(0.0, 1.0) == 0
