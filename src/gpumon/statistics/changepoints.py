"""Changes in an ordered stream of errors or of means of small batches: when, how sure, and how often by chance.

The detectors ``adwin``, ``page_hinkley`` and ``ddm`` read one stream (n,) in order and begin anew after each alarm, as
those of river do. With ``rows`` (n,) each value is the mean of a micro-batch of so many rows, and positions are those of
batches; whatever is counted (``clock``, ``grace``, ``least``, thresholds) is still counted in rows. Control charts
(``cusum``, ``ewma``) take values in standard errors from their target, any number of streams at once; their limits come
from the average run length (ARL), the mean number of windows between false alarms.
The others look back at a whole series of windows: one change point, or a trend.
"""

from __future__ import annotations

from collections import deque
from math import fabs, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.errors import OptionError
from gpumon.statistics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "ChangePoint",
    "Cusum",
    "Detections",
    "Trend",
    "adwin",
    "binomial_change_point",
    "cusum",
    "cusum_arl",
    "cusum_limit",
    "ddm",
    "ewma",
    "ewma_arl",
    "ewma_limit",
    "mann_kendall",
    "normal_change_point",
    "page_hinkley",
    "theil_sen",
]

NODES = 96
"""Nodes of the Gauss and Legendre quadrature of run lengths; 48 give the same seven digits."""

FEWEST = 30
"""Rows on either side of the start of a change, if there are four times as many."""

EXACT = 33
"""Up to so many windows without ties the p-value of the trend is exact."""


class Detections(NamedTuple):
    """Positions of alarms, and where the change that each tells of seems to have begun; both int64 (alarms,)."""

    at: NDArray[np.int64]
    since: NDArray[np.int64]


class Cusum(NamedTuple):
    """Upper and lower cumulative sums, (..., windows) [standard errors]; an alarm is one above the limit."""

    upper: Floats
    lower: Floats


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


def adwin(
    values: ArrayLike,
    delta: float = 0.002,
    clock: int = 32,
    buckets: int = 5,
    shortest: int = 5,
    grace: int = 10,
    *,
    rows: ArrayLike | None = None,
    within: ArrayLike | None = None,
) -> Detections:
    """Adaptive windowing: an alarm where the window's older and newer part differ in mean, beyond chance ``delta``.

    The window is kept as sums of 1, 2, 4, … values, at most ``buckets`` of each; every ``clock`` values all cuts
    between them with at least ``shortest`` values on either side are tried, from ``grace`` values on. ``since`` is the
    first value after the clearest cut. ``within`` (n,) is Σ (x − mean)² inside each batch; without it that of 0/1
    values, rows·mean·(1 − mean), and none for single values. Raises OptionError where batches need it. Same alarms as
    ``river.drift.ADWIN``. Source: Bifet & Gavaldà (2007), SIAM Int. Conf. on Data Mining.

    >>> adwin(np.repeat([0.0, 1.0], 200))
    Detections(at=array([223]), since=array([200]))
    """
    at, since = [], []
    window = _Window(delta, buckets, shortest)
    seen = 0
    stream = _batches(values, rows)
    for position, ((value, n), squares) in enumerate(zip(stream, _squares(stream, within), strict=True)):
        window.add(value, n, squares)
        checked, seen = seen // clock, seen + n
        if seen // clock == checked or window.width <= grace:
            continue
        if newer := window.clearest_cut():
            at.append(position)
            since.append(position + 1 - newer)
            window, seen = _Window(delta, buckets, shortest), 0
    return Detections(np.array(at, np.int64), np.array(since, np.int64))


def page_hinkley(
    values: ArrayLike,
    least: int = 30,
    delta: float = 0.005,
    threshold: float = 50.0,
    forget: float = 0.9999,
    direction: str = "both",
    *,
    rows: ArrayLike | None = None,
) -> Detections:
    """Page and Hinkley's test: an alarm where deviations from the running mean add up to ``threshold``.

    Each deviation is first drawn in by ``delta`` [unit of the values], and the sum forgets by ``forget`` a row; no alarm
    before ``least`` rows. ``direction`` is "up" (errors grow), "down" or "both". ``since`` is the likeliest start of the
    new mean: the lowest point of the sum, its own account, wanders where ``delta`` is far below the noise. Same alarms
    as ``river.drift.PageHinkley``. Source: Page (1954), Biometrika 41.

    >>> page_hinkley(np.repeat([0.0, 1.0], 200), threshold=40)
    Detections(at=array([244]), since=array([200]))
    """
    at: list[int] = []
    up, down = direction in {"up", "both"}, direction in {"down", "both"}
    n = 0
    stream = _batches(values, rows)
    for position, (value, size) in enumerate(stream):
        if n == 0:
            mean = rise = fall = 0.0
            lowest, highest = float("inf"), float("-inf")
        n += size
        mean += size * (value - mean) / n
        fade = forget**size
        rise = fade * rise + size * (value - mean - delta)
        fall = fade * fall + size * (value - mean + delta)
        lowest, highest = min(lowest, rise), max(highest, fall)
        if n >= least and ((up and rise - lowest > threshold) or (down and highest - fall > threshold)):
            at.append(position)
            n = 0
    return Detections(np.array(at, np.int64), _starts(stream, at))


def ddm(
    errors: ArrayLike,
    least: int = 30,
    alarm: float = 3.0,
    *,
    rows: ArrayLike | None = None,
) -> Detections:
    """Drift detection method: an alarm where the error rate p leaves its best by ``alarm`` standard errors.

    ``errors`` are 0 or 1, or with ``rows`` the error rates of batches. The best is where p + s was smallest after
    ``least`` rows, with s = √(p(1 − p)/n); the alarm is p + s > p_best + alarm·s_best. ``since`` is the likeliest start
    of the new rate. Same alarms as ``river.drift.binary.DDM``. Source: Gama et al. (2004), SBIA.

    >>> ddm(np.concatenate([np.tile([1, 0, 0, 0, 0], 200), np.tile([1, 0], 200)]))
    Detections(at=array([1090]), since=array([1000]))
    """
    at: list[int] = []
    n = 0
    stream = _batches(errors, rows)
    for position, (error, size) in enumerate(stream):
        if n == 0:
            p, best, best_p, best_s = 0.0, float("inf"), 0.0, 0.0
        n += size
        p += size * (error - p) / n
        s = sqrt(max(p * (1 - p), 0.0) / n)
        if n <= least:
            continue
        if p + s <= best:
            best, best_p, best_s = p + s, p, s
        if p + s > best_p + alarm * best_s:
            at.append(position)
            n = 0
    return Detections(np.array(at, np.int64), _starts(stream, at))


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
    leading, windows = k.shape[:-1], k.shape[-1]
    flat = [np.reshape(x, (-1, windows)) for x in (k, n)]
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
    cut = told[..., 1:] & (after_first > 0)
    known = np.any(cut, axis=-1)
    older, newer = np.where(cut, w, 1.0), np.where(cut, w_all - w, 1.0)
    left, right = s / older, (s_all - s) / newer
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


def _batches(values: ArrayLike, rows: ArrayLike | None) -> list[tuple[float, int]]:
    """The values of a stream with their rows, one each if not given."""
    means = np.asarray(values, np.float64)
    sizes = np.ones(means.shape, np.int64) if rows is None else np.asarray(rows, np.int64)
    if sizes.shape != means.shape or np.any(sizes < 1):
        raise OptionError(
            f"rows {sizes.shape} must be 1 or more for each of the values {means.shape}: leave out the empty"
        )
    return list(zip(means.tolist(), sizes.tolist(), strict=True))


def _starts(stream: list[tuple[float, int]], at: list[int]) -> NDArray[np.int64]:
    """Of each alarm the cut of all values since the alarm before that parts them best, not too near either end."""
    found = []
    for first, last in zip([0, *(position + 1 for position in at)], at, strict=False):
        mean, n = np.array(stream[first : last + 1], np.float64).T
        rows, total = np.cumsum(n), np.cumsum(n * mean)
        older, newer = rows[:-1], rows[-1] - rows[:-1]
        apart = (total[:-1] - total[-1] * older / rows[-1]) ** 2 / (older * newer)
        # a few values at an end are apart by chance, the more so if errors are rare
        clear = np.minimum(older, newer) >= min(FEWEST, rows[-1] / 4)
        found.append(first + 1 + int(np.argmax(np.where(clear, apart, -1.0))) if np.any(clear) else last)
    return np.array(found, np.int64)


def _squares(stream: list[tuple[float, int]], within: ArrayLike | None) -> list[float]:
    """Σ (x − mean)² inside each batch."""
    if within is not None:
        return [float(squares) for squares in np.asarray(within, np.float64)]
    if any(n > 1 and not 0 <= mean <= 1 for mean, n in stream):
        raise OptionError(
            "batches of numbers other than 0 and 1 need within=, their sums of squares about the mean"
        )
    return [n * mean * (1 - mean) if n > 1 else 0.0 for mean, n in stream]


class _Window:
    """ADWIN's window: levels of merged values, oldest first in each, newest level first."""

    def __init__(self, delta: float, buckets: int, shortest: int) -> None:
        self.delta, self.buckets, self.shortest = delta, buckets, shortest
        # of (rows, sum, Σ (x − mean)², values); single values make 1, 2, 4, … rows by level
        self.levels: list[deque[tuple[int, float, float, int]]] = [deque()]
        self.width, self.values, self.total, self.squares = 0, 0, 0.0, 0.0

    def add(self, value: float, n: int, squares: float) -> None:
        """One more value; the two oldest parts of a level that is over-full become one of the next."""
        self.levels[0].append((n, n * value, squares, 1))
        if self.width:
            gap = value - self.total / self.width
            self.squares += self.width * n * gap**2 / (self.width + n)
        self.squares += squares
        self.width += n
        self.values += 1
        self.total += n * value
        for level, parts in enumerate(self.levels):
            if len(parts) <= self.buckets:
                break
            if level + 1 == len(self.levels):
                self.levels.append(deque())
            (n0, sum0, squares0, values0), (n1, sum1, squares1, values1) = parts.popleft(), parts.popleft()
            apart = (sum0 / n0 - sum1 / n1) ** 2 * n0 * n1 / (n0 + n1)
            self.levels[level + 1].append(
                (n0 + n1, sum0 + sum1, squares0 + squares1 + apart, values0 + values1)
            )

    def clearest_cut(self) -> int:
        """How many values are newer than the cut whose means differ most beyond chance; 0 if none differ so."""
        beyond, newer = max(self._cuts(), default=(0.0, 0))
        return newer if beyond > 0 else 0

    def _cuts(self) -> Iterator[tuple[float, int]]:
        """Of every cut, by how much its means differ beyond chance, and the values that are newer than it."""
        before, total, newer = 0, 0.0, self.values
        lengthy = log(2 * log(self.width) / self.delta)
        variance = max(self.squares, 0.0) / self.width
        for level in reversed(self.levels):
            for n, part, _, values in level:
                before += n
                total += part
                newer -= values
                after = self.width - before
                if before < self.shortest or after < self.shortest:
                    continue
                inverse = 1 / (before - self.shortest + 1) + 1 / (after - self.shortest + 1)
                bound = sqrt(2 * inverse * variance * lengthy) + 2 / 3 * lengthy * inverse
                yield fabs(total / before - (self.total - total) / after) - bound, newer


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
    several = _normal(b) * (4 / positive + (b - 1 / positive) * spread)
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
