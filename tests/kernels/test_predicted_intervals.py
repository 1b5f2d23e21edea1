"""Prediction intervals are counted slice by slice as the formulas say of rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gpumon.kernels.predicted_intervals import IntervalCounts, intervals
from gpumon.profiles.intervals import INTERVALS, TALLIES
from gpumon.statistics.prediction_intervals import interval_sums

numbers = st.one_of(st.floats(-50, 50), st.sampled_from([np.nan, np.inf, -np.inf, 0.0, -0.0]))
EDGES = np.array([0.0, 1.0, 10.0, 20.0])


def counted(lower, upper, target, offsets, places):
    into = IntervalCounts(
        np.zeros((2, EDGES.size + 5), np.int64),
        np.tile([np.inf, -np.inf], (2, 1)),
        np.zeros((2, len(TALLIES)), np.int64),
        np.zeros((2, len(INTERVALS))),
        np.zeros((2, 1), np.int64),
    )
    intervals(lower, upper, target, 0.8, np.array(offsets), np.array(places), EDGES, into)
    return into


@given(st.data(), st.integers(0, 40), st.integers(0, 40))
def test_sums_are_those_of_the_formula(data, rows, cut):
    lower, upper, target = (data.draw(arrays(np.float64, rows, elements=numbers)) for _ in range(3))
    cut = min(cut, rows)
    into = counted(lower, upper, target, [0, cut, rows], [1, 0])
    for place, part in ((1, slice(0, cut)), (0, slice(cut, rows))):
        sums = interval_sums(lower[part], upper[part], target[part], 0.8)
        tallies = (sums.rows, sums.crossings, sums.labelled, sums.covered, sums.below, sums.above)
        assert into.tallies[place].tolist() == [int(x) for x in tallies]
        totals = (sums.width, sums.width_squares, sums.score, sums.score_squares)
        np.testing.assert_allclose(into.sums[place], totals, rtol=1e-12)
        with np.errstate(invalid="ignore"):
            width = (upper - lower)[part]
        width = width[~np.isnan(width) & ~(lower[part] > upper[part])]
        cells = np.bincount(1 + np.searchsorted(EDGES, width, side="right"), minlength=EDGES.size + 5)
        cells[EDGES.size + 1] -= (infinite := np.count_nonzero(np.isinf(width)))
        cells[EDGES.size + 2] += infinite
        assert into.counts[place].tolist() == cells.tolist()
        assert into.missing[place, 0] == width_missing(lower[part], upper[part])
        if width.size:
            assert into.extremes[place].tolist() == [width.min(), width.max()]


def width_missing(lower, upper):
    with np.errstate(invalid="ignore"):
        return np.count_nonzero(np.isnan(upper - lower))


def test_a_second_batch_is_added_to_the_first():
    lower, upper, target = np.zeros(4), np.array([1.0, 2.0, np.nan, -1.0]), np.array([0.5, 3.0, 0.0, 0.0])
    once = counted(lower, upper, target, [0, 4], [0])
    twice = counted(np.tile(lower, 2), np.tile(upper, 2), np.tile(target, 2), [0, 8], [0])
    assert (twice.tallies[0] == 2 * once.tallies[0]).all()
    assert twice.sums[0] == pytest.approx(2 * once.sums[0])
    assert once.tallies[0].tolist() == [3, 1, 3, 1, 0, 1]
    assert once.sums[0].tolist() == pytest.approx([3.0, 5.0, 1.0 + 2.0 + 10.0, 1.0 + 144.0])
