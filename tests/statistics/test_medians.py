"""Shift of the median against NumPy's medians and SciPy's Mood test, and how often chance exceeds its limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from gpumon.kernels.lookup import cells_of
from gpumon.statistics import medians

VALUES = arrays(np.float64, st.integers(1, 60), elements=st.sampled_from([*np.arange(-3, 4, 0.5), 1e6]))


def counted(x, edges):
    return np.bincount(cells_of(x, edges), minlength=edges.size + 5), np.array([x.min(), x.max()])


@given(VALUES, VALUES, st.sampled_from([3, 5, 9]))
def test_the_exact_shift_lies_between_the_bounds(before, now, size):
    edges = np.linspace(-2.3, 2.1, size)
    (r, r_ends), (c, c_ends) = counted(before, edges), counted(now, edges)
    found = medians.median_shift(r, c, edges, r_ends, c_ends, np.asarray(2.0))
    exact = (np.median(now) - np.median(before)) / 2.0
    assert found.lower - 1e-9 <= exact <= found.upper + 1e-9
    assert found.lower <= found.value <= found.upper


@given(VALUES, VALUES)
def test_of_single_values_everything_is_exact(before, now):
    values = np.unique(np.concatenate((before, now)))
    edges = np.unique(np.concatenate((values, np.nextafter(values, np.inf))))
    (r, r_ends), (c, c_ends) = counted(before, edges), counted(now, edges)
    found = medians.median_shift(r, c, edges, r_ends, c_ends, np.asarray(1.0))
    exact = np.median(now) - np.median(before)
    assert found == pytest.approx((exact, exact, exact))
    together = np.concatenate((before, now))
    if (together > np.median(together)).any():
        oracle = stats.median_test(before, now, ties="below", correction=False).pvalue
        assert float(medians.median_test_p(r, c)) == pytest.approx(oracle, rel=1e-9)
    else:
        assert float(medians.median_test_p(r, c)) == 1


def test_leading_axes_are_columns_and_slices():
    rng = np.random.default_rng(0)
    edges = np.linspace(-3, 3, 65)
    sides = [[counted(rng.normal(size=n), edges) for n in sizes] for sizes in ((900,), (50, 700, 81))]
    (r, r_ends), (c, c_ends) = (
        (np.array([x for x, _ in side]), np.array([e for _, e in side])) for side in sides
    )
    p = medians.median_test_p(r, c)
    limit = medians.median_shift_critical(0.01, r, c, edges, r_ends, c_ends, np.ones(1))
    assert p.shape == limit.shape == (3,)
    for i in range(3):
        assert p[i] == medians.median_test_p(r[0], c[i])
        assert limit[i] == medians.median_shift_critical(
            0.01, r[0], c[i], edges, r_ends[0], c_ends[i], np.ones(())
        )


@pytest.mark.parametrize("draw", ["normal", "lognormal", "integers"])
def test_chance_exceeds_the_limit_as_often_as_it_says(draw):
    rng = np.random.default_rng(1)
    make = {
        "normal": lambda n: rng.normal(size=n),
        "lognormal": lambda n: rng.lognormal(0, 2, n),
        "integers": lambda n: rng.poisson(30, n).astype(float),
    }[draw]
    edges = np.unique(np.quantile(make(20_000), np.linspace(0, 1, 513)))
    over = 0
    for _ in range(2000):
        (r, r_ends), (c, c_ends) = counted(make(400), edges), counted(make(150), edges)
        shift = medians.median_shift(r, c, edges, r_ends, c_ends, np.asarray(1.0)).value
        over += abs(shift) > medians.median_shift_critical(0.05, r, c, edges, r_ends, c_ends, np.asarray(1.0))
    assert over <= stats.binom.ppf(0.999, 2000, 0.06)
    assert over >= (20 if draw == "integers" else 50)  # whole numbers move by steps


def test_infinities_and_nothing():
    edges, ends = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    nothing, some = np.zeros(7, np.int64), np.array([0, 0, 5, 5, 0, 0, 0])
    assert np.isnan(medians.median_shift(nothing, some, edges, ends, ends, np.asarray(1.0)).value)
    assert np.isnan(medians.median_test_p(nothing, some))
    constant = np.array([1.0, 1.0])
    assert medians.median_shift_sorted(constant, constant) == 0
    assert medians.median_shift_sorted(constant, constant + 1) == np.inf
    assert np.isnan(medians.median_shift_sorted(constant, np.zeros(0)))
