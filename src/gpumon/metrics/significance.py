"""What a metric comes to when nothing has changed: p-values and critical values, read off the same arrays as the metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.statistics import distances, significance

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from gpumon.metrics.readings import Readings

    Floats = NDArray[np.float64]

__all__ = ["CHI_SQUARE", "CRAMER", "GOOD_TURING", "KOLMOGOROV", "PROPORTION", "WELCH", "Null"]


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
    """Of a difference of two means, in the reference's standard deviations."""
    (reference, current) = readings["moments"]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = [
            m2 / np.maximum(n - 1, 1) for n, m2 in ((x[..., 0], x[..., 2]) for x in (reference, current))
        ]
        return np.asarray(np.sqrt((spread[0] / reference[..., 0] + spread[1] / current[..., 0]) / spread[0]))


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


def _unseen_mass(level: float, readings: Readings) -> Floats:
    """The share of rows with values that the reference lacks which chance alone exceeds with probability ``level``.

    The mass of the values that n rows did not show is about the share of those they showed once (Good 1953), and
    with probability 1 − δ below that plus (2√2 + √3)·√(ln(3/δ) / n) (McAllester & Schapire 2000); then a sample of
    m rows is drawn from it.
    """
    (once, n), (_, m) = ((x[..., 0], x[..., 1]) for x in readings["singletons"])
    with np.errstate(divide="ignore", invalid="ignore"):
        mass = np.clip(once / n + (2 * np.sqrt(2) + np.sqrt(3)) * np.sqrt(np.log(6 / level) / n), 0, 1)
        mass = np.where(once == 0, np.minimum(mass, np.log(2 / level) / n), mass)
        return np.asarray(mass + _z(level) * np.sqrt(mass * (1 - mass) / m))


KOLMOGOROV = Null(
    lambda value, readings: significance.kolmogorov_p(value, *_sizes(readings)),
    lambda level, readings: significance.kolmogorov_critical(level, *_sizes(readings)),
)
CHI_SQUARE = Null(
    lambda value, readings: significance.chi_square_p(value, distances.chi_square_dof(*readings["bins"])),
    lambda level, readings: significance.chi_square_critical(
        level, distances.chi_square_dof(*readings["bins"])
    ),
)
CRAMER = Null(
    lambda _, readings: significance.chi_square_p(
        distances.chi_square(*readings["bins"]), distances.chi_square_dof(*readings["bins"])
    ),
    _cramer_critical,
)
WELCH = Null(
    lambda _, readings: significance.welch_p(*readings["moments"]),
    lambda level, readings: _z(level) * _standard_error(readings),
)
GOOD_TURING = Null(
    lambda value, _: np.full(np.shape(value), np.nan),
    _unseen_mass,
)
PROPORTION = Null(
    lambda _, readings: significance.two_proportion_p(*(x for side in _missing(readings) for x in side)),
    lambda level, readings: _z(level) * _proportion_error(readings),
)
