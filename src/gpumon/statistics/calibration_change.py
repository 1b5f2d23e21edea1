"""Whether calibration has changed: the calibration error of two samples, against what their numbers of rows explain."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics.calibration import expected_calibration_error

if TYPE_CHECKING:
    from gpumon.statistics import Floats

__all__ = ["ErrorChange", "calibration_error_change"]

DRAWS = 400
FEWEST_DRAWS = 200
MOST_NUMBERS = 20_000_000
"""Random numbers for all slices together: 200 MB at a time are not needed to know a p-value."""


class ErrorChange(NamedTuple):
    """A change with its 95 % interval and p-value, and how it varies when nothing has changed; (...) each."""

    value: Floats
    lower: Floats
    upper: Floats
    p: Floats
    usual: Floats
    deviation: Floats

    def critical(self, level: float) -> Floats:
        """The change that chance exceeds with probability ``level``."""
        return np.asarray(self.usual - special.ndtri(level) * self.deviation)


def calibration_error_change(
    reference: Floats, current: Floats, level: float = 0.95, seed: int = 0
) -> ErrorChange:
    """Expected calibration error of the current sample less that of the reference [−1 to 1]; above 0: worse.

    Both (..., 3, bins): labelled rows, positive rows, Σ score. Of few rows the error comes out too large, by chance: so
    the test draws the labels of both sides anew, at least 200 times, with what the bins of both together say of the
    gap between score and label, and compares the change with those that come of it (parametric bootstrap).
    ``deviation`` is theirs, and makes the interval. NaN where a side has no rows. Source: Widmann, Lindsten & Zachariah
    (2019), NeurIPS 32, for such tests; Efron & Tibshirani (1993), ch. 6.

    >>> before = np.array([[1000.0, 1000.0], [300.0, 700.0], [300.0, 700.0]])
    >>> found = calibration_error_change(before, before + [[0, 0], [100, 100], [0, 0]])
    >>> round(float(found.value), 3), float(found.p) < 0.01
    (0.1, True)
    """
    reference, current = np.broadcast_arrays(
        np.asarray(reference, np.float64), np.asarray(current, np.float64)
    )
    sides = [(side[..., 0, :], side[..., 1, :], side[..., 2, :]) for side in (reference, current)]
    before, after = (expected_calibration_error(*side) for side in sides)
    value = np.asarray(after - before)
    (n, k, s), (m, l, t) = sides
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.nan_to_num((k + l - s - t) / (n + m))
        rates = [np.clip(np.nan_to_num(total / rows) + gap, 0, 1) for rows, _, total in sides]
    draws = int(np.clip(MOST_NUMBERS // max(2 * n.size, 1), FEWEST_DRAWS, DRAWS))
    rng = np.random.default_rng(seed)
    drawn = np.full((draws, *value.shape), np.nan)
    for i in range(draws):
        errors = [
            expected_calibration_error(rows, _dealt(rng, rows, rate), total)
            for (rows, _, total), rate in zip(sides, rates, strict=True)
        ]
        drawn[i] = errors[1] - errors[0]
    usual, deviation = drawn.mean(axis=0), drawn.std(axis=0, ddof=1)
    far = np.abs(drawn - usual) >= np.abs(value - usual) - 1e-12
    p = np.where(np.isnan(value), np.nan, (1 + far.sum(axis=0)) / (draws + 1))
    reach = float(special.ndtri((1 + level) / 2)) * deviation
    return ErrorChange(value, value - reach, value + reach, np.asarray(p), usual, deviation)


def _dealt(rng: np.random.Generator, rows: Floats, rate: Floats) -> Floats:
    """Positives among rows; effective numbers of rows need not be whole."""
    whole = np.nan_to_num(np.rint(rows))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            np.where(whole > 0, rng.binomial(whole.astype(np.int64), rate) * rows / whole, rows * rate)
        )
