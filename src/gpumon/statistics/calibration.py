"""Whether probabilities mean what they say: of the rows with score 0.8, are 80 % positive?

From sums by fine score cell, (..., cells) in ascending order: ``rows``, ``positives``, and ``scores``, the sum of the
scores themselves (exact within a cell, so nothing is lost by its width). ``equal_width`` and ``equal_mass`` say which
coarse bin each cell goes to, ``merged`` adds the cells up. Weights (float counts) are allowed. NaN where there are no
rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import intervals
from gpumon.statistics.intervals import Interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "Murphy",
    "Recalibration",
    "Reliability",
    "ZTest",
    "brier_score",
    "brier_skill",
    "calibration_error_of_gaps",
    "equal_mass",
    "equal_width",
    "expected_calibration_error",
    "log_loss_skill",
    "maximum_calibration_error",
    "mean_gap",
    "merged",
    "murphy",
    "recalibration",
    "reliability",
    "slope_change_p",
    "spiegelhalter",
    "spiegelhalter_from_cells",
]

STEPS = 60
"""Newton steps of the logistic recalibration; it takes 5 to 8 unless the labels can be parted without fail."""

JOINED = 32
"""So many neighbouring cells are one for the first fit, from whose end two or three steps lead to the last one."""

CONVERGED = 1e-7
SURE = 1e-6
"""No score is taken for surer than this of either label."""

FARTHEST = 1e4
"""Beyond this slope or intercept the likelihood has no maximum: the score parts the labels."""


class Reliability(NamedTuple):
    """A reliability curve: four float64 arrays (..., bins) and Wilson's interval of ``rate``; NaN in empty bins."""

    rows: Floats
    score: Floats
    rate: Floats
    lower: Floats
    upper: Floats


class Murphy(NamedTuple):
    """The parts of a Brier score; brier = reliability − resolution + uncertainty + within − 2·covariance, exactly.

    ``reliability`` is what recalibrating the bins would gain, ``resolution`` what they tell about the label,
    ``uncertainty`` the score of the base rate. ``within`` and ``covariance`` are what bins leave out: the variance of
    the scores inside their bin and their covariance with the label there.
    """

    reliability: Floats
    resolution: Floats
    uncertainty: Floats
    within: Floats
    covariance: Floats


class Recalibration(NamedTuple):
    """logit P(y = 1) = intercept + slope·logit(score), fitted: 0 and 1 for a calibrated score.

    ``covariance`` is that of the two estimates, (...). ``p`` is the p-value of intercept 0 and slope 1 together
    (Wald, two degrees of freedom).
    """

    intercept: Interval
    slope: Interval
    covariance: Floats
    p: Floats


class ZTest(NamedTuple):
    """A standard normal test statistic and its two-sided p-value."""

    z: Floats
    p: Floats


def equal_width(edges: Floats, bins: int = 15) -> NDArray[np.int64]:
    """Which of ``bins`` equal parts of 0 to 1 each cell begins in: (len(edges) + 1,) for inner edges (k,).

    Exact where the edges contain those of the bins; else a cell that reaches over an edge goes where it begins.

    >>> equal_width(np.array([0.25, 0.5, 0.75]), 2)
    array([0, 0, 1, 1])
    """
    begins = np.concatenate([[0.0], edges])
    inner = np.arange(1, bins) / bins
    return np.asarray(np.searchsorted(inner, begins, side="right"), np.int64)


def equal_mass(rows: Counts, bins: int = 15) -> NDArray[np.int64]:
    """Which of ``bins`` bins of as nearly as possible the same number of rows each cell goes to, (..., cells).

    A cell goes where its middle row is; cells are never split, so a cell with very many rows leaves bins empty.

    >>> equal_mass(np.array([2, 2, 1, 1, 2]), 2)
    array([0, 0, 1, 1, 1])
    """
    rows = np.asarray(rows, np.float64)
    through = np.cumsum(rows, axis=-1)
    total = through[..., -1:]
    place = (through - rows / 2) / np.where(total > 0, total, 1.0)
    return np.asarray(np.clip(np.floor(place * bins), 0, bins - 1), np.int64)


def merged(values: Counts, groups: NDArray[np.int64], bins: int) -> Floats:
    """Sums of ``values`` (..., cells) over the cells of each bin, (..., bins), as float64.

    ``groups`` (cells,) or (..., cells) are the bins' numbers from 0.

    >>> merged(np.array([1, 2, 3]), np.array([0, 1, 1]), 3)
    array([1., 5., 0.])
    """
    values = np.asarray(values, np.float64)
    leading, cells = values.shape[:-1], values.shape[-1]
    if np.ndim(groups) == 1 and cells and np.all(groups[1:] >= groups[:-1]):
        starts = np.flatnonzero(np.append(True, groups[1:] != groups[:-1]))
        of_bins = np.zeros((*leading, bins))
        of_bins[..., groups[starts]] = np.add.reduceat(values, starts, axis=-1)
        return of_bins
    flat = values.reshape(-1, cells)
    places = np.broadcast_to(groups, values.shape).reshape(-1, cells) + np.arange(len(flat))[:, None] * bins
    sums = np.bincount(places.ravel(), weights=flat.ravel(), minlength=len(flat) * bins)
    return np.asarray(sums.reshape(*leading, bins), np.float64)


def reliability(rows: Counts, positives: Counts, scores: Floats, level: float = 0.95) -> Reliability:
    """Mean score and rate of positives of every bin, (..., bins) each, with Wilson's interval of the rate.

    Equals ``sklearn.calibration.calibration_curve`` (which leaves empty bins out).

    >>> curve = reliability(np.array([10, 10]), np.array([1, 7]), np.array([1.0, 8.0]))
    >>> curve.score, curve.rate
    (array([0.1, 0.8]), array([0.1, 0.7]))
    """
    rate = intervals.wilson(positives, rows, level)
    return Reliability(np.asarray(rows, np.float64), _over(scores, rows), rate.value, rate.lower, rate.upper)


def expected_calibration_error(rows: Counts, positives: Counts, scores: Floats) -> Floats:
    """ECE Σ (rows_b / n)·|rate_b − mean score_b| over the bins [0 to 1].

    It is never negative, so it is above 0 by chance too, the more so the more bins there are for the rows: about
    √(2·bins·mean(p(1 − p)) / (π·n)) for a calibrated score. Source: Naeini, Cooper & Hauskrecht (2015), AAAI.

    >>> expected_calibration_error(np.array([10, 10]), np.array([1, 7]), np.array([1.0, 8.0]))
    array(0.05)
    """
    gaps = np.abs(np.asarray(positives, np.float64) - scores)
    return _over(np.sum(gaps, axis=-1), np.sum(rows, axis=-1))


def calibration_error_of_gaps(gaps: Floats, level: float = 0.95) -> Interval:
    """ECE Σ n_b |mean of score − label in bin b| / n from the moments of every bin (..., bins, 3) [0 to 1].

    Equals ``expected_calibration_error`` of the same bins. The interval allows for what chance adds: with standard errors
    s_b, a mean |gap| lies between the true one and that + s_b √(2/π), and varies no more than the gap itself; so it reaches
    from ECE − Σ w_b s_b √(2/π) − z s to ECE + z s, s² = Σ w_b² s_b², and holds ``level`` or more. NaN without rows.

    >>> [round(float(end), 3) for end in calibration_error_of_gaps(np.array([[100, 0.2, 16.0], [100, -0.1, 9.0]]))]
    [0.15, 0.072, 0.199]
    """
    n, mean, squares = (gaps[..., i] for i in range(3))
    share = _over(n, np.sum(n, axis=-1, keepdims=True))
    # a few rows that happen to agree do not vary: one row more, of the variance that a label has at most
    error = np.sqrt(np.where(n > 0, _over(np.maximum(squares, 0.0) + 0.25, n**2), 0.0))
    value = np.sum(share * np.where(n > 0, np.abs(mean), 0.0), axis=-1)
    reach = special.ndtri((1 + level) / 2) * np.sqrt(np.sum((share * error) ** 2, axis=-1))
    chance = np.sum(share * error, axis=-1) * np.sqrt(2 / np.pi)
    return Interval(value, np.maximum(value - chance - reach, 0.0), np.minimum(value + reach, 1.0))


def maximum_calibration_error(rows: Counts, positives: Counts, scores: Floats, fewest: float = 1) -> Floats:
    """MCE, the largest |rate − mean score| of the bins with at least ``fewest`` rows [0 to 1].

    >>> maximum_calibration_error(np.array([10, 10]), np.array([1, 7]), np.array([1.0, 8.0]))
    array(0.1)
    """
    gaps = np.abs(_over(positives, rows) - _over(scores, rows))
    counted = (np.asarray(rows) >= fewest) & ~np.isnan(gaps)
    largest = np.max(np.where(counted, gaps, -1.0), axis=-1)
    return np.where(largest < 0, np.nan, largest)


def mean_gap(
    rows: ArrayLike, positives: ArrayLike, scores: ArrayLike, squares: ArrayLike, products: ArrayLike
) -> Floats:
    """Moments (..., 3) of score − label: n, mean, Σ (x − mean)²; for ``intervals.mean``.

    Calibration in the large, and the bias of a classifier [−1 to 1]. From the sums n, Σy, Σp, Σp², Σpy.

    >>> mean_gap(4, 2, 2.4, 1.6, 1.3)
    array([4.  , 0.1 , 0.96])
    """
    n, y, s, ss, sy = (np.asarray(x, np.float64) for x in (rows, positives, scores, squares, products))
    mean = _over(s - y, n)
    squares_about = np.maximum(ss - 2 * sy + y - n * mean**2, 0.0)
    return np.stack(np.broadcast_arrays(n, mean, squares_about), axis=-1)


def brier_score(rows: ArrayLike, positives: ArrayLike, squares: ArrayLike, products: ArrayLike) -> Floats:
    """Mean (p − y)² from the sums n, Σy, Σp², Σpy, of two classes [0 to 1].

    (Σp² − 2Σpy + Σy) / n. Equals ``sklearn.metrics.brier_score_loss``. For an interval keep Σ(p − y)² and Σ(p − y)⁴
    and take ``intervals.mean``.

    >>> brier_score(2, 1, 0.68, 0.8)
    array(0.04)
    """
    n, y, ss, sy = (np.asarray(x, np.float64) for x in (rows, positives, squares, products))
    return _over(np.maximum(ss - 2 * sy + y, 0.0), n)


def brier_skill(brier: ArrayLike, base_rate: ArrayLike) -> Floats:
    """1 − Brier score / that of always saying ``base_rate`` [−∞ to 1]; 0: no better than the prior.

    ``base_rate`` is the rate of these rows' own label. NaN where all labels are the same.

    >>> brier_skill(0.1, 0.5)
    array(0.6)
    """
    base_rate = np.asarray(base_rate, np.float64)
    return np.asarray(1 - _over(brier, base_rate * (1 - base_rate)))


def log_loss_skill(log_loss: ArrayLike, base_rate: ArrayLike) -> Floats:
    """1 − log loss / that of always saying ``base_rate`` [−∞ to 1]; both in nats. McFadden's R².

    >>> log_loss_skill(0.3, 0.5)
    array(0.56719149)
    """
    p = np.asarray(base_rate, np.float64)
    return np.asarray(1 - _over(log_loss, special.entr(p) + special.entr(1 - p)))


def murphy(rows: Counts, positives: Counts, scores: Floats, squares: Floats, products: Floats) -> Murphy:
    """The Brier score's parts from sums by bin (..., bins): n, Σy, Σp, Σp² and Σpy [0 to 1 each].

    Merge fine cells to some ten bins first: with cells as fine as rows, noise passes for resolution. Source: Murphy
    (1973), J. Appl. Meteorol. 12; Stephenson, Coelho & Jolliffe (2008), Weather Forecast. 23, for the last two.

    >>> parts = murphy(np.array([10, 10]), np.array([1, 7]), np.array([1.0, 8.0]), np.array([0.1, 6.4]),
    ...     np.array([0.1, 5.6]))
    >>> [round(float(part), 4) for part in parts]
    [0.005, 0.09, 0.24, -0.0, 0.0]
    """
    n, y = np.asarray(rows, np.float64), np.asarray(positives, np.float64)
    total = np.sum(n, axis=-1)
    base = _over(np.sum(y, axis=-1), total)
    filled = np.where(n > 0, n, 1.0)
    score, rate = scores / filled, y / filled
    return Murphy(
        _over(np.sum(n * (score - rate) ** 2, axis=-1), total),
        _over(np.sum(n * (rate - base[..., None]) ** 2, axis=-1), total),
        np.asarray(base * (1 - base)),
        _over(np.sum(squares - n * score**2, axis=-1), total),
        _over(np.sum(products - n * score * rate, axis=-1), total),
    )


def spiegelhalter(excess: ArrayLike, variance: ArrayLike) -> ZTest:
    """Spiegelhalter's test that a score is calibrated: z = excess / √variance, standard normal if it is.

    ``excess`` is Σ (y − p)(1 − 2p) = Σy − Σp + 2Σp² − 2Σpy and ``variance`` Σ (1 − 2p)²·p(1 − p) =
    Σp − 5Σp² + 8Σp³ − 4Σp⁴. NaN where the variance is 0. z > 0: the Brier score is worse than the scores promise,
    as of overconfidence. Source: Spiegelhalter (1986), Stat. Med. 5.

    >>> [round(float(part), 4) for part in spiegelhalter(3.0, 2.25)]
    [2.0, 0.0455]
    """
    variance = np.asarray(variance, np.float64)
    z = np.asarray(excess, np.float64) / np.sqrt(np.where(variance > 0, variance, np.nan))
    return ZTest(np.asarray(z), np.asarray(special.erfc(np.abs(z) * np.sqrt(0.5))))


def spiegelhalter_from_cells(rows: Counts, positives: Counts, scores: Floats) -> ZTest:
    """``spiegelhalter`` from sums by fine cell (..., cells), every score taken for the mean of its cell.

    Within 0.01 of z on the raw scores for 1,024 cells and 100,000 rows.
    """
    n, y = np.asarray(rows, np.float64), np.asarray(positives, np.float64)
    p = scores / np.where(n > 0, n, 1.0)
    tilt = 1 - 2 * p
    return spiegelhalter(
        np.sum((y - n * p) * tilt, axis=-1), np.sum(n * tilt**2 * np.clip(p * (1 - p), 0, None), axis=-1)
    )


def recalibration(rows: Counts, positives: Counts, scores: Floats, level: float = 0.95) -> Recalibration:
    """Intercept and slope of the logistic regression of the label on logit(score), from fine cells (..., cells).

    A slope below 1 means scores too extreme (overconfident), above 1 too timid; the intercept is their bias on the
    logit scale. Every score is taken for the mean of its cell, and drawn in to 1e-6 to 1 − 1e-6, for 0 and 1 have no
    logit. Newton's method, all leading axes at once. NaN where the labels are all the same,
    the scores too, or where the score parts the labels without fail. With one row a cell it equals
    ``statsmodels.api.Logit``. Source: Cox (1958), Biometrika 45.

    >>> fit = recalibration(np.array([100, 100]), np.array([30, 80]), np.array([20.0, 90.0]))
    >>> round(float(fit.slope.value), 3), round(float(fit.intercept.value), 3)
    (0.623, 0.017)
    """
    n, y = np.asarray(rows, np.float64), np.asarray(positives, np.float64)
    filled = np.where(n > 0, n, 1.0)
    x = np.where(n > 0, _logit(np.clip(scores / filled, SURE, 1 - SURE)), 0.0)

    # where cells are joined, the fit costs next to nothing, and ends near the one of all cells
    starts = np.arange(0, n.shape[-1], JOINED)
    n_joined, y_joined, x_joined = (np.add.reduceat(part, starts, axis=-1) for part in (n, y, n * x))
    x_joined /= np.where(n_joined > 0, n_joined, 1.0)
    a, b = np.zeros(n.shape[:-1]), np.ones(n.shape[:-1])
    if len(starts) > 1:
        a, b, near, _ = _climbed(n_joined, y_joined, x_joined, a, b)
        a, b = np.where(near, a, 0.0), np.where(near, b, 1.0)
    a, b, small, information = _climbed(n, y, x, a, b)
    determinant = information[0] * information[2] - information[1] ** 2
    total, hits = np.sum(n, axis=-1), np.sum(y, axis=-1)
    fitted = (hits > 0) & (hits < total) & small
    fitted &= determinant > 1e-10 * information[0] * information[2]
    with np.errstate(divide="ignore", invalid="ignore"):
        of_a, of_b, covariance = (
            np.where(fitted, part / determinant, np.nan)
            for part in (information[2], information[0], -information[1])
        )
    a, b = np.where(fitted, a, np.nan), np.where(fitted, b, np.nan)
    wald = information[0] * a**2 + 2 * information[1] * a * (b - 1) + information[2] * (b - 1) ** 2
    return Recalibration(
        intervals.normal(a, of_a, level),
        intervals.normal(b, of_b, level),
        covariance,
        np.asarray(special.chdtrc(2, wald)),
    )


def slope_change_p(first: Recalibration, second: Recalibration, level: float = 0.95) -> ZTest:
    """Z test that two independent recalibrations, both with intervals of ``level``, have the same slope.

    >>> before = recalibration(np.array([100, 100]), np.array([27, 73]), np.array([10.0, 90.0]))
    >>> after = recalibration(np.array([100, 100]), np.array([11, 90]), np.array([10.0, 90.0]))
    >>> [round(float(part), 4) for part in slope_change_p(before, after)]
    [4.0975, 0.0]
    """
    reach = 2 * special.ndtri((1 + level) / 2)
    errors = [(fit.slope.upper - fit.slope.lower) / reach for fit in (first, second)]
    z = (second.slope.value - first.slope.value) / np.hypot(*errors)
    return ZTest(np.asarray(z), np.asarray(special.erfc(np.abs(z) * np.sqrt(0.5))))


def _over(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """The ratio; NaN where the denominator is 0."""
    denominator = np.asarray(denominator, np.float64)
    return np.asarray(np.asarray(numerator, np.float64) / np.where(denominator == 0, np.nan, denominator))


def _logit(p: Floats) -> Floats:
    return np.asarray(np.log(p / (1 - p)))


def _climbed(
    n: Floats, y: Floats, x: Floats, a: Floats, b: Floats
) -> tuple[Floats, Floats, NDArray[np.bool_], tuple[Floats, Floats, Floats]]:
    """The most likely intercept and slope by Newton's method from ``a`` and ``b``; whether it ended, and the information."""
    likelihood, score_a, score_b, information = _newton(n, y, x, a, b)
    done = np.zeros(a.shape, np.bool_)
    small = done
    for _ in range(STEPS):
        determinant = information[0] * information[2] - information[1] ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            step_a = (information[2] * score_a - information[1] * score_b) / determinant
            step_b = (information[0] * score_b - information[1] * score_a) / determinant
        lost = ~np.isfinite(step_a + step_b)
        step_a, step_b = np.where(lost, 0.0, step_a), np.where(lost, 0.0, step_b)
        size = np.where(done, 0.0, 1.0)
        for _ in range(30):  # halve a step that does not climb
            trial, score_a, score_b, information = _newton(n, y, x, a + size * step_a, b + size * step_b)
            worse = ~(trial >= likelihood - 1e-12 * np.abs(likelihood)) & (size > 0)
            if not np.any(worse):
                break
            size = np.where(worse, size / 2, size)
        a, b, likelihood = a + size * step_a, b + size * step_b, trial
        small = np.maximum(np.abs(step_a), np.abs(step_b)) <= CONVERGED * (1 + np.abs(a) + np.abs(b))
        done |= ~(np.abs(a) + np.abs(b) < FARTHEST) | small
        if np.all(done):
            break
    return a, b, small & (np.abs(a) + np.abs(b) < FARTHEST), information


def _newton(
    n: Floats, y: Floats, x: Floats, a: Floats, b: Floats
) -> tuple[Floats, Floats, Floats, tuple[Floats, Floats, Floats]]:
    """Log-likelihood Σ y·η − n·log(1 + e^η), its derivatives by intercept and slope, and the information: aa, ab, bb."""
    eta = a[..., None] + b[..., None] * x
    small = np.exp(-np.abs(eta))  # of e^η and e^−η the one that cannot overflow
    p = np.where(eta > 0, 1.0, small) / (1 + small)
    rest, weight = y - n * p, n * small / (1 + small) ** 2
    over_x = weight * x
    return (
        np.asarray(np.vecdot(y, eta) - np.vecdot(n, np.maximum(eta, 0.0) + np.log(1 + small))),
        np.asarray(np.sum(rest, axis=-1)),
        np.asarray(np.vecdot(rest, x)),
        (
            np.asarray(np.sum(weight, axis=-1)),
            np.asarray(np.sum(over_x, axis=-1)),
            np.asarray(np.vecdot(over_x, x)),
        ),
    )
