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
    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Floats

__all__ = [
    "Slope",
    "between_variance",
    "beyond",
    "cusum_up",
    "ewma_up",
    "excess_ewma",
    "excess_limit",
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
    known = np.isfinite(excess) & np.isfinite(deviation)
    return _faded(excess, known, weight), np.sqrt(_faded(deviation**2, known, weight, 2))


def excess_limit(
    reach: float,
    dof: Floats,
    rows: Floats,
    reference_rows: ArrayLike,
    usual: Floats,
    deviation: Floats,
    weight: float = WEIGHT,
) -> Floats:
    """What ``excess_ewma`` of Jensen-Shannon distances exceeds with the probability that a normal exceeds ``reach``.

    (windows,), as ``usual`` and ``deviation``, which ``significance.jensen_shannon_chance`` gives for windows of ``rows`` and
    ``dof`` beside a reference of ``reference_rows``; the deviation may be more. All distances are to one reference, so what chance
    did to it moves them together, and no mean over windows takes that away: two distances have the correlation ρ² with ρ
    = rows / (rows + reference_rows). Of the reference's chance, a chi-square (Wilson & Hilferty 1931), and the windows' own,
    normal with the skewness of a chi (Cornish & Fisher 1938), the likeliest pair counts that is ``reach`` standard
    deviations away (first-order reliability). Source: Hasofer & Lind (1974), J. Eng. Mech. 100.

    >>> dof, rows, usual, deviation = (np.full(100, each) for each in (9.0, 200.0, 0.096, 0.023))
    >>> [round(float(excess_limit(4.8, dof, rows, n, usual, deviation)[-1]), 4) for n in (1_000, 1_000_000)]
    [0.0368, 0.0268]
    """
    dof, rows, before, usual, deviation = np.broadcast_arrays(
        *(np.asarray(x, np.float64) for x in (dof, rows, reference_rows, usual, deviation))
    )
    known = np.isfinite(usual) & np.isfinite(deviation) & (dof > 0) & (rows > 0) & (before > 0)
    k, m, n = (np.where(known, each, 1.0) for each in (dof, rows, before))
    angle = np.linspace(0.0, np.pi / 2, 33)[:, None]
    apart, alike = reach * np.cos(angle), reach * np.sin(angle)
    width = np.sqrt(2 / (9 * k))
    chance = np.maximum(1 - width**2 + alike * width, 0.0) ** 3  # chi-square over its degrees of freedom
    ratio = (1 / m + chance / n) / (1 / m + 1 / n)
    together = _faded(usual * (np.sqrt(ratio) - 1), known, weight)
    mean = np.sqrt(2) * np.exp(special.gammaln((k + 1) / 2) - special.gammaln(k / 2))
    variance = k - mean**2
    correlation = (m / (m + n)) ** 2
    own = deviation * np.sqrt(1 - correlation**2)
    error = np.sqrt(_faded(own**2, known, weight, 2))
    third = _faded(mean * (1 - 2 * variance) / variance**1.5 * own**3, known, weight, 3)
    with np.errstate(divide="ignore", invalid="ignore"):
        skewness = np.where(error > 0, third / error**3, 0.0)
    skewed = apart + np.maximum(apart**2 - 1, 0.0) / 6 * skewness
    return np.asarray(np.max(together + skewed * error, axis=0))


def _faded(values: Floats, known: NDArray[np.bool_], weight: float, power: int = 1) -> Floats:
    """Σ (weight·(1 − weight)^age)^power · value over the known windows so far (..., windows)."""
    known = np.broadcast_to(known, values.shape)
    values = np.where(known, values, 0.0) * weight**power
    now, found = np.zeros(values.shape[:-1]), np.empty(values.shape)
    for window in range(values.shape[-1]):
        now = np.where(known[..., window], (1 - weight) ** power * now + values[..., window], now)
        found[..., window] = now
    return found


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
