"""Detectors on batches: as soon as those of single rows, no more often wrong; changes found and covered."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from river import drift
from scipy import stats

from gpumon.statistics import batches

DETECTORS = [batches.adwin, batches.page_hinkley, batches.ddm]


def of(values, size):
    parts = np.split(values, np.arange(size, len(values), size))
    return (
        np.array([part.mean() for part in parts]),
        np.array([len(part) for part in parts]),
        np.array([((part - part.mean()) ** 2).sum() for part in parts]),
    )


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_change_of_errors_is_found_near_where_it_is(detector):
    rng = np.random.default_rng(0)
    for _ in range(10):
        stream = (rng.random(12_000) < np.repeat([0.1, 0.2], 6_000)).astype(float)
        found = detector(*of(stream, 200))
        assert found.at.size
        assert 30 <= found.at[0] <= 45
        assert abs(found.since[0] - 30) <= 3


@pytest.mark.parametrize("detector", DETECTORS)
def test_false_alarms_are_rare(detector):
    rng = np.random.default_rng(1)
    alarms = sum(detector(*of((rng.random(20_000) < 0.15).astype(float), 200)).at.size for _ in range(40))
    assert alarms <= 12  # in 4,000 batches; Page and Hinkley's is set to four


def test_adwin_alarms_no_later_than_rivers_by_more_than_a_batch():
    rng = np.random.default_rng(3)
    for _ in range(5):
        stream = (rng.random(10_000) < np.repeat([0.1, 0.25], 5_000)).astype(float)
        theirs, first = drift.ADWIN(), None
        for row, value in enumerate(stream):
            theirs.update(value)
            if theirs.drift_detected and row >= 5_000:
                first = row
                break
        ours = batches.adwin(*of(stream, 100)).at
        assert (ours[ours >= 50][0] + 1) * 100 <= first + 300


def test_losses_that_do_not_vary_are_no_division_by_nothing():
    mean, rows, squares = np.array([0.0, 0.0, 0.0, 1.0, 1.0]), np.full(5, 50), np.zeros(5)
    assert batches.page_hinkley(mean, rows, squares).at.size
    assert not batches.page_hinkley(np.zeros(5), rows, squares).at.size


def test_the_change_covers_the_true_one_in_size_and_place():
    rng = np.random.default_rng(4)
    sizes, places = 0, 0
    for _ in range(200):
        rate = np.repeat([0.2, 0.27], [12, 8])
        rows = rng.integers(300, 600, 20)
        wrong = rng.binomial(rows, rate)
        mean = wrong / rows
        found = batches.change(mean, rows, rows * mean * (1 - mean))
        sizes += found.lower <= 0.07 <= found.upper
        places += found.first <= 12 <= found.last
        assert found.p <= 0.01
    assert 176 <= sizes <= 199
    assert places >= 184


def test_the_error_of_a_change_is_that_of_two_proportions():
    wrong, rows = np.array([30, 35, 80, 85]), np.full(4, 200)
    mean = wrong / rows
    found = batches.change(mean, rows, rows * mean * (1 - mean))
    assert (found.at, found.before, found.after) == (2, 65 / 400, 165 / 400)
    test = stats.norm.interval(0.95, found.value, np.sqrt(65 * 335 / 400**3 + 165 * 235 / 400**3))
    assert (found.lower, found.upper) == pytest.approx(test)


def test_losses_that_are_no_errors_change_as_normal_means_do():
    rng = np.random.default_rng(5)
    covered, sizes = 0, 0
    for _ in range(100):
        mean, rows, squares = of(rng.gamma(4.0, np.repeat([0.25, 0.3], [3_000, 2_000])), 100)
        found = batches.change(mean, rows, squares)
        assert found.p < 1e-3
        covered += found.first <= 30 <= found.last
        sizes += found.lower < 0.2 < found.upper
    assert covered >= 88
    assert sizes >= 85


def test_a_spread_between_windows_makes_a_change_less_sure():
    rng = np.random.default_rng(6)
    sure = []
    for between in (0.0, 0.05**2):
        p = []
        for _ in range(60):
            rate = np.clip(rng.normal(0.3, 0.05, 20), 0, 1)
            mean = rng.binomial(2_000, rate) / 2_000
            rows = np.full(20, 2_000)
            p.append(batches.change(mean, rows, rows * mean * (1 - mean), between).p)
        sure.append(np.mean(np.array(p) < 0.05))
    assert sure[0] > 0.9  # wrongly: the windows differ, but nothing has changed
    assert sure[1] < 0.1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10)), min_size=1, max_size=12))
def test_any_counts_give_a_change_within_the_series_or_none(counts):
    wrong, right = np.array(counts).T
    rows = wrong + right
    mean = wrong / np.maximum(rows, 1)
    found = batches.change(mean, rows, rows * mean * (1 - mean))
    if np.count_nonzero(rows) < 2:
        assert found is batches.NOTHING
    else:
        assert 1 <= found.first <= found.last < rows.size
        assert 0 < found.p <= 1
        assert found.lower <= found.value <= found.upper


def test_fewer_than_two_means_have_no_change():
    for mean in ([], [1.0], [1.0, np.nan]):
        assert batches.change_of_means(np.array(mean), np.ones(len(mean))) is batches.NOTHING


def test_no_change_is_rarely_beyond_its_bound():
    rng = np.random.default_rng(7)
    beyond = 0
    for _ in range(400):
        rows = np.full(15, 400)
        mean = rng.binomial(rows, 0.2) / rows
        found = batches.change(mean, rows, rows * mean * (1 - mean))
        beyond += abs(found.value) > batches.change_critical(0.05, found.error, 15)
    assert beyond <= 0.05 * 400


def test_a_moment_is_the_start_of_its_window():
    starts = np.array([0.0, 3600.0, 7200.0])
    assert tuple(map(float, batches.moment(np.array([1, 0, 2]), starts))) == (3600.0, 0.0, 7200.0)
    assert np.isnan(batches.moment(np.array([-1, -1, -1]), starts).value)
