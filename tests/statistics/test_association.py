"""Correlations from sums against NumPy and pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpumon.statistics import association

examples = settings(max_examples=60, deadline=None)


def sums(values, centre):
    valid = (~np.isnan(values)).astype(np.float64)
    x = np.where(valid > 0, values - centre, 0.0)
    return valid.T @ valid, x.T @ valid, (x * x).T @ valid, x.T @ x


@examples
@given(seed=st.integers(0, 10**6), missing=st.floats(0, 0.6), offset=st.floats(-1e3, 1e3))
def test_correlations_equal_pandas_pair_by_pair(seed, missing, offset):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-6, 6, 5)
    values = rng.normal(offset, 1, (rng.integers(2, 60), 5)) * scale
    values[:, 1] += values[:, 0] * scale[1] / scale[0]
    values[rng.random(values.shape) < missing] = np.nan
    centre = offset * scale * [1, 2, 1, 1, 1]
    expected = pd.DataFrame(values - centre).corr(min_periods=3).to_numpy()
    np.testing.assert_allclose(association.correlation(*sums(values, centre)), expected, rtol=1e-6, atol=1e-8)


def test_correlations_without_nulls_equal_numpy():
    values = np.random.default_rng(0).normal(size=(500, 6)).cumsum(axis=1)
    r = association.correlation(*sums(values, 0.3))
    np.testing.assert_allclose(r, np.corrcoef(values.T), atol=1e-13)
    assert np.all(np.abs(r) <= 1)


def test_a_constant_column_and_few_rows_have_no_correlation():
    values = np.random.default_rng(0).normal(size=(50, 3))
    values[:, 1] = 7.7
    values[2:, 2] = np.nan
    r = association.correlation(*sums(values, 0.1))
    assert r[0, 0] == pytest.approx(1)
    assert np.isnan(r[1]).all()
    assert np.isnan(r[2]).all()


def test_a_batch_of_windows_equals_a_loop():
    windows = np.random.default_rng(0).normal(size=(3, 40, 4))
    batch = [np.stack(parts) for parts in zip(*(sums(window, 0.0) for window in windows), strict=True)]
    together = association.correlation(*batch)
    for window, r in zip(windows, together, strict=True):
        np.testing.assert_array_equal(r, association.correlation(*sums(window, 0.0)))


def test_the_frobenius_norm_equals_numpy_and_skips_nan():
    delta = np.random.default_rng(0).normal(size=(2, 4, 4))
    assert association.frobenius(delta) == pytest.approx(np.linalg.norm(delta, axis=(1, 2)))
    delta[0, 1, 2] = np.nan
    assert association.frobenius(delta)[0] == pytest.approx(np.linalg.norm(np.nan_to_num(delta[0])))
