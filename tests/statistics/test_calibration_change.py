"""Changes of the calibration error: none by chance, found where they are; distances of equal samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from gpumon.statistics.calibration import expected_calibration_error
from gpumon.statistics.calibration_change import calibration_error_change
from gpumon.statistics.significance import jensen_shannon_chance


def bins(rng, rows, bend=0.0):
    p = rng.random(rows)
    y = rng.random(rows) < np.clip(p + bend * np.sin(np.pi * p), 0, 1)
    at = np.minimum((p * 15).astype(int), 14)
    return np.array([np.bincount(at, w, 15) for w in (np.ones(rows), y, p)])


def test_the_value_is_the_difference_of_the_errors_and_0_of_equal_shares():
    rng = np.random.default_rng(0)
    before, after = bins(rng, 3_000), bins(rng, 500, 0.1)
    found = calibration_error_change(before, after)
    expected = expected_calibration_error(*after) - expected_calibration_error(*before)
    assert found.value == pytest.approx(float(expected))
    assert calibration_error_change(before, 3 * before).value == pytest.approx(0)


def test_p_values_are_even_when_only_the_rows_are_fewer():
    rng = np.random.default_rng(1)
    before = bins(rng, 40_000)
    found = calibration_error_change(before, np.stack([bins(rng, 400) for _ in range(300)]))
    assert (found.value > 0.02).mean() > 0.5  # few rows look badly calibrated
    assert 0.4 < found.p.mean() < 0.6
    assert (found.p < 0.05).mean() < 0.1
    assert (found.value > found.critical(1e-3)).mean() < 0.02
    z = (found.value - found.usual) / found.deviation
    assert stats.kstest(z, "norm").pvalue > 1e-3


def test_a_change_of_calibration_is_found():
    rng = np.random.default_rng(2)
    before = bins(rng, 40_000)
    found = calibration_error_change(before, np.stack([bins(rng, 4_000, 0.12) for _ in range(20)]))
    assert (found.p < 0.01).all()
    assert (found.value > found.critical(1e-5)).all()


def test_without_rows_nothing_is_known():
    rng = np.random.default_rng(3)
    found = calibration_error_change(bins(rng, 100), np.zeros((3, 15)))
    assert np.isnan(found.value)
    assert np.isnan(found.p)


@pytest.mark.parametrize(("bins_", "n", "m"), [(10, 3_000, 400), (5, 500, 500), (30, 20_000, 2_000)])
def test_distances_of_samples_of_one_distribution_are_as_large_as_stated(bins_, n, m):
    rng = np.random.default_rng(4)
    share = rng.dirichlet(np.full(bins_, 5.0))
    drawn = [
        jensenshannon(rng.multinomial(n, share), rng.multinomial(m, share), base=2) for _ in range(3_000)
    ]
    mean, deviation = jensen_shannon_chance(bins_ - 1, n, m)
    assert np.mean(drawn) == pytest.approx(float(mean), rel=0.02)
    assert np.std(drawn) == pytest.approx(float(deviation), rel=0.06)
    scale = np.sqrt((1 / n + 1 / m) / (8 * np.log(2)))
    chi = stats.chi(bins_ - 1, scale=scale)
    assert (mean, deviation) == pytest.approx((chi.mean(), chi.std()))


@pytest.mark.parametrize(("n", "m"), [(1_000, 200), (200, 200), (4_000, 200)])
def test_the_mean_distance_by_chance_is_right_to_the_second_order_where_bins_have_few_rows(n, m):
    rng = np.random.default_rng(5)
    share = np.array([0.05, 0.05, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2])
    samples = rng.multinomial(n, share, 40_000) / n, rng.multinomial(m, share, 40_000) / m
    drawn = np.square(jensenshannon(*samples, base=2, axis=-1))
    (first, _), (second, deviation) = (
        jensen_shannon_chance(9, n, m, rarity) for rarity in (None, (1 / share).sum())
    )
    expected = float(second**2 + deviation**2)  # of the divergence; deviation is of the first order
    assert np.mean(drawn) == pytest.approx(expected, rel=0.005)
    assert np.mean(drawn) > 1.01 * float(first**2 + deviation**2)
