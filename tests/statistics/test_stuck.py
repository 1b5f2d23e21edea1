"""Repeats against the values themselves; what is stuck against planted values and the binomial."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from gpumon.kernels import select
from gpumon.statistics.stuck import (
    distinct_ratio,
    repeated_share,
    stuck,
    stuck_critical,
    stuck_p,
)


@given(
    st.lists(
        st.sampled_from([-np.inf, -2.0, 0.0, 0.1, 0.3, 0.5, 0.9, 3.0, np.inf, np.nan]),
        min_size=1,
        max_size=30,
    )
)
def test_the_share_of_the_most_repeated_value_lies_within_its_bounds(values):
    values = np.array(values)
    edges = np.array([0.0, 0.1, np.nextafter(0.1, 1), 0.4, 1.0])
    boundaries = np.concatenate([[-np.finfo(float).max], edges, [np.inf]])
    present = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(boundaries, present, side="right"), minlength=10)
    counts[-2] = len(values) - len(present)
    extremes = np.array([present.min(initial=np.inf), present.max(initial=-np.inf)])
    found = repeated_share(counts, edges, extremes)
    if len(present) == 0:
        assert np.isnan(found.value)
        return
    exact = np.unique(present, return_counts=True)[1].max() / len(present)
    assert found.lower <= exact <= found.upper
    if np.all(present == present[0]):
        assert found == (1, 1, 1)


def known(values, edges, profiled):
    """Counts of values, and what else ``stuck`` takes of the current side."""
    counts, extremes = profiled(values, edges)
    moments = np.array([values.size, values.mean(), np.sum((values - values.mean()) ** 2)])
    hashes = select("plain").hash_strings(
        np.frombuffer(values.tobytes(), np.uint8), np.arange(values.size + 1) * values.itemsize
    )
    registers = select("plain").distinct(hashes, np.array([0, values.size]))[0]
    return counts, extremes, registers, moments


def found_stuck(reference, current, edges, profiled):
    before, (now, *rest) = profiled(reference, edges)[0], known(current, edges, profiled)
    return stuck(before, now, edges, *rest, np.array(reference.std(ddof=1)))


def test_a_stuck_model_is_found_where_it_is_stuck(profiled):
    rng = np.random.default_rng(4)
    reference, current = rng.beta(2, 5, 4_000), rng.beta(2, 5, 1_000)
    current[:300] = 0.6174
    edges = np.linspace(0, 1, 65)
    found = found_stuck(reference, current, edges, profiled)
    assert found.lower <= 0.6174 <= found.upper
    in_cell = [side[(side >= found.lower) & (side <= found.upper)].size for side in (reference, current)]
    assert found.share == pytest.approx(0.3, abs=0.03)  # by the number of distinct values
    assert found.share <= found.most <= in_cell[1] / 1_000
    largest = np.histogram(reference, edges)[0].max() / 4_000
    assert found.before == largest
    odds = 4 * largest / (1 - largest)
    assert found.usual == pytest.approx(odds / (1 + odds))
    wilson = proportion_confint(round(float(found.share) * 1_000), 1_000, method="wilson")
    expected = [(x - found.usual) / (1 - found.usual) for x in (found.share, *wilson)]
    np.testing.assert_allclose(found.excess, expected, rtol=1e-9)


def test_a_constant_model_is_known_to_be_one(profiled):
    reference = np.random.default_rng(5).random(1_000)
    edges = np.linspace(0, 1, 65)
    for value in (0.77, -3.0, 9.0):
        found = found_stuck(reference, np.full(50, value), edges, profiled)
        assert (found.share, found.lower, found.upper, found.excess.value) == (1, value, value, 1)
    now, extremes = profiled(np.full(50, 0.77), edges)
    assert repeated_share(now, edges, extremes) == (1, 1, 1)


def test_no_rows_are_not_stuck():
    some, none = np.array([0, 0, 3, 4, 0, 0, 0, 0]), np.zeros(8, np.int64)
    edges, extremes = np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.5])
    for sides in ((some, none), (none, some)):
        found = stuck(*sides, edges, extremes, np.zeros(4096, np.uint8), np.array([7.0, 1, 1]), np.array(0.5))
        assert np.all(np.isnan([*found.excess, *found[1:]]))


def test_values_beyond_the_edges_are_a_shift_and_no_repeats(profiled):
    rng = np.random.default_rng(7)
    edges, reference = np.linspace(0, 1, 65), rng.random(4_000)
    for away in (-9, -3, -1, 1, 3, 9):
        moved = away + rng.random(900)
        assert found_stuck(reference, moved, edges, profiled).excess.value <= 0
        rounded = away + np.round(rng.random(900), 2)
        assert found_stuck(np.round(reference, 2), rounded, edges, profiled).excess.value <= 0


@pytest.mark.parametrize("fallback", [-1.0, 0.0, 0.4444, 2.0])
def test_a_value_that_half_of_the_rows_fall_back_on_is_found_inside_and_outside(fallback, profiled):
    rng = np.random.default_rng(8)
    edges, reference = np.linspace(0.1, 0.9, 65), rng.uniform(0.1, 0.9, 4_000)
    current = np.where(rng.random(2_000) < 0.5, fallback, rng.uniform(0.1, 0.9, 2_000))
    found = found_stuck(reference, current, edges, profiled)
    assert found.lower <= fallback <= found.upper
    assert found.share <= found.most <= np.mean((current >= found.lower) & (current <= found.upper))
    assert found.excess.value == pytest.approx(0.5, abs=0.16)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 6), st.floats(0.25, 1.0))
def test_values_that_change_places_are_not_stuck(seed, values, spread):
    rng = np.random.default_rng(seed)
    share = rng.dirichlet(np.full(values, 10 * spread))
    reference, current = (rng.choice(values, 3_000, p=p) * 1.0 for p in (share, rng.permutation(share)))
    edges = np.unique([np.arange(values), np.nextafter(np.arange(values), 99.0)])

    def excess(left, right):
        before, (now, *rest) = (
            np.bincount(2 + np.searchsorted(edges, left), minlength=edges.size + 5),
            known_of_values(right, edges),
        )
        return stuck(before, now, edges, *rest, np.array(left.std() + 0.1)).excess.value

    assert excess(reference, current) < 0
    assert excess(reference, reference * 0.0) == 1


def known_of_values(values, edges):
    moments = np.array([values.size, values.mean(), np.sum((values - values.mean()) ** 2)])
    counts = np.bincount(2 + np.searchsorted(edges, values), minlength=edges.size + 5)
    few = np.zeros(4096, np.uint8)
    few[: np.unique(values).size] = 1
    return counts, np.array([values.min(), values.max()]), few, moments


@given(st.integers(0, 50), st.integers(0, 400))
def test_chance_fills_a_cell_as_the_binomial_says(k, j):
    edges = np.array([0.0, np.nextafter(0, 1), 1.0, np.nextafter(1, 2)])
    before, now = (np.array([0, 0, x, 0, of - x, 0, 0, 0, 0]) for x, of in ((k, 60), (j, 400)))
    few = np.zeros(4096, np.uint8)
    few[:2] = 1
    rest = (edges, np.array([0.0, 1.0]), few, np.array([400, 0.5, 100.0]), np.array(0.5))
    largest, most = max(k, 60 - k) / 60, max(j, 400 - j)
    usual = 4 * largest / (1 + 3 * largest)
    expected = min(1.0, 7 * stats.binom.sf(most - 1, 400, usual))
    assert stuck_p(before, now, *rest) == pytest.approx(expected, rel=1e-6)
    if usual < 1:
        limit = stuck_critical(1e-3, before, now, *rest)
        exceeds = (most / 400 - usual) / (1 - usual) > limit
        assert exceeds == (expected <= 1e-3)


def test_distinct_ratio():
    np.testing.assert_array_equal(distinct_ratio([5, 103, 0], [20, 100, 0]), [0.25, 1, np.nan])
