"""The noise floor: draws with the right moments, p-values that are uniform, limits that are exceeded as often as said."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gpumon.statistics import distances, resampling

MIXED = np.array([[5_000, 3_000, 2_000, 7, 0], [10, 12, 9, 3, 1], [1, 0, 0, 0, 0]])


@pytest.mark.parametrize(("n", "m"), [(40_000, 30_000), (200, 5_000)])
def test_draws_add_up_and_have_the_moments_of_the_multinomial(n, m):
    draws = resampling.resampled(MIXED, n, m, draws=4_000, seed=1)
    for sample, size in zip(draws, (n, m), strict=True):
        assert sample.shape == (3, 4_000, 5)
        assert np.all(sample >= 0)
        np.testing.assert_allclose(sample.sum(axis=-1), size, rtol=1e-12)
        for column, counts in enumerate(MIXED):
            law = stats.multinomial(size, counts / counts.sum())
            deviation = np.sqrt(np.diag(law.cov()))
            np.testing.assert_allclose(
                sample[column].mean(axis=0),
                law.mean(),
                rtol=0,
                atol=float(5 * deviation.max() / np.sqrt(4_000)),
            )
            scale = np.outer(deviation, deviation) + 1e-9
            assert np.max(np.abs(np.cov(sample[column].T) - law.cov()) / scale) < 0.12


def test_rare_bins_are_drawn_as_whole_rows():
    reference, _ = resampling.resampled(MIXED, 40_000, 40_000, draws=500, seed=1)
    rare = reference[0, :, 3:]
    np.testing.assert_array_equal(rare, np.rint(rare))


def test_the_two_samples_are_independent():
    reference, current = resampling.resampled(MIXED[:2], 50_000, 50_000, draws=4_000, seed=3)
    for r, c in zip(reference, current, strict=True):
        correlation = np.corrcoef(r.T[:4], c.T[:4])[:4, 4:]
        assert np.max(np.abs(correlation)) < 0.08


def test_a_column_does_not_depend_on_its_neighbours():
    together = resampling.noise_floor(distances.psi, MIXED, np.array([900, 80, 5]), 1_000, draws=50, seed=4)
    alone = resampling.noise_floor(distances.psi, MIXED[1:2], 80, 1_000, draws=50, seed=4)
    again = resampling.noise_floor(distances.psi, MIXED[1:2], 80, 1_000, draws=50, seed=4)
    other = resampling.noise_floor(distances.psi, MIXED[1:2], 80, 1_000, draws=50, seed=5)
    np.testing.assert_array_equal(together.draws[1], alone.draws[0])
    np.testing.assert_array_equal(again.draws, alone.draws)
    assert not np.array_equal(other.draws, alone.draws)


@pytest.mark.parametrize("rows", [1_000, 20_000])  # 100 a bin: true multinomial at the edge; 2,000: normal
def test_psi_follows_the_chi_square_of_its_theory(rows):
    noise = resampling.noise_floor(distances.psi, np.full((1, 10), 77), rows, 3 * rows, draws=4_000)
    factor = 1 / rows + 1 / (3 * rows)
    assert noise.mean[0] / factor == pytest.approx(9, rel=0.04)
    assert noise.variance[0] / factor**2 == pytest.approx(18, rel=0.15)
    for level in (0.2, 0.05, 0.001, 1e-6):
        assert noise.critical(level)[0] == pytest.approx(factor * stats.chi2.isf(level, 9), rel=0.08)
    value = factor * stats.chi2.isf(1e-5, 9)
    assert noise.p_value([value])[0] == pytest.approx(1e-5, rel=0.8)


def ordered(reference, current):
    return resampling.wasserstein_binned(reference, current, np.ones(reference.shape[-1] - 1))


@pytest.mark.parametrize(
    "statistic",
    [
        distances.psi,
        distances.jensen_shannon,
        distances.hellinger,
        distances.total_variation,
        distances.infinity_norm,
        distances.chi_square,
        ordered,
    ],
)
@pytest.mark.parametrize(("level", "factor"), [(0.1, 1.3), (0.01, 1.6), (0.001, 3)])
def test_the_critical_value_is_exceeded_as_often_as_said(statistic, level, factor):
    counts = np.array([[30_000, 20_000, 10_000, 25_000, 15_000, 400]])
    noise = resampling.noise_floor(statistic, counts, 30_000, 20_000)
    rng = np.random.default_rng(9)
    samples = [rng.multinomial(size, counts[0] / counts.sum(), 40_000) for size in (30_000, 20_000)]
    exceeded = np.mean(statistic(*samples) > noise.critical(level)[0])
    assert level / factor < exceeded < level * factor


@pytest.mark.parametrize("statistic", [distances.psi, distances.hellinger])
def test_the_p_value_falls_without_a_jump_and_far_below_one_draw(statistic):
    noise = resampling.noise_floor(statistic, np.full((1, 8), 999), 5_000, 5_000, draws=500)
    values = np.linspace(0, 3 * noise.draws[0, -1], 4_000)
    p = np.array([noise.p_value(value)[0] for value in values])
    assert p[0] == 1
    assert np.all(np.diff(p) <= 0)
    assert np.max(-np.diff(p)) < 0.03
    assert 0 < p[-1] < 1e-6
    joint = noise.draws[0, -10]
    assert noise.p_value([np.nextafter(joint, 1)])[0] == pytest.approx(noise.p_value([joint])[0], rel=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.2, 0.05, 11 / 1001, 0.01, 1e-3, 1e-5])
def test_the_critical_value_inverts_the_p_value(level):
    noise = resampling.noise_floor(distances.jensen_shannon, np.array([[500, 400, 300]]), 9_000, 9_000)
    assert noise.p_value(noise.critical(level))[0] == pytest.approx(level, rel=1e-6, abs=1.01 / 1001)


def test_critical_values_rise_as_the_level_falls():
    noise = resampling.noise_floor(
        distances.psi, np.array([[500, 400, 300], [5, 1, 1]]), 9_000, 900, draws=200
    )
    limits = np.array([noise.critical(level) for level in np.geomspace(1, 1e-9, 200)])
    assert np.all(np.diff(limits, axis=0) >= 0)


def test_a_constant_column_makes_no_noise():
    noise = resampling.noise_floor(distances.psi, np.array([[50, 0]]), 100, 100, draws=30)
    assert noise.mean[0] == noise.variance[0] == noise.critical(0.05)[0] == noise.critical(1e-6)[0] == 0
    assert noise.p_value([0.0])[0] == 1
    assert noise.p_value([0.1])[0] == 0


def test_a_column_without_rows_has_no_noise_floor():
    noise = resampling.noise_floor(distances.psi, np.array([[0, 0], [4, 4]]), 10, np.array([10, 0]), draws=30)
    assert np.all(np.isnan(noise.mean))
    assert np.all(np.isnan(noise.p_value([0.1, 0.1])))
    assert np.all(np.isnan(noise.critical(0.05)))
    assert np.all(np.isnan(noise.critical(1e-5)))


def test_the_binned_earth_movers_distance_equals_scipy_on_the_centres():
    rng = np.random.default_rng(0)
    for _ in range(50):
        r, c = rng.integers(0, 9, (2, 6)) + np.eye(6, dtype=np.int64)[:2]
        centres = np.sort(rng.normal(size=6))
        exact = stats.wasserstein_distance(centres, centres, r, c)
        assert resampling.wasserstein_binned(r, c, np.diff(centres)) == pytest.approx(
            exact, rel=1e-9, abs=1e-12
        )
        assert resampling.wasserstein_binned(r, c, np.diff(centres, append=9)) == pytest.approx(
            exact, rel=1e-9, abs=1e-12
        )


def test_widths_go_to_their_columns():
    counts, widths = np.full((2, 3), 500), np.array([[1.0, 1.0], [10.0, 10.0]])
    noise = resampling.noise_floor(resampling.wasserstein_binned, counts, 900, 900, draws=40, widths=widths)
    np.testing.assert_allclose(noise.mean[1], 10 * noise.mean[0])


@pytest.mark.parametrize("windows", [8, 30, 100])
@pytest.mark.parametrize("freedom", [3, 10, 50])
@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
def test_a_limit_from_history_is_exceeded_as_often_as_said(windows, freedom, level):
    history = np.random.default_rng(2).chisquare(freedom, (20_000, windows))
    exceeded = stats.chi2.sf(resampling.critical_from_history(history, level), freedom).mean()
    assert exceeded == pytest.approx(level, rel=0.2)


def test_one_window_is_no_history():
    assert np.isnan(resampling.critical_from_history(np.array([1.0]), 0.05))
