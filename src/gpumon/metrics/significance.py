"""What a metric comes to when nothing has changed: p-values and critical values, read off the same arrays as the metric."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.profiles.numeric import chan
from gpumon.statistics import concept, distances, medians, significance, stuck, summaries

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gpumon.metrics.readings import Readings

    Floats = NDArray[np.float64]

__all__ = [
    "CHI_SQUARE",
    "CRAMER",
    "GOOD_TURING",
    "KOLMOGOROV",
    "MOOD",
    "ODDS",
    "POOLED",
    "PROPORTION",
    "SHARES",
    "SKEWED",
    "STUCK",
    "UNTESTED",
    "WELCH",
    "Null",
]


@dataclass(frozen=True)
class Null:
    """``p_value(value, readings)``, and ``critical(level, readings)``: the effect that is exceeded with this probability."""

    p_value: Callable[[Floats, Readings], Floats]
    critical: Callable[[float, Readings], Floats]


def _sizes(readings: Readings) -> tuple[Any, Any]:
    """Rows that are not missing on both sides."""
    reference, current = readings["present"]
    return reference, current


def _z(level: float) -> float:
    return float(-special.ndtri(level / 2))


def _standard_error(readings: Readings) -> Floats:
    """Of a difference of two means when nothing has changed, in the reference's standard deviations.

    The variance is that of both sides together: the side that lacks the rare large values of a long tail would
    promise too small an error.
    """
    reference, current = readings["moments"]
    n, m = reference[..., 0], current[..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        together = summaries.variance(chan(reference, current))
        return np.asarray(np.sqrt(together * (1 / n + 1 / m) / summaries.variance(reference)))


def _pooled_error(readings: Readings) -> Floats:
    """Of a difference of two means when nothing has changed, by the variance of both sides together."""
    reference, current = readings["moments"]
    with np.errstate(divide="ignore", invalid="ignore"):
        together = summaries.variance(chan(reference, current))
        return np.asarray(np.sqrt(together * (1 / reference[..., 0] + 1 / current[..., 0])))


def _pooled_p(change: Floats, readings: Readings) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(change) / _pooled_error(readings)
    return np.asarray(np.where(change == 0, 1.0, 2 * special.ndtr(-z)))


def _skewed_p(_: Floats, readings: Readings, of: str) -> Floats:
    return significance.greater_mean_p(*readings[of])


def _skewed_critical(level: float, readings: Readings, of: str) -> Floats:
    reference, current = readings[of]
    with np.errstate(divide="ignore", invalid="ignore"):
        critical = significance.greater_mean_critical(level, reference, current)
        return np.asarray(critical / np.abs(reference[..., 1]))


def _proportion_error(readings: Readings) -> Floats:
    (k, n), (l, m) = _missing(readings)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = (k + l) / (n + m)
        return np.asarray(np.sqrt(p * (1 - p) * (1 / n + 1 / m)))


def _missing(readings: Readings) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    reference, current = readings["missing"]
    return (reference[..., 0], reference[..., 1]), (current[..., 0], current[..., 1])


def _cramer_critical(level: float, readings: Readings) -> Floats:
    reference, current = readings["bins"]
    rows = reference.sum(axis=-1) + current.sum(axis=-1)
    dof = distances.chi_square_dof(reference, current)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(significance.chi_square_critical(level, dof) / rows))


def _table_p(_: Floats, readings: Readings) -> Floats:
    return significance.chi_square_p(
        distances.chi_square(*readings["bins"]), distances.chi_square_dof(*readings["bins"])
    )


def _shares_critical(level: float, readings: Readings) -> Floats:
    """Near no change the divergence is χ² (n + m) / (8 n m) nats, of two tables of n and of m rows."""
    reference, current = readings["bins"]
    n, m = reference.sum(axis=-1), current.sum(axis=-1)
    limit = significance.chi_square_critical(level, distances.chi_square_dof(reference, current))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sqrt(limit * (1 / n + 1 / m) / (8 * np.log(2))))


def _odds_p(change: Floats, readings: Readings) -> Floats:
    """The larger of Wald's and of the test's, which knows an infinite ratio too: one side lacks a label."""
    (tables,) = readings["tables"]
    shift, test = concept.log_odds_shift(tables), concept.cochran_mantel_haenszel(tables)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.abs(change) * 2 * _z(0.05) / (shift.upper - shift.lower)
    return np.fmax(2 * special.ndtr(-z), test.p)


def _odds_critical(level: float, readings: Readings) -> Floats:
    """No less than the shift itself where the test says that chance reaches so far."""
    (tables,) = readings["tables"]
    shift, test = concept.log_odds_shift(tables), concept.cochran_mantel_haenszel(tables)
    with np.errstate(invalid="ignore"):
        error = (shift.upper - shift.lower) / (2 * _z(0.05))
    reached = np.where(test.p > level, np.abs(shift.value), 0.0)
    return np.fmax(_z(level) * error, reached)


def _unseen_mass(level: float, readings: Readings) -> Floats:
    """The share of rows with values that the reference lacks which chance alone exceeds with probability ``level``.

    Of n rows with f₁ values that stand once and f₂ that stand twice, the mass of all values not shown is about f₁ / n
    with variance (f₁ + 2 f₂) / n² (Good 1953, Biometrika 40; Esty 1983, Annals of Statistics 11): its limit is that
    of a Poisson count of f₁ + 2 f₂, less 2 f₂. Then m rows are drawn from it.
    """
    reference, current = readings["rare"]
    once, twice, n = np.moveaxis(reference, -1, 0)
    m = current[..., 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        most = special.gammaincinv(once + 2 * twice + 1, 1 - level / 2) - 2 * twice
        mass = np.clip(most / n, 0, 1)
        return np.asarray(special.pdtrik(1 - level / 2, mass * m) / m)


def _current_cells(readings: Readings) -> tuple[Any, ...]:
    cells, now, registers = readings["cells"], readings["extremes"][1], readings["registers"][1]
    return (*cells, readings["edges"], now, registers, readings["moments"][1], readings["scale"])


def _median_critical(level: float, readings: Readings) -> Floats:
    (before, now), (ends, last) = readings["cells"], readings["extremes"]
    return medians.median_shift_critical(level, before, now, readings["edges"], ends, last, readings["scale"])


KOLMOGOROV = Null(
    lambda value, readings: significance.kolmogorov_p(value, *_sizes(readings)),
    lambda level, readings: significance.kolmogorov_critical(level, *_sizes(readings)),
)
ODDS = Null(_odds_p, _odds_critical)
"""Of the common odds ratio of a label, by Mantel and Haenszel's standard error."""
SHARES = Null(_table_p, _shares_critical)
"""Of the Jensen-Shannon distance of a few shares, by the chi-square test of the same table."""
CHI_SQUARE = Null(
    lambda value, readings: significance.chi_square_p(value, distances.chi_square_dof(*readings["bins"])),
    lambda level, readings: significance.chi_square_critical(
        level, distances.chi_square_dof(*readings["bins"])
    ),
)
CRAMER = Null(_table_p, _cramer_critical)
WELCH = Null(
    lambda _, readings: significance.welch_p(*readings["moments"]),
    lambda level, readings: _z(level) * _standard_error(readings),
)
MOOD = Null(
    lambda _, readings: medians.median_test_p(*readings["cells"]),
    _median_critical,
)
POOLED = Null(_pooled_p, lambda level, readings: _z(level) * _pooled_error(readings))
"""Of two means of a skewed quantity: few rows may all be alike, and their own variance then promises too small an error."""
SKEWED = {
    name: Null(
        partial(_skewed_p, of=f"{name}_losses"),
        partial(_skewed_critical, of=f"{name}_losses"),
    )
    for name in ("positive", "negative")
}
"""Of the mean loss of a class, of which a window may have a few rows: a share of the reference's mean, and only more."""
GOOD_TURING = Null(
    lambda value, _: np.full(np.shape(value), np.nan),
    _unseen_mass,
)
PROPORTION = Null(
    lambda _, readings: significance.two_proportion_p(*(x for side in _missing(readings) for x in side)),
    lambda level, readings: _z(level) * _proportion_error(readings),
)
UNTESTED = Null(
    lambda value, _: np.full(np.shape(value), np.nan),
    lambda _, readings: np.full(np.shape(_sizes(readings)[1]), np.nan),
)
"""Of a distance that is shown, and that no test is known for."""
STUCK = Null(
    lambda _, readings: stuck.stuck_p(*_current_cells(readings)),
    lambda level, readings: stuck.stuck_critical(level, *_current_cells(readings)),
)
