"""Control charts: p charts of shares, and CUSUM and EWMA charts of deviations in standard errors.

Windows stand on the last axis, in the order of time. Of p charts, ``counts`` of ``rows`` of each window are of a kind, such
as predicted to be of a class, and ``centre`` is the share that is usual; they may be weighted (float). Laney's p′ charts are
of windows that differ by more than their rows explain. The limits of CUSUM and EWMA charts come from the average run
length (ARL), the mean number of windows between false alarms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from gpumon.statistics import Floats

__all__ = [
    "Cusum",
    "PChart",
    "cusum",
    "cusum_arl",
    "cusum_limit",
    "ewma",
    "ewma_arl",
    "ewma_limit",
    "laney_spread",
    "p_chart",
    "p_chart_critical",
    "p_chart_p",
]

MOVING_RANGE = 2 / np.sqrt(np.pi)
"""The mean of |a − b| of two standard normals, d₂ of ranges of two."""

EFFICIENCY = 0.605
"""Of a mean moving range beside the standard deviation: it is worth that part of the degrees of freedom (Hoel 1946)."""

NODES = 96
"""Nodes of the Gauss and Legendre quadrature of run lengths; 48 give the same seven digits."""


class PChart(NamedTuple):
    """A p chart: the deviation of each window from the centre [sigma], and its control limits [0 to 1]; (..., windows)."""

    z: Floats
    lower: Floats
    upper: Floats


def p_chart(
    counts: ArrayLike, rows: ArrayLike, centre: ArrayLike, spread: ArrayLike = 1.0, sigmas: float = 3.0
) -> PChart:
    """Shewhart's p chart of shares with limits for each window's rows, or with a ``spread`` Laney's p′ chart.

    Sigma is spread·√(c (1 − c) / rows), z = (share − c) / sigma, and the limits are c ± ``sigmas``·sigma, cut off at 0 and
    1. ``centre`` and ``spread`` are (...) or (..., 1). With spread 1, z is that of ``statsmodels.stats.proportion.proportions_ztest
    (counts, rows, value=c, prop_var=c)``. NaN where there are no rows. Source: Shewhart (1931); Laney (2002), Qual. Eng. 14.

    >>> chart = p_chart([12, 40], [100, 100], 0.2)
    >>> chart.z, chart.lower, chart.upper
    (array([-2.,  5.]), array([0.08, 0.08]), array([0.32, 0.32]))
    """
    k, n, c, s = (np.asarray(x, np.float64) for x in (counts, rows, centre, spread))
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(n > 0, n, np.nan)
        sigma = s * np.sqrt(c * (1 - c) / size)
        change = k / size - c
        z = np.where(change == 0, 0.0, change / sigma)
    lower, upper = (np.clip(c + side * sigmas * sigma, 0.0, 1.0) for side in (-1, 1))
    return PChart(np.asarray(z), np.asarray(lower), np.asarray(upper))


def laney_spread(z: Floats) -> Floats:
    """Laney's σ_z of windows that are in control, from their ``p_chart`` z (..., windows) [sigma, 0 or more].

    The mean of |z − z of the window before| over 2/√π; NaN windows are left out, NaN of fewer than two. About 1 where the
    rows explain how the windows differ, more where days differ by themselves. Source: Laney (2002), Qual. Eng. 14.

    >>> round(float(laney_spread(np.array([1.0, -1.0, 1.0, np.nan, -1.0]))), 3)
    1.772
    """
    z = np.asarray(z, np.float64)
    known = np.isfinite(z)
    order = np.argsort(~known, axis=-1, kind="stable")  # those that are known first, in time
    ordered = np.take_along_axis(np.where(known, z, 0.0), order, axis=-1)
    windows = np.count_nonzero(known, axis=-1)
    steps = np.abs(np.diff(ordered, axis=-1))
    used = np.arange(steps.shape[-1]) < windows[..., None] - 1
    mean = np.sum(steps, axis=-1, where=used) / np.where(windows > 1, windows - 1, 1)
    return np.asarray(np.where(windows > 1, mean / MOVING_RANGE, np.nan))


def p_chart_critical(
    level: float,
    rows: ArrayLike,
    centre: ArrayLike,
    reference_rows: ArrayLike = np.inf,
    spread: ArrayLike = 1.0,
    windows: ArrayLike = 0,
) -> Floats:
    """The |z| of a p′ chart of max(``spread``, 1) that an unchanged window exceeds with a probability of about ``level`` [sigma].

    The quantile of the normal, corrected for the skewness of a share of few rows (Cornish & Fisher 1938) and for a centre that
    is the share of ``reference_rows`` rows; or, where that is more, ``spread`` times Student's, if the spread was
    estimated from so many ``windows`` (``EFFICIENCY``·(windows − 1) degrees of freedom), with the skewness of a negative
    binomial of that spread. Up to four times as often where the reference has five rows of the kind. All broadcast.
    Source: Cornish & Fisher (1938), Rev. Inst. Int. Stat. 5; Hoel (1946), Ann. Math. Stat. 17.

    >>> p_chart_critical(0.0027, [1_000_000, 50], 0.1).round(2)
    array([3.  , 3.5])
    >>> float(p_chart_critical(0.0027, 1_000_000, 0.1, spread=2.0, windows=30).round(2))
    3.51
    """
    n, c, total, s, k = (np.asarray(x, np.float64) for x in (rows, centre, reference_rows, spread, windows))
    reach = float(-special.ndtri(level / 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(n > 0, n, np.nan)
        skewness = np.abs(1 - 2 * c) / np.sqrt(size * c * (1 - c))
        unsure = np.sqrt(1 + size / total)
        own = reach * unsure + (reach**2 - 1) * skewness / 6
        dof = EFFICIENCY * (k - 1)
        student = -special.stdtrit(np.where(dof > 0, dof, np.nan), level / 2)
        more = np.fmax(s, 1.0) ** 2
        skewness = skewness * (2 * more - 1) / np.sqrt(more)
        between = np.where(k > 1, s * (student * unsure + (student**2 - 1) * skewness / 6), 0.0)
        return np.asarray(np.maximum(own, between) / np.fmax(s, 1.0))


def p_chart_p(
    z: ArrayLike,
    rows: ArrayLike,
    reference_rows: ArrayLike = np.inf,
    spread: ArrayLike = 1.0,
    windows: ArrayLike = 0,
) -> Floats:
    """Two-sided p-value of the z of a p′ chart of max(``spread``, 1) [0 to 1].

    The larger of that of the rows (normal) and that of the ``windows`` that the spread was estimated from (Student); see
    ``p_chart_critical``, which also looks at the skewness of few rows.

    >>> round(float(p_chart_p(3.0, 100)), 4)
    0.0027
    """
    z, n, total, s, k = (np.asarray(x, np.float64) for x in (z, rows, reference_rows, spread, windows))
    dof = EFFICIENCY * (k - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.abs(z) * np.fmax(s, 1.0) / np.sqrt(1 + n / total)
        student = np.where(k > 1, special.stdtr(np.where(dof > 0, dof, np.nan), -scaled / s), 0.0)
    return np.asarray(np.where(np.isnan(scaled), np.nan, 2 * np.fmax(special.ndtr(-scaled), student)))


class Cusum(NamedTuple):
    """Upper and lower cumulative sums, (..., windows) [standard errors]; an alarm is one above the limit."""

    upper: Floats
    lower: Floats


def cusum(z: Floats, slack: float = 0.5) -> Cusum:
    """Cumulative sums of ``z`` (..., windows), less ``slack`` a window and never below 0, upward and downward.

    ``slack`` of half the shift to be found [standard errors] finds it fastest. Over a limit of ``cusum_limit`` it is
    an alarm; the change began after the last 0. Source: Page (1954), Biometrika 41; Hawkins & Olwell (1998).

    >>> cusum(np.array([0.0, 2.0, 2.0, -3.0]))
    Cusum(upper=array([0. , 1.5, 3. , 0. ]), lower=array([0. , 0. , 0. , 2.5]))
    """
    found = []
    for sign in (1.0, -1.0):
        walk = np.cumsum(sign * np.asarray(z, np.float64) - slack, axis=-1)
        found.append(walk - np.minimum(np.minimum.accumulate(walk, axis=-1), 0.0))
    return Cusum(*found)


def ewma(z: Floats, weight: float = 0.1) -> Floats:
    """Exponentially weighted means of ``z`` (..., windows) from 0 on, in their own standard errors, (..., windows).

    weight·z + (1 − weight)·the one before, over its exact standard deviation, which grows from ``weight`` to
    √(weight / (2 − weight)); an alarm beyond ± ``ewma_limit``. Source: Roberts (1959), Technometrics 1.

    >>> ewma(np.array([1.0, 1.0, 1.0]), 0.5).round(3)
    array([1.   , 1.342, 1.528])
    """
    z = np.asarray(z, np.float64)
    found, level = np.empty_like(z), np.zeros(z.shape[:-1])
    for window in range(z.shape[-1]):
        level = level + weight * (z[..., window] - level)
        found[..., window] = level
    age = np.arange(1, z.shape[-1] + 1)
    deviation = np.sqrt(weight / (2 - weight) * -np.expm1(2 * age * np.log1p(-weight)))
    return np.asarray(found / deviation)


def cusum_arl(limit: float, slack: float = 0.5, shift: float = 0.0, two_sided: bool = True) -> float:
    """Average run length of ``cusum`` until an alarm, for normal z with mean ``shift`` [windows].

    From the integral equation of the run length by quadrature. Source: Hawkins & Olwell (1998), Cumulative Sum
    Charts; their table: limit 4, slack 0.5: 335.4 one-sided, 167.7 two-sided.

    >>> round(cusum_arl(4.0, two_sided=False), 1), round(cusum_arl(4.0, shift=1.0, two_sided=False), 2)
    (335.4, 8.38)
    """
    node, weight = _quadrature(0.0, limit)
    start = np.concatenate([[0.0], node])

    def one_side(mean: float) -> float:
        step = node - start[:, None] + slack - mean
        kernel = np.column_stack([special.ndtr(slack - mean - start), _normal(step) * weight])
        return float(np.linalg.solve(np.eye(len(start)) - kernel, np.ones(len(start)))[0])

    up = one_side(shift)
    return 1 / (1 / up + 1 / one_side(-shift)) if two_sided else up


def ewma_arl(limit: float, weight: float = 0.1, shift: float = 0.0) -> float:
    """Average run length of ``ewma`` beyond ± ``limit`` of its final standard deviation, for normal z [windows].

    Source: Crowder (1987), Technometrics 29; Lucas & Saccucci (1990), Technometrics 32: weight 0.1, limit 2.814: 500.

    >>> round(ewma_arl(2.814, 0.1)), round(ewma_arl(2.814, 0.1, shift=1.0), 1)
    (500, 10.3)
    """
    end = limit * np.sqrt(weight / (2 - weight))
    node, mass = _quadrature(-end, end)
    start = np.concatenate([[0.0], node])
    kernel = _normal((node - (1 - weight) * start[:, None]) / weight - shift) / weight * mass
    lengths = np.linalg.solve(np.eye(len(node)) - kernel[1:], np.ones(len(node)))
    return float(1 + kernel[0] @ lengths)


def cusum_limit(arl: float, slack: float = 0.5, two_sided: bool = True) -> float:
    """The limit of ``cusum`` with which a false alarm comes once in ``arl`` windows [standard errors].

    >>> round(cusum_limit(370.0), 3)
    4.774
    """
    return _inverse(lambda limit: cusum_arl(limit, slack, 0.0, two_sided), arl)


def ewma_limit(arl: float, weight: float = 0.1) -> float:
    """The limit of ``ewma`` with which a false alarm comes once in ``arl`` windows [its standard deviations].

    >>> round(ewma_limit(500.0, 0.1), 3)
    2.814
    """
    return _inverse(lambda limit: ewma_arl(limit, weight), arl)


def _quadrature(left: float, right: float) -> tuple[Floats, Floats]:
    """Gauss and Legendre's nodes and weights on an interval."""
    node, weight = np.polynomial.legendre.leggauss(NODES)
    half = (right - left) / 2
    return left + half * (node + 1), half * weight


def _normal(x: Floats) -> Floats:
    """Density of the standard normal distribution."""
    return np.asarray(np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi))


def _inverse(length: Callable[[float], float], arl: float) -> float:
    """The limit at which a run length that grows with it is ``arl``; 64 at most."""

    def short(limit: float) -> bool:  # beyond some 1e14 windows the equations have no digits left
        return 0 < length(limit) < arl

    low, high = 0.0, 1.0
    while short(high) and high < 64:
        low, high = high, high + 0.5
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if short(middle) else (low, middle)
    return high
