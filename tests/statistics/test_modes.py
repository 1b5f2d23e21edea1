"""Modes against scipy's peaks and planted mixtures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal, stats

from gpumon.statistics.modes import (
    MOST,
    Modes,
    mode_shift,
    mode_shift_normed,
    modes,
    number_of_modes,
    peaks,
)

EDGES = np.linspace(0, 1, 257)


def cells_of(values):
    return np.unique(np.quantile(values, np.linspace(0, 1, 257)))


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 6).map(float)))
def test_peaks_are_scipys_also_flat_ones(curve):
    positions, prominences = peaks(curve)
    expected, properties = signal.find_peaks(curve, prominence=0)
    np.testing.assert_array_equal(positions, expected)
    np.testing.assert_array_equal(prominences, properties["prominences"])


MIXTURES = {
    "one": ([0.0], [1.0], [1.0]),
    "two, apart": ([-3.0, 3.0], [1.0, 1.0], [0.5, 0.5]),
    "two, of different width and mass": ([-3.0, 4.0], [1.0, 0.5], [0.6, 0.4]),
    "a small one": ([0.0, 6.0], [1.0, 0.7], [0.9, 0.1]),
    "three": ([-5.0, 0.0, 5.0], [1.0, 1.0, 1.0], [0.3, 0.3, 0.4]),
}


def drawn(name, n, rng):
    centres, widths, masses = map(np.array, MIXTURES[name])
    part = rng.choice(len(masses), n, p=masses)
    return rng.normal(centres[part], widths[part])


@pytest.mark.parametrize("name", MIXTURES)
@pytest.mark.parametrize("n", [500, 5_000])
def test_planted_modes_are_found(name, n, profiled):
    rng = np.random.default_rng(0)
    centres, _, masses = MIXTURES[name]
    right = 0
    for _ in range(20):
        values = drawn(name, n, rng)
        edges = cells_of(values)
        counts, extremes = profiled(values, edges)
        found = modes(counts, edges, extremes)
        if found.number == len(centres):
            right += 1
            np.testing.assert_allclose(
                found.location[: len(centres)], centres, atol=0.6 if n == 500 else 0.35
            )
            np.testing.assert_allclose(found.mass[: len(centres)], masses, atol=0.07)
            assert np.all(np.isnan(found.location[len(centres) :]))
    assert right >= 19


@pytest.mark.parametrize("shape", ["normal", "uniform", "exponential", "lognormal", "standard_t"])
@pytest.mark.parametrize("n", [100, 1_000, 10_000])
def test_one_mode_is_one(shape, n, profiled):
    rng = np.random.default_rng(1)
    draw = {"lognormal": lambda n: rng.lognormal(0, 0.8, n), "standard_t": lambda n: rng.standard_t(4, n)}
    numbers = []
    for _ in range(20):
        values = draw.get(shape, lambda n: getattr(rng, shape)(size=n))(n)
        edges = cells_of(values)
        counts, extremes = profiled(values, edges)
        numbers.append(int(modes(counts, edges, extremes).number))
    assert np.mean(np.array(numbers) == 1) >= 0.95


@given(st.integers(0, 1_000), st.sampled_from([1e-6, 0.5, 1e8]), st.sampled_from([-3.0, 0.0, 7.0]))
def test_modes_move_with_the_values(seed, scale, shift):
    values = np.random.default_rng(seed).normal(size=300)
    values[::3] += 6
    edges = np.linspace(-3, 9, 65)
    counts = np.histogram(values, np.concatenate([[-np.inf], edges, [np.inf]]))[0]
    counts = np.concatenate([[0], counts, [0, 0, 0]])
    extremes = np.array([values.min(), values.max()])
    plain = modes(counts, edges, extremes)
    moved = modes(counts, scale * (edges + shift), scale * (extremes + shift))
    assert moved.number == plain.number
    np.testing.assert_allclose(moved.location, scale * (plain.location + shift), rtol=1e-6, atol=scale * 1e-6)
    np.testing.assert_allclose(moved.mass, plain.mass, atol=1e-6)
    assert np.nansum(plain.mass) == pytest.approx(1)
    assert np.all(np.diff(plain.location[: plain.number]) > 0)


def test_columns_are_computed_together_and_no_or_one_value_has_its_number(profiled):
    rng = np.random.default_rng(2)
    columns = [rng.random(400), np.full(400, 0.3), np.full(400, np.nan), np.r_[rng.random(399) / 9, np.inf]]
    counts, extremes = (
        np.array(x) for x in zip(*(profiled(values, EDGES) for values in columns), strict=True)
    )
    found = modes(counts, EDGES, extremes)
    assert found.number.tolist() == [1, 1, 0, 1]
    assert found.location.shape == (4, MOST)
    assert found.location[1, 0] == pytest.approx(0.3)
    assert found.mass[1, 0] == 1
    assert found.location[3, 0] < 0.15
    for index in range(4):
        one = modes(counts[index], EDGES, extremes[index])
        for all_of, alone in zip(found, one, strict=True):
            np.testing.assert_array_equal(all_of[index], alone)


def padded(location, mass):
    pad = [np.nan] * (MOST - len(location))
    return Modes(np.array(len(location)), np.r_[location, pad], np.r_[mass, pad], np.r_[mass, pad])


MASSES = st.lists(
    st.tuples(st.integers(-9, 9), st.integers(1, 9)), min_size=1, max_size=MOST, unique_by=lambda x: x[0]
)


@given(MASSES, MASSES)
def test_the_distance_of_modes_is_scipys(first, second):
    sides = [np.array(sorted(side), float).T for side in (first, second)]
    sides = [(location, mass / mass.sum()) for location, mass in sides]
    shift = mode_shift(*(padded(*side) for side in sides))
    expected = stats.wasserstein_distance(sides[0][0], sides[1][0], sides[0][1], sides[1][1])
    assert shift.distance == pytest.approx(expected, abs=1e-12)
    assert shift.number == len(second) - len(first)
    assert shift.main == sides[1][0][np.argmax(sides[1][1])] - sides[0][0][np.argmax(sides[0][1])]


def test_a_mode_that_has_moved_or_appeared_is_seen(profiled):
    rng = np.random.default_rng(3)
    reference = rng.normal(0, 1, 5_000)
    edges = np.linspace(-5, 12, 301)

    def of(values):
        counts, extremes = profiled(values, edges)
        return modes(counts, edges, extremes)

    before = of(reference)
    moved = mode_shift(before, of(reference + 2))
    assert moved.number == 0
    assert moved.main == pytest.approx(2, abs=0.1)
    appeared = mode_shift(before, of(np.append(reference, rng.normal(8, 1, 1_250))))
    assert appeared.number == 1
    assert appeared.main == pytest.approx(0, abs=0.2)
    assert appeared.distance == pytest.approx(0.2 * 8, abs=0.25)
    nothing = of(np.array([np.nan]))
    assert np.isnan(mode_shift(before, nothing).distance)
    assert np.isnan(mode_shift(nothing, before).main)


def test_the_modes_of_sides_of_other_sizes_are_compared_as_if_of_one(profiled):
    rng = np.random.default_rng(8)
    values = rng.normal(size=1_000)
    edges = cells_of(values)
    (small, ends), (large, _) = profiled(values, edges), profiled(np.tile(values, 30), edges)
    assert mode_shift_normed(large, small, edges, ends, ends, np.array(1.0)) == pytest.approx(0, abs=1e-9)
    moved, beyond = profiled(values * 0.5 + 1.0, edges)
    assert mode_shift_normed(large, moved, edges, ends, beyond, np.array(2.0)) == pytest.approx(0.5, abs=0.15)
    nothing = np.zeros_like(small)
    assert np.isnan(mode_shift_normed(large, nothing, edges, ends, np.full(2, np.nan), np.array(1.0)))
    assert np.isnan(number_of_modes(nothing, edges, np.full(2, np.nan)))
    assert number_of_modes(small, edges, ends) == modes(small, edges, ends).number == 1
