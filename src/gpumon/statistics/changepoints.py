"""Looks back at a whole series of windows: one change point with its interval, or a trend, and how often either is chance."""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "ChangePoint",
    "Trend",
    "binomial_change_point",
    "mann_kendall",
    "normal_change_point",
    "theil_sen",
]


EXACT = 33
"""Up to so many windows without ties the p-value of the trend is exact."""


class ChangePoint(NamedTuple):
    """The first window after a change, an interval of windows, the level before and after, a p-value; (...) each."""

    at: NDArray[np.int64]
    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    before: Floats
    after: Floats
    p: Floats


class Trend(NamedTuple):
    """Kendall's tau of value and time [−1 to 1] and its two-sided p-value."""

    tau: Floats
    p: Floats


def binomial_change_point(
    k: Counts, n: Counts, level: float = 0.95, draws: int = 999, seed: int = 0
) -> ChangePoint:
    """Where, in series (..., windows) of k of n, the share changed once, with an interval and a p-value.

    ``at`` has the largest likelihood ratio against no change. The interval is the shortest set of windows that holds
    ``level`` of the posterior chances, all windows alike at first and each share uniform (Beta(1, 1)) at first; given
    as its smallest and largest window. ``p`` is exact: the same number of positives dealt out to the rows at random,
    ``draws`` times, with its largest ratio. Windows without rows tell nothing. −1 and NaN where a series has fewer
    than two windows with rows. Source: Hinkley & Hinkley (1970), Biometrika 57; Smith (1975), Biometrika 62.

    >>> found = binomial_change_point(np.array([10, 12, 9, 30, 28]), np.full(5, 100))
    >>> int(found.at), int(found.lower), int(found.upper), float(found.p)
    (3, 3, 3, 0.001)
    """
    k, n = np.broadcast_arrays(np.asarray(k), np.asarray(n))
    leading = k.shape[:-1]
    if not k.shape[-1]:
        k = n = np.zeros((*leading, 1))
    flat = [np.reshape(x, (-1, x.shape[-1])) for x in (k, n)]
    fields: list[list[float]] = []
    for ks, ns in zip(*flat, strict=True):
        fields.append(_one_change(ks.astype(np.float64), ns.astype(np.float64), level, draws, seed))
    found = np.reshape(np.array(fields, np.float64).reshape(-1, 6), (*leading, 6))
    places = found[..., :3].astype(np.int64)
    return ChangePoint(
        places[..., 0], places[..., 1], places[..., 2], found[..., 3], found[..., 4], found[..., 5]
    )


def normal_change_point(mean: Floats, variance: Floats, level: float = 0.95) -> ChangePoint:
    """Where, in series (..., windows) of means, the mean changed once, with an interval and a p-value.

    ``variance`` (..., windows) is the squared standard error of each mean, taken as known. As ``binomial_change_point``,
    with normal likelihoods and all means alike at first; ``p`` is by the approximation for the largest of a continuous
    process of likelihood ratios, so it errs upwards where windows are few. Windows whose mean is NaN tell nothing.
    −1 and NaN where a series has fewer than two windows with means. Source: Smith (1975), Biometrika 62; for p Miller &
    Siegmund (1982), Biometrics 38.

    >>> found = normal_change_point(np.array([5.0, 5.2, 4.9, 7.1, 7.0]), np.full(5, 0.04))
    >>> int(found.at), int(found.lower), int(found.upper), round(float(found.after), 2)
    (3, 3, 3, 7.05)
    """
    mean, variance = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(variance, np.float64))
    told = np.isfinite(mean) & (variance > 0)
    weight = np.where(told, 1 / np.where(told, variance, 1.0), 0.0)
    moved = weight * np.where(told, mean, 0.0)
    w, s = np.cumsum(weight, axis=-1)[..., :-1], np.cumsum(moved, axis=-1)[..., :-1]
    w_all, s_all = np.sum(weight, axis=-1, keepdims=True), np.sum(moved, axis=-1, keepdims=True)
    after_first = np.cumsum(told, axis=-1)[..., :-1]
    # a change is before a window that tells something, with another such window before it
    cut = told[..., 1:] & (after_first > 0) & (w > 0) & (w_all > w)  # of weights that floats can tell apart
    known = np.any(cut, axis=-1)
    older, newer = np.where(cut, w, 1.0), np.where(cut, w_all - w, 1.0)
    left, right = np.where(cut, s, 0.0) / older, np.where(cut, s_all - s, 0.0) / newer
    ratio = np.where(cut, (left - right) ** 2 / (1 / older + 1 / newer) / 2, -np.inf)
    at = np.argmax(ratio, axis=-1)
    largest = np.where(known, np.max(ratio, axis=-1, initial=0.0), 0.0)

    chance = np.where(cut, ratio - np.log(older) / 2 - np.log(newer) / 2, -np.inf)
    chance = np.exp(chance - np.where(known, np.max(chance, axis=-1, initial=-np.inf), 0.0)[..., None])
    chance = chance / np.where(known, np.sum(chance, axis=-1), 1.0)[..., None]
    order = np.argsort(-chance, axis=-1, kind="stable")
    ranked = np.take_along_axis(chance, order, -1)
    likely = np.zeros(chance.shape, np.bool_)
    np.put_along_axis(likely, order, (np.cumsum(ranked, axis=-1) - ranked < level) & (ranked > 0), -1)
    lower = np.argmax(likely, axis=-1)
    upper = likely.shape[-1] - 1 - np.argmax(likely[..., ::-1], axis=-1)

    share = np.where(cut, older / (older + newer), np.nan)
    p = _largest_ratio_p(largest, np.fmin.reduce(share, axis=-1), np.fmax.reduce(share, axis=-1))
    before, after = (np.take_along_axis(side, at[..., None], -1)[..., 0] for side in (left, right))
    places = (np.where(known, place + 1, -1) for place in (at, lower, upper))
    return ChangePoint(*places, *(np.where(known, part, np.nan) for part in (before, after, p)))


def mann_kendall(values: Floats) -> Trend:
    """Mann and Kendall's test of a trend in a series (..., windows), NaN left out: tau-b and its p-value.

    Exact up to 33 windows without ties, else normal with the variance corrected for ties. Equals
    ``scipy.stats.kendalltau`` of the series and its order. NaN where fewer than two values differ. Source: Mann (1945),
    Econometrica 13.

    >>> mann_kendall(np.array([1.0, 2.0, 3.0, 5.0, 4.0]))
    Trend(tau=array(0.8), p=array(0.08333333))
    """
    values = np.asarray(values, np.float64)
    flat = values.reshape(-1, values.shape[-1])
    found = np.array([_one_trend(series[~np.isnan(series)]) for series in flat]).reshape(-1, 2)
    found = found.reshape(*values.shape[:-1], 2)
    return Trend(found[..., 0], found[..., 1])


def theil_sen(values: Floats, times: Floats | None = None, level: float = 0.95) -> Interval:
    """Theil and Sen's slope of a series (..., windows), NaN left out: the median of all pairwise slopes.

    ``times`` (windows,) are 0, 1, 2, … if not given; the slope is per their unit. The interval is Sen's. Equals
    ``scipy.stats.theilslopes``. Source: Sen (1968), J. Am. Stat. Assoc. 63.

    >>> theil_sen(np.array([1.0, 2.0, 3.0, 5.0, 4.0])).value
    array(1.)
    """
    values = np.asarray(values, np.float64)
    time = np.arange(values.shape[-1], dtype=np.float64) if times is None else np.asarray(times, np.float64)
    flat = values.reshape(-1, values.shape[-1])
    found = np.array([_one_slope(series, time, level) for series in flat]).reshape(-1, 3)
    found = found.reshape(*values.shape[:-1], 3)
    return Interval(found[..., 0], found[..., 1], found[..., 2])


def _log_likelihood(k: Floats, n: Floats) -> Floats:
    """k·log(k/n) + (n − k)·log(1 − k/n): the largest log-likelihood of k of n."""
    return np.asarray(special.xlogy(k, k) + special.xlogy(n - k, n - k) - special.xlogy(n, n))


def _ratios(k: Floats, n: Floats) -> Floats:
    """Log-likelihood ratio of a change before each window but the first, (..., windows − 1)."""
    first_k, first_n = np.cumsum(k, axis=-1), np.cumsum(n, axis=-1)
    all_k, all_n = first_k[..., -1:], first_n[..., -1:]
    first_k, first_n = first_k[..., :-1], first_n[..., :-1]
    return np.asarray(
        _log_likelihood(first_k, first_n)
        + _log_likelihood(all_k - first_k, all_n - first_n)
        - _log_likelihood(all_k, all_n)
    )


def _one_change(k: Floats, n: Floats, level: float, draws: int, seed: int) -> list[float]:
    """The fields of ``ChangePoint`` for one series."""
    held = np.flatnonzero(n > 0)
    if len(held) < 2:
        return [-1.0, -1.0, -1.0, np.nan, np.nan, np.nan]
    k, n = k[held], n[held]
    ratios = _ratios(k, n)
    at = int(np.argmax(ratios))
    first_k, first_n = np.cumsum(k), np.cumsum(n)
    before, after = first_k[at] / first_n[at], (first_k[-1] - first_k[at]) / (first_n[-1] - first_n[at])

    parts = [(first_k[:-1], first_n[:-1]), (first_k[-1] - first_k[:-1], first_n[-1] - first_n[:-1])]
    chance = sum(special.betaln(x + 1, m - x + 1) for x, m in parts)
    chance = np.exp(chance - np.max(chance))
    chance /= chance.sum()
    order = np.argsort(-chance, kind="stable")
    likely = order[: int(np.searchsorted(np.cumsum(chance[order]), level)) + 1]

    rng = np.random.default_rng(seed)
    dealt = rng.multivariate_hypergeometric(
        n.astype(np.int64), int(k.sum()), draws, method="marginals"
    ).astype(np.float64)
    largest = np.max(_ratios(dealt, np.broadcast_to(n, dealt.shape)), axis=-1)
    p = (1 + np.count_nonzero(largest >= ratios[at] - 1e-9)) / (draws + 1)
    places = held[1:]
    return [float(places[at]), float(places[likely.min()]), float(places[likely.max()]), before, after, p]


def _largest_ratio_p(ratio: Floats, first: Floats, last: Floats) -> Floats:
    """P(the largest |Z| ≥ b) for b² twice the largest log-likelihood ratio, cuts from share ``first`` to ``last``."""
    b = np.sqrt(2 * ratio)
    spread = np.log(last * (1 - first) / ((1 - last) * first))
    positive = np.where(b > 0, b, 1.0)
    density = np.exp(-(b**2) / 2) / np.sqrt(2 * np.pi)
    several = density * (4 / positive + (b - 1 / positive) * spread)
    # no less than of a single cut; the approximation is for large b
    single = special.erfc(b * np.sqrt(0.5))
    return np.where(b < 1.5, 1.0, np.clip(np.maximum(several, single), 0.0, 1.0))


def _one_trend(values: Floats) -> tuple[float, float]:
    """Tau-b and its p-value of one series."""
    n = len(values)
    if n < 2:
        return float("nan"), float("nan")
    score = int(np.sum(np.triu(np.sign(values[None, :] - values[:, None]), 1)))
    _, ties = np.unique(values, return_counts=True)
    pairs, tied = n * (n - 1) // 2, int(np.sum(ties * (ties - 1) // 2))
    if tied == pairs:
        return float("nan"), float("nan")
    tau = score / sqrt(pairs) / sqrt(pairs - tied)
    discordant = (pairs - score) // 2
    if tied == 0 and (n <= EXACT or min(discordant, pairs - discordant) <= 1):
        return tau, _exact_p(n, min(discordant, pairs - discordant))
    correction = float(np.sum(ties * (ties - 1) * (2 * ties + 5)))
    variance = (n * (n - 1) * (2 * n + 5) - correction) / 18
    return tau, float(special.erfc(abs(score) / sqrt(variance) * sqrt(0.5)))


def _exact_p(n: int, inversions: int) -> float:
    """Twice the chance of at most so many inversions in a random order of n, at most 1."""
    ways = np.zeros(inversions + 1)
    ways[0] = 1.0
    for size in range(2, n + 1):  # shares of orders, so nothing overflows
        sums = np.cumsum(ways)
        ways = (
            sums
            - np.concatenate([np.zeros(min(size, inversions + 1)), sums[: max(inversions + 1 - size, 0)]])
        ) / size
    return float(min(1.0, 2 * np.sum(ways)))


def _one_slope(values: Floats, times: Floats, level: float) -> tuple[float, float, float]:
    """The slope and its ends of one series."""
    known = ~np.isnan(values)
    y, x = values[known], times[known]
    run = x[None, :] - x[:, None]
    slopes = np.sort((y[None, :] - y[:, None])[run > 0] / run[run > 0])
    if len(slopes) == 0:
        return float("nan"), float("nan"), float("nan")
    n, total = len(y), len(slopes)
    _, x_ties = np.unique(x, return_counts=True)
    _, y_ties = np.unique(y, return_counts=True)
    corrections = sum(float(np.sum(t * (t - 1) * (2 * t + 5))) for t in (x_ties, y_ties))
    deviation = sqrt(max((n * (n - 1) * (2 * n + 5) - corrections) / 18, 0.0))
    reach = float(special.ndtri((1 + level) / 2)) * deviation
    upper = min(round((total + reach) / 2), total - 1)
    lower = max(round((total - reach) / 2) - 1, 0)
    return float(np.median(slopes)), float(slopes[lower]), float(slopes[upper])
