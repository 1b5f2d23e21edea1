"""Modes against scipy's peaks and planted mixtures; repeats against the values themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import signal, stats
from statsmodels.stats.proportion import proportion_confint

from gpumon.kernels import select
from gpumon.statistics.modes import (
    MOST,
    Modes,
    distinct_ratio,
    mode_shift,
    mode_shift_normed,
    modes,
    number_of_modes,
    peaks,
    repeated_share,
    stuck,
    stuck_critical,
    stuck_p,
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


def test_distinct_ratio():
    np.testing.assert_array_equal(distinct_ratio([5, 103, 0], [20, 100, 0]), [0.25, 1, np.nan])
