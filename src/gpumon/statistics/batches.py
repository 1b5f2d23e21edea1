"""An ordered stream of losses of which batches are kept: each batch's rows, their mean loss, and Σ (loss − mean)².

Batches are windows of time, (batches,) each; the first may be the reference, so that a change from the first window on
can be seen. The detectors and change points themselves are in ``detectors`` and ``changepoints``; here are the settings that suit batches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import changepoints, detectors
from gpumon.statistics.intervals import Interval
from gpumon.statistics.over_time import one_sided_cusum_limit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats
    from gpumon.statistics.changepoints import ChangePoint
    from gpumon.statistics.detectors import Detections

__all__ = [
    "RUN",
    "Shift",
    "adwin",
    "change",
    "change_critical",
    "change_of_means",
    "ddm",
    "moment",
    "page_hinkley",
]

RUN = 1_000
"""Batches in which Page and Hinkley's test has one false alarm."""

MOST_DEALT = 10**9
"""Rows up to which NumPy deals errors out to batches at random."""


class Shift(NamedTuple):
    """One change of the mean of a stream.

    ``value`` is the mean after less that before, with a 95 % interval given the batch at which it changed; ``error`` its
    standard error. ``p`` is of no change anywhere. ``at`` is the first batch after the change, which lies between
    ``first`` and ``last`` with 95 %; −1 and NaN where there are fewer than two batches.
    """

    value: float
    lower: float
    upper: float
    error: float
    p: float
    before: float
    after: float
    at: int
    first: int
    last: int


UNKNOWN = float("nan")
NOTHING = Shift(UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, -1, -1, -1)


def adwin(mean: Floats, rows: Counts, squares: Floats) -> Detections:
    """Adaptive windowing on batches, with chance 0.002 of a false cut: ``detectors.adwin``.

    Its bound is for values between 0 and 1: losses other than errors are taken in their standard deviations. Source: Bifet & Gavaldà (2007), SIAM Int. Conf. on Data Mining.

    >>> adwin(np.repeat([0.1, 0.3], 10), np.full(20, 100), np.repeat([9.0, 21.0], 10)).since
    array([10])
    """
    sigma = float(np.sqrt(np.sum(squares) / np.sum(rows)))
    if sigma > 0 and not _are_errors(mean, rows, squares):
        mean, squares = mean / sigma, squares / sigma**2
    return detectors.adwin(mean, rows=rows, within=squares)


def page_hinkley(mean: Floats, rows: Counts, squares: Floats) -> Detections:
    """Page and Hinkley's test on batches for a loss that grows: ``detectors.page_hinkley``.

    What it takes for granted comes from the batches' own noise: with σ the standard deviation within batches and n the
    median batch, δ = σ / (2√n) and λ = h·σ·√n, where h makes one false alarm in 1,000 batches. It forgets nothing.
    Source: Page (1954), Biometrika 41.

    >>> page_hinkley(np.repeat([0.1, 0.3], 10), np.full(20, 100), np.repeat([9.0, 21.0], 10)).since
    array([10])
    """
    sigma = np.sqrt(np.sum(squares) / np.sum(rows))
    root = np.sqrt(np.median(rows))
    if not sigma > 0:  # every loss is the same as its batch's mean: any change is sure
        sigma = np.finfo(np.float64).tiny
    return detectors.page_hinkley(
        mean,
        delta=float(sigma / (2 * root)),
        threshold=float(one_sided_cusum_limit(RUN) * sigma * root),
        forget=1.0,
        direction="up",
        rows=rows,
    )


def ddm(mean: Floats, rows: Counts, squares: Floats) -> Detections:  # noqa: ARG001 (of errors, which are 0 or 1)
    """Drift detection method on the error rates of batches, three standard errors: ``detectors.ddm``.

    Source: Gama et al. (2004), SBIA.

    >>> ddm(np.repeat([0.1, 0.3], 10), np.full(20, 100), np.repeat([9.0, 21.0], 10)).since
    array([10])
    """
    return detectors.ddm(mean, rows=rows)


def change(mean: Floats, rows: Counts, squares: Floats, between: float = 0.0, level: float = 0.95) -> Shift:
    """The likeliest change of the mean loss, with its size and its place.

    Of errors, which are 0 or 1, ``changepoints.binomial_change_point``; of other losses, or with ``between``, the
    variance that batches have beyond that of their rows, ``change_of_means``. All (batches,); a batch without rows
    tells nothing.

    >>> found = change(np.repeat([0.1, 0.3], 10), np.full(20, 100), np.repeat([9.0, 21.0], 10))
    >>> round(found.value, 2), found.at, found.p
    (0.2, 10, 0.001)
    """
    mean, rows, squares = (np.asarray(x, np.float64) for x in (mean, rows, squares))
    counts = between == 0 and rows.sum() < MOST_DEALT and _are_errors(mean, rows, squares)
    if not counts:
        spare = np.where(rows > 1, rows * (rows - 1), 1.0)
        return change_of_means(mean, np.where(rows > 1, squares / spare + between, np.nan), level)
    k, n = (np.rint(x).astype(np.int64) for x in (rows * np.where(rows > 0, mean, 0.0), rows))
    found = changepoints.binomial_change_point(k, n, level)
    at = int(found.at)
    parts = (
        [(k[part].sum() / n[part].sum(), n[part].sum()) for part in (slice(at), slice(at, None))]
        if at > 0
        else []
    )
    return _shift(found, sum(share * (1 - share) / size for share, size in parts), level)


def change_of_means(mean: Floats, variance: Floats, level: float = 0.95) -> Shift:
    """The likeliest change of a series of means (batches,) whose squared standard errors are known.

    ``changepoints.normal_change_point``, with the size of the change. NaN tells nothing.

    >>> found = change_of_means(np.array([5.0, 5.2, 4.9, 7.1, 7.0]), np.full(5, 0.04))
    >>> round(found.value, 2), found.at
    (2.02, 3)
    """
    told = np.isfinite(mean) & (variance > 0)
    if np.count_nonzero(told) < 2:
        return NOTHING
    found = changepoints.normal_change_point(mean, variance, level)
    weight = np.where(told, 1 / np.where(told, variance, 1.0), 0.0)
    at = int(found.at)
    sides = (weight[:at].sum(), weight[at:].sum()) if at > 0 else ()
    return _shift(found, sum(1 / side for side in sides), level)


def _are_errors(mean: Floats, rows: Floats, squares: Floats) -> bool:
    """Whether batches are of losses that are 0 or 1, one a row."""
    wrong = np.where(rows > 0, rows * np.where(rows > 0, mean, 0.0), 0.0)
    whole = np.allclose(np.rint(rows), rows) and np.allclose(np.rint(wrong), wrong, atol=1e-6)
    return bool(whole and np.allclose(squares, wrong - wrong * np.where(rows > 0, mean, 0.0), atol=1e-6))


def _shift(found: ChangePoint, variance: float, level: float) -> Shift:
    """A change point with its size."""
    if int(found.at) < 0:
        return NOTHING
    value, error = float(found.after - found.before), float(np.sqrt(variance))
    reach = float(special.ndtri((1 + level) / 2)) * error
    return Shift(
        value, value - reach, value + reach, error, float(found.p), float(found.before), float(found.after),
        int(found.at), int(found.lower), int(found.upper),
    )  # fmt: skip


def change_critical(level: float, error: float, batches: int) -> float:
    """The size of a change that chance exceeds with a probability of at most ``level``, anywhere among the batches.

    Bonferroni's bound over the places at which it might be.

    >>> round(change_critical(0.05, 1.0, 2), 2)
    1.96
    """
    return float(-special.ndtri(level / (2 * max(batches - 1, 1)))) * error


def moment(places: NDArray[np.int64], starts: Floats) -> Interval:
    """When a change came: the start of the first window after it, and those of the interval's ends [s since 1970].

    ``places`` (3,) are the window, the first and the last of its interval; ``starts`` (windows,) their starts. NaN for
    a place of −1.

    >>> [float(x) for x in moment(np.array([2, 1, 2]), np.array([0.0, 60.0, 120.0]))]
    [120.0, 60.0, 120.0]
    """
    there = np.where(places >= 0, starts[np.maximum(places, 0)], np.nan)
    return Interval(there[0], there[1], there[2])
