"""The density curve against scipy's on the raw values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from gpumon.statistics.density import density

SHAPES = {
    "normal": lambda rng: rng.normal(size=20_000),
    "bimodal": lambda rng: np.concatenate([rng.normal(-3, 1, 8_000), rng.normal(4, 0.5, 5_000)]),
    "exponential": lambda rng: rng.exponential(size=20_000),
    "uniform": lambda rng: rng.random(20_000) * 1e9,
    "small": lambda rng: rng.normal(size=40) * 1e-9,
    "lognormal": lambda rng: rng.lognormal(sigma=0.8, size=20_000),
    "integers": lambda rng: rng.poisson(7, 20_000).astype(float),
}


def edges_of(values, cells=1_024):
    distinct = np.unique(values)
    if len(distinct) <= cells:
        return np.unique([distinct, np.nextafter(distinct, np.inf)])
    return np.unique(np.quantile(values, np.linspace(0, 1, cells)))


@pytest.mark.parametrize("shape", SHAPES)
def test_the_curve_is_within_a_fiftieth_of_the_peak_of_scipys(shape, profiled):
    values = SHAPES[shape](np.random.default_rng(0))
    edges = edges_of(values)
    counts, extremes = profiled(values, edges)
    points = np.linspace(*np.quantile(values, [0, 1]), 256)
    expected = stats.gaussian_kde(values)(points)
    np.testing.assert_allclose(
        density(counts, edges, extremes, points), expected, rtol=0, atol=0.02 * expected.max()
    )


def test_the_curve_encloses_the_area_one(profiled):
    values = np.random.default_rng(1).normal(size=5_000)
    edges = np.linspace(-1, 1, 30)
    counts, extremes = profiled(values, edges)
    points = np.linspace(-12, 12, 2_001)
    assert integrate.trapezoid(density(counts, edges, extremes, points), points) == pytest.approx(1, abs=1e-6)


def test_columns_are_computed_together(profiled):
    columns = np.random.default_rng(2).normal(size=(2, 300))
    edges = np.sort(columns[:, ::20], axis=-1)
    counts, extremes = (np.array(part) for part in zip(*map(profiled, columns, edges), strict=True))
    points = np.linspace(-2, 2, 5) + np.zeros((2, 1))
    both = density(counts, edges, extremes, points)
    assert both.shape == (2, 5)
    for column in range(2):
        np.testing.assert_allclose(
            both[column], density(counts[column], edges[column], extremes[column], points[column])
        )


def test_no_spread_has_no_density(profiled):
    edges = np.array([0.0, np.nextafter(0, 1), 1.0])
    for values in (np.zeros(9), np.full(3, np.nan)):
        counts, extremes = profiled(values, edges)
        assert np.all(np.isnan(density(counts, edges, extremes, np.array([0.0, 1.0]))))


def test_infinite_values_do_not_widen_the_curve(profiled):
    values = np.random.default_rng(3).normal(size=4_000)
    edges = edges_of(values, 256)
    points = np.linspace(-3, 3, 31)
    plain = density(*profiled(values, edges)[:1], edges, profiled(values, edges)[1], points)
    counts, extremes = profiled(np.append(values, [np.inf, -np.inf]), edges)
    np.testing.assert_allclose(density(counts, edges, extremes, points), plain, atol=0.01)
