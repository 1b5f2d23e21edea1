"""A measure window by window: how far it strays beyond what is allowed, its spread between windows, its trend.

Windows stand on the last axis, in the order of time. A window has a value and its standard error; what is not known
is NaN. Control charts of these deviations are in ``control_charts``, changes of a stream of errors in ``batches``.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import changepoints, control_charts

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from gpumon.statistics import Floats

__all__ = [
    "Slope",
    "between_variance",
    "beyond",
    "cusum_up",
    "ewma_up",
    "excess_ewma",
    "one_sided_cusum_limit",
    "one_sided_ewma_limit",
    "rise",
    "trend",
]

MOST = 1_000
"""Windows up to which a trend looks at every pair; of more, neighbours are averaged first."""

WEIGHT = 0.1
"""The part that the newest window has in an exponentially weighted mean."""


class Slope(NamedTuple):
    """A trend [unit of the values a window] with its interval, and the p-value of no trend; (...) each."""

    value: Floats
    lower: Floats
    upper: Floats
    p: Floats


def beyond(change: ArrayLike, error: ArrayLike, allowed: ArrayLike) -> Floats:
    """By how many standard errors a change goes beyond what is allowed, either way [any]; 0 within it.

    sign(c)·max(|c| − allowed, 0) / error. A chart of it has no more false alarms than one of c / error, and does not
    sound for a change that is sure but too small to matter. All broadcast.

    >>> beyond([0.01, 0.05, -0.05], 0.01, 0.02)
    array([ 0.,  3., -3.])
    """
    change = np.asarray(change, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(
            np.sign(change) * np.maximum(np.abs(change) - np.asarray(allowed), 0.0) / np.asarray(error)
        )


def between_variance(values: Floats, variances: Floats) -> Floats:
    """Variance of the windows' true values, beyond what their own ``variances`` explain [unit², 0 or more].

    Both (..., windows); NaN windows are left out, 0 of fewer than two. DerSimonian and Laird's estimate: (Q − (k − 1))
    / (Σw − Σw²/Σw), with w = 1/variance and Q = Σ w (x − x̄)². Equals ``statsmodels.stats.meta_analysis.combine_effects
    (method_re="chi2").tau2``. Source: DerSimonian & Laird (1986), Control. Clin. Trials 7.

    >>> between_variance(np.array([0.1, 0.3, 0.2]), np.full(3, 0.001))
    array(0.009)
    """
    values, variances = np.broadcast_arrays(np.asarray(values, np.float64), np.asarray(variances, np.float64))
    known = np.isfinite(values) & (variances > 0)
    weight = np.where(known, 1 / np.where(known, variances, 1.0), 0.0)
    total = np.sum(weight, axis=-1)
    safe = np.where(total > 0, total, 1.0)
    x = np.where(known, values, 0.0)
    middle = np.sum(weight * x, axis=-1) / safe
    q = np.sum(weight * (x - middle[..., None]) ** 2, axis=-1)
    scale = total - np.sum(weight**2, axis=-1) / safe
    spare = q - (np.count_nonzero(known, axis=-1) - 1)
    return np.asarray(np.where(scale > 0, np.maximum(spare, 0.0) / np.where(scale > 0, scale, 1.0), 0.0))


def cusum_up(z: Floats) -> Floats:
    """Cumulative sums of ``z`` (..., windows) upward, less ½ a window and never below 0 [standard errors].

    The upper side of ``control_charts.cusum``, quickest for a lasting shift of one standard error; its limits are
    ``one_sided_cusum_limit``. Source: Page (1954), Biometrika 41.

    >>> cusum_up(np.array([0.0, 2.0, 2.0, -3.0]))
    array([0. , 1.5, 3. , 0. ])
    """
    return control_charts.cusum(z).upper


def ewma_up(z: Floats) -> Floats:
    """Exponentially weighted means of ``z`` (..., windows), weight 0.1, in their own standard errors [any].

    ``control_charts.ewma``, of which a large value is an alarm; its limits are ``one_sided_ewma_limit``. Source: Roberts
    (1959), Technometrics 1.

    >>> ewma_up(np.array([1.0, 1.0])).round(3)
    array([1.   , 1.412])
    """
    return control_charts.ewma(z, WEIGHT)


@lru_cache(maxsize=256)
def one_sided_cusum_limit(arl: float) -> float:
    """What ``cusum_up`` exceeds once in ``arl`` windows when nothing has changed.

    >>> round(one_sided_cusum_limit(335.4), 3)
    4.0
    """
    return control_charts.cusum_limit(arl, two_sided=False)


@lru_cache(maxsize=256)
def one_sided_ewma_limit(arl: float) -> float:
    """What ``ewma_up`` exceeds once in ``arl`` windows when nothing has changed: the limit of ± alarms at half of it.

    >>> round(one_sided_ewma_limit(1000.0), 3)
    2.814
    """
    return control_charts.ewma_limit(arl / 2, WEIGHT)


def rise(chart: Floats) -> tuple[int, int]:
    """Where a chart (windows,) is highest, and the first window of the rise that led there.

    The rise begins after the last window before it at which the chart was 0 or less.

    >>> rise(np.array([0.0, 1.0, 0.0, 2.0, 5.0, 1.0]))
    (4, 3)
    """
    peak = int(np.argmax(chart))
    rest = np.flatnonzero(chart[:peak] <= 0)
    return peak, int(rest[-1]) + 1 if rest.size else 0


def excess_ewma(
    values: Floats, usual: Floats, deviation: Floats, weight: float = WEIGHT
) -> tuple[Floats, Floats]:
    """Exponentially weighted mean of values above their usual size, and its standard deviation if nothing changed.

    All (..., windows): E ← weight·(value − usual) + (1 − weight)·E from 0 on, and √Σ (weight·(1 − weight)^age·
    deviation)². With one deviation the ratio of the two is ``control_charts.ewma``; here each window may have its own, as
    windows of different sizes do. NaN windows are passed over. Source: Roberts (1959), Technometrics 1.

    >>> mean, error = excess_ewma(np.array([3.0, 3.0]), np.array([1.0, 1.0]), np.array([1.0, 1.0]), 0.5)
    >>> mean, (mean / error).round(3)
    (array([1. , 1.5]), array([2.   , 2.683]))
    """
    excess, deviation = np.broadcast_arrays(
        np.asarray(values, np.float64) - usual, np.asarray(deviation, np.float64)
    )
    mean, variance = np.zeros(excess.shape), np.zeros(excess.shape)
    now, spread = np.zeros(excess.shape[:-1]), np.zeros(excess.shape[:-1])
    for window in range(excess.shape[-1]):
        new, error = excess[..., window], deviation[..., window]
        known = np.isfinite(new) & np.isfinite(error)
        now = np.where(known, now + weight * (new - now), now)
        spread = np.where(known, (1 - weight) ** 2 * spread + (weight * error) ** 2, spread)
        mean[..., window], variance[..., window] = now, spread
    return mean, np.sqrt(variance)


def trend(values: Floats, level: float = 0.95) -> Slope:
    """Theil and Sen's slope of a series (..., windows), NaN left out, with Mann and Kendall's p-value.

    ``changepoints.theil_sen`` and ``mann_kendall``: neither minds outliers, nor how the values are distributed. The
    ends are NaN where so few windows cannot give the ``level``. Of more than 1,000 windows neighbours are averaged.
    Source: Sen (1968), J. Am. Stat. Assoc. 63; Mann (1945), Econometrica 13.

    >>> found = trend(np.array([1.0, 2.0, 3.0, 5.0, 4.0]))
    >>> float(found.value), round(float(found.p), 4)
    (1.0, 0.0833)
    """
    values = np.asarray(values, np.float64)
    size = -(-values.shape[-1] // MOST)
    if size > 1:
        pad = np.full((*values.shape[:-1], -values.shape[-1] % size), np.nan)
        groups = np.concatenate((values, pad), axis=-1).reshape(*values.shape[:-1], -1, size)
        known = ~np.isnan(groups)
        rows = known.sum(axis=-1)
        sums = np.sum(groups, axis=-1, where=known)
        values = np.where(rows > 0, sums / np.where(rows > 0, rows, 1), np.nan)
    slope = changepoints.theil_sen(values, level=level)
    n = np.count_nonzero(~np.isnan(values), axis=-1)
    reach = float(special.ndtri((1 + level) / 2)) * np.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    enough = reach < n * (n - 1) / 2
    lower, upper = (np.where(enough, end / size, np.nan) for end in (slope.lower, slope.upper))
    return Slope(slope.value / size, lower, upper, changepoints.mann_kendall(values).p)
