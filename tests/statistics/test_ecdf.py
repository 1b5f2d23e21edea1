"""Bounds from counts contain what scipy and NumPy find on the raw values, always."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gpumon.statistics import ecdf

examples = settings(max_examples=120, deadline=None)

regular = st.floats(-1e3, 1e3)
KINDS = [
    st.integers(-3, 3).map(float),
    regular,
    st.floats(-1e-300, 1e-300),
    st.floats(-1e300, 1e300),
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e300, -1e300]),
]
INFINITE = st.sampled_from([np.inf, -np.inf])


@st.composite
def samples(draw, infinite=False, min_size=1):
    kind = draw(st.sampled_from(KINDS))
    if infinite:
        kind = st.one_of(kind, kind, INFINITE)
    values = draw(st.lists(kind, min_size=min_size, max_size=40))
    if draw(st.booleans()) and values:  # a value with much mass
        values += [values[0]] * draw(st.integers(1, 30))
    return np.array(values + [np.nan] * draw(st.integers(0, 3)), np.float64)


@st.composite
def edges_for(draw, *samples_):
    """Edges from quantiles, from atoms, from both, or from nothing to do with the data."""
    values = np.unique(np.concatenate(samples_))
    values = values[np.isfinite(values)]
    chosen = [draw(st.lists(regular, max_size=6))]
    if len(values) and draw(st.booleans()):
        chosen.append(values[:: draw(st.integers(1, 9))])
    if len(values) and draw(st.booleans()):
        atoms = values[draw(st.integers(0, 3)) :: draw(st.integers(1, 4))]
        chosen += [atoms, np.nextafter(atoms, np.inf)]
    edges = np.unique(np.concatenate(chosen)) + 0.0
    return edges if len(edges) >= 2 else np.array([-1.0, 1.0])


def atomic_edges(*samples_):
    values = np.unique(np.concatenate(samples_))
    values = values[np.isfinite(values)]
    edges = np.unique([values, np.nextafter(values, np.inf)])
    return edges if len(edges) >= 2 else np.array([-1.0, 1.0])


@st.composite
def comparisons(draw, infinite=False):
    reference, current = draw(samples(infinite)), draw(samples(infinite))
    return reference, current, draw(edges_for(reference, current))


def present(values):
    return np.sort(values[~np.isnan(values)])


def ks_of(reference, current):
    with np.errstate(all="ignore"):  # of its p-value, for samples of one row
        return stats.ks_2samp(present(reference), present(current), method="asymp").statistic


def assert_within(exact, bounds, scale):
    slack = 1e-12 * scale
    assert bounds.lower - slack <= exact <= bounds.upper + slack
    assert bounds.lower <= bounds.value <= bounds.upper


@examples
@given(data=comparisons(infinite=True))
def test_the_exact_ks_distance_lies_within_its_bounds(data, profiled):
    reference, current, edges = data
    bounds = ecdf.kolmogorov_smirnov(profiled(reference, edges)[0], profiled(current, edges)[0], edges)
    assert_within(ks_of(reference, current), bounds, 0)


@examples
@given(reference=samples(infinite=True), current=samples(infinite=True))
def test_the_ks_distance_is_exact_where_every_value_is_an_atom(reference, current, profiled):
    edges = atomic_edges(reference, current)
    bounds = ecdf.kolmogorov_smirnov(profiled(reference, edges)[0], profiled(current, edges)[0], edges)
    assert bounds.lower == bounds.upper == ks_of(reference, current)


@examples
@given(data=comparisons())
def test_the_exact_earth_movers_distance_lies_within_its_bounds(data, profiled):
    reference, current, edges = data
    (r, r_ends), (c, c_ends) = profiled(reference, edges), profiled(current, edges)
    exact = stats.wasserstein_distance(present(reference), present(current))
    bounds = ecdf.wasserstein(r, c, edges, r_ends, c_ends)
    assert_within(exact, bounds, max(r_ends[1], c_ends[1]) - min(r_ends[0], c_ends[0]))


@examples
@given(reference=samples(), current=samples())
def test_the_earth_movers_distance_is_exact_where_every_value_is_an_atom(reference, current, profiled):
    edges = atomic_edges(reference, current)
    (r, r_ends), (c, c_ends) = profiled(reference, edges), profiled(current, edges)
    exact = stats.wasserstein_distance(present(reference), present(current))
    scale = np.nanmax(np.abs(np.concatenate([reference, current])))
    for bound in ecdf.wasserstein(r, c, edges, r_ends, c_ends):
        assert bound == pytest.approx(exact, rel=1e-12, abs=1e-13 * scale + 1e-322)


@pytest.mark.parametrize("mass", [0.0, 0.4, 1.0])
def test_the_bounds_of_the_earth_movers_distance_are_attained(mass, profiled):
    """All rows of one side at the beginning of a cell and of the other at its end, and the reverse."""
    edges, ends = np.array([0.0, 1.0]), np.array([0.0, 1.0])
    just = np.nextafter(1.0, 0.0)
    few = int(10 * mass)
    placings = [
        (np.array([0.0] * few + [1.0] * (10 - few)), np.array([just] * 5 + [1.0] * 5)),
        (np.array([just] * few + [1.0] * (10 - few)), np.array([0.0] * 5 + [1.0] * 5)),
        (
            np.array([0.0] * few + [1.0] * (10 - few)),
            np.array([0.0] * min(few, 5) + [just] * (5 - min(few, 5)) + [1.0] * 5),
        ),
    ]
    distances = []
    for reference, current in placings:
        (r, _), (c, _) = profiled(reference, edges), profiled(current, edges)
        bounds = ecdf.wasserstein(r, c, edges, ends, ends)
        distances.append(stats.wasserstein_distance(reference, current))
    assert max(distances) == pytest.approx(bounds.upper)
    assert min(distances) >= bounds.lower - 1e-12


@examples
@given(
    values=samples(infinite=True),
    level=st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])),
    data=st.data(),
)
def test_the_exact_quantile_lies_within_its_bounds(values, level, data, profiled):
    edges = data.draw(edges_for(values))
    counts, extremes = profiled(values, edges)
    bounds = ecdf.quantile(counts, edges, extremes, level)
    with np.errstate(invalid="ignore"):
        exact = np.quantile(present(values), level)
    if np.isfinite(exact):
        assert_within(exact, bounds, np.max(np.abs(values[np.isfinite(values)]), initial=0))
    elif not np.any(np.isnan([exact, bounds.value])):
        assert bounds.lower <= bounds.value <= bounds.upper


@examples
@given(values=samples(), level=st.floats(0, 1))
def test_a_quantile_is_exact_where_every_value_is_an_atom(values, level, profiled):
    edges = atomic_edges(values)
    bounds = ecdf.quantile(*(profiled(values, edges)[0], edges, profiled(values, edges)[1]), level)
    assert bounds.lower == bounds.upper == bounds.value == np.quantile(present(values), level)


def test_a_quantile_that_hits_an_infinite_value_is_infinite(profiled):
    values, edges = np.array([-np.inf, 1.0, 2.0, np.inf]), np.array([0.0, 3.0])
    counts, extremes = profiled(values, edges)
    assert [float(ecdf.quantile(counts, edges, extremes, level).value) for level in (0, 0.1, 0.9, 1)] == [
        -np.inf,
        -np.inf,
        np.inf,
        np.inf,
    ]
    assert 0 <= ecdf.quantile(counts, edges, extremes, 0.5).value <= 3


def test_an_end_cell_beside_infinite_values_is_bounded_by_the_largest_float(profiled):
    values, edges = np.array([-np.inf, -5.0, -4.0, -3.0, 2.0]), np.array([0.0, 3.0])
    counts, extremes = profiled(values, edges)
    value, lower, upper = ecdf.quantile(counts, edges, extremes, 0.5)
    assert lower == -np.finfo(np.float64).max
    assert value == upper == pytest.approx(0)


def test_several_levels_broadcast_against_the_columns(profiled):
    rng = np.random.default_rng(0)
    columns = rng.normal(size=(3, 500))
    edges = np.quantile(columns, np.linspace(0, 1, 65), axis=-1).T
    counts = np.array([profiled(*pair)[0] for pair in zip(columns, edges, strict=True)])
    ends = np.stack([columns.min(axis=1), columns.max(axis=1)], axis=-1)
    levels = np.array([0.05, 0.5, 0.95])
    bounds = ecdf.quantile(counts[:, None], edges[:, None], ends[:, None], levels)
    exact = np.quantile(columns, levels, axis=1).T
    assert bounds.value.shape == (3, 3)
    assert np.all((bounds.lower <= exact) & (exact <= bounds.upper))
    np.testing.assert_allclose(bounds.value, exact, atol=0.1)


@examples
@given(reference=samples(), current=samples(infinite=True))
def test_the_sorted_ks_distance_equals_scipy(reference, current):
    assert ecdf.ks_sorted(present(reference), present(current)) == ks_of(reference, current)


@examples
@given(reference=samples(), current=samples())
def test_the_sorted_earth_movers_distance_equals_scipy(reference, current):
    exact = stats.wasserstein_distance(present(reference), present(current))
    assert ecdf.wasserstein_sorted(present(reference), present(current)) == pytest.approx(exact, rel=1e-12)


def test_an_empty_side_gives_nan(profiled):
    edges, empty, some = np.array([0.0, 1.0]), np.array([np.nan]), np.array([0.5, 2.0])
    (r, r_ends), (c, c_ends) = profiled(some, edges), profiled(empty, edges)
    for first, last in (((r, r_ends), (c, c_ends)), ((c, c_ends), (r, r_ends)), ((c, c_ends), (c, c_ends))):
        assert np.all(np.isnan(ecdf.kolmogorov_smirnov(first[0], last[0], edges)))
        assert np.all(np.isnan(ecdf.wasserstein(first[0], last[0], edges, first[1], last[1])))
    assert np.all(np.isnan(ecdf.quantile(c, edges, c_ends, 0.5)))
    assert np.isnan(ecdf.ks_sorted(some, some[:0]))
    assert np.isnan(ecdf.wasserstein_sorted(some[:0], some))


def test_an_infinite_value_leaves_the_earth_movers_distance_undefined(profiled):
    edges, infinite, some = np.array([0.0, 1.0]), np.array([0.5, np.inf]), np.array([0.5, 2.0])
    (r, r_ends), (c, c_ends) = profiled(some, edges), profiled(infinite, edges)
    assert np.all(np.isnan(ecdf.wasserstein(r, c, edges, r_ends, c_ends)))
    assert np.isnan(ecdf.wasserstein_sorted(some, infinite))


def padded(counts, edges, size):
    extra = size - len(edges)
    return (
        np.concatenate([counts[: len(edges) + 1], np.zeros(extra, np.int64), counts[len(edges) + 1 :]]),
        np.concatenate([edges, np.full(extra, np.inf)]),
    )


@examples
@given(data=comparisons(), size=st.integers(0, 5))
def test_padding_changes_nothing(data, size, profiled):
    reference, current, edges = data
    (r, r_ends), (c, c_ends) = profiled(reference, edges), profiled(current, edges)
    (r_pad, wide), (c_pad, _) = (padded(counts, edges, len(edges) + size) for counts in (r, c))
    plain = [
        *ecdf.kolmogorov_smirnov(r, c, edges),
        *ecdf.wasserstein(r, c, edges, r_ends, c_ends),
        *ecdf.quantile(r, edges, r_ends, 0.3),
    ]
    padding = [
        *ecdf.kolmogorov_smirnov(r_pad, c_pad, wide),
        *ecdf.wasserstein(r_pad, c_pad, wide, r_ends, c_ends),
        *ecdf.quantile(r_pad, wide, r_ends, 0.3),
    ]
    np.testing.assert_allclose(padding, plain, rtol=1e-12)


@examples
@given(columns=st.lists(comparisons(), min_size=1, max_size=4))
def test_a_batch_of_padded_columns_equals_a_loop(columns, profiled):
    size = max(len(edges) for _, _, edges in columns)
    r, c, e, r_ends, c_ends, alone = [], [], [], [], [], []
    for reference, current, edges in columns:
        (a, a_ends), (b, b_ends) = profiled(reference, edges), profiled(current, edges)
        alone.append(
            [
                *ecdf.kolmogorov_smirnov(a, b, edges),
                *ecdf.wasserstein(a, b, edges, a_ends, b_ends),
                *ecdf.quantile(a, edges, a_ends, 0.6),
            ]
        )
        a, wide = padded(a, edges, size)
        for batch, item in (
            (r, a),
            (c, padded(b, edges, size)[0]),
            (e, wide),
            (r_ends, a_ends),
            (c_ends, b_ends),
        ):
            batch.append(item)
    r, c, e, r_ends, c_ends = map(np.array, (r, c, e, r_ends, c_ends))
    batch = [
        *ecdf.kolmogorov_smirnov(r, c, e),
        *ecdf.wasserstein(r, c, e, r_ends, c_ends),
        *ecdf.quantile(r, e, r_ends, 0.6),
    ]
    np.testing.assert_allclose(np.array(batch).T, alone, rtol=1e-12)


def test_a_thousand_quantile_edges_pin_down_a_normal_distribution(profiled):
    rng = np.random.default_rng(1)
    reference, current = rng.normal(size=100_000), rng.normal(0.01, size=100_000)
    edges = np.unique(np.quantile(reference, np.linspace(0, 1, 1024)))
    (r, r_ends), (c, c_ends) = profiled(reference, edges), profiled(current, edges)
    ks = ecdf.kolmogorov_smirnov(r, c, edges)
    earth = ecdf.wasserstein(r, c, edges, r_ends, c_ends)
    assert ks.upper - ks.lower < 0.0015
    assert earth.value == pytest.approx(stats.wasserstein_distance(reference, current), rel=0.02)
