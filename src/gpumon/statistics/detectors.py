"""Detectors of change that read one stream of errors in its order, and begin anew after each alarm, as those of river do.

A stream is (n,). With ``rows`` (n,) each value is the mean of a micro-batch of so many rows, and positions are those of
batches; whatever is counted (``clock``, ``grace``, ``least``, thresholds) is still counted in rows.
"""

from __future__ import annotations

from collections import deque
from math import fabs, log, sqrt
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gpumon.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

__all__ = ["Detections", "adwin", "ddm", "page_hinkley"]

FEWEST = 30
"""Rows on either side of the start of a change, if there are four times as many."""


class Detections(NamedTuple):
    """Positions of alarms, and where the change that each tells of seems to have begun; both int64 (alarms,)."""

    at: NDArray[np.int64]
    since: NDArray[np.int64]


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
            self.squares += self.width * n * (gap * gap) / (self.width + n)
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
            gap = sum0 / n0 - sum1 / n1
            apart = gap * gap * n0 * n1 / (n0 + n1)
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
