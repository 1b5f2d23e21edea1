"""Confidence from cells against the probabilities themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gpumon.statistics.confidence import confidence_quantile, low_confidence_share, mean_entropy

EDGES = np.append(np.arange(65) / 64, np.nextafter(1.0, 2.0))
PROBABILITIES = arrays(np.float64, st.integers(1, 80), elements=st.floats(0, 1) | st.sampled_from([0.4, 0.6]))


def binned(p):
    return np.histogram(p, EDGES)[0], np.histogram(p, EDGES, weights=p)[0]


@given(PROBABILITIES)
def test_entropy_is_scipys_within_its_bounds(p):
    exact = np.mean(stats.entropy(np.stack((p, 1 - p)), base=2))
    found = mean_entropy(*binned(p), EDGES)
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12


@given(PROBABILITIES, st.sampled_from([0.05, 0.5, 0.95]))
def test_quantiles_are_numpys_within_their_bounds(p, level):
    exact = np.quantile(np.maximum(p, 1 - p), level, method="inverted_cdf")
    found = confidence_quantile(binned(p)[0], EDGES, level)
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12
    assert found.upper - found.lower <= 2 / 64


@given(PROBABILITIES)
def test_the_unsure_are_counted_within_bounds(p):
    exact = np.mean(np.maximum(p, 1 - p) < 0.6)
    found = low_confidence_share(binned(p)[0], EDGES, 0.6)
    assert found.lower - 1e-12 <= exact <= found.upper + 1e-12


def test_without_rows_there_is_no_confidence():
    none = np.zeros((2, 65))
    for found in (
        mean_entropy(none, none, EDGES),
        confidence_quantile(none, EDGES, 0.5),
        low_confidence_share(none, EDGES, 0.6),
    ):
        assert np.isnan(found).all()


def test_a_sure_and_an_unsure_model():
    assert mean_entropy(*binned(np.array([0.5, 0.5])), EDGES).value == pytest.approx(1)
    assert mean_entropy(*binned(np.array([0.0, 1.0])), EDGES).value == 0
