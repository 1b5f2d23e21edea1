"""Whether the relation of label and score has changed, and not only the scores: P(y | score), not P(score).

A *stratum* is a bin of the score (or any cell of the inputs); within it the two samples, reference and current, are
alike but for what they say of the label. Strata that only one sample fills tell nothing and are left out. Weighted
counts are not meant for these tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import special

from gpumon.statistics import distances
from gpumon.statistics.intervals import Interval, normal
from gpumon.statistics.significance import chi_square_critical, chi_square_p

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from gpumon.statistics import Counts, Floats

__all__ = [
    "ChiSquare",
    "ConditionalV",
    "LossChange",
    "PredictionShift",
    "cochran_mantel_haenszel",
    "common_odds_ratio",
    "concept_share",
    "conditional_chi_square",
    "conditional_cramers_v",
    "log_odds_shift",
    "loss_change",
    "mantel",
    "prediction_shift",
]


FEWEST = 10
"""Rows of either sample on either side of a dichotomy from which it is tested."""


class ChiSquare(NamedTuple):
    """A chi-square statistic, its degrees of freedom and its p-value."""

    statistic: Floats
    dof: Floats
    p: Floats


class LossChange(NamedTuple):
    """Change of the mean loss from reference to current and its parts: total = covariate + concept + unsupported.

    ``covariate``: what the reference's loss in each cell would have come to with the current's cells. ``concept``:
    what changed within the cells. ``unsupported``: the excess in cells where the reference has no rows, of which
    nobody can say which of the two it is; ``unsupported_share`` is the part of the current's rows there.
    """

    total: Interval
    covariate: Interval
    concept: Interval
    unsupported: Floats
    unsupported_share: Floats


class ConditionalV(NamedTuple):
    """Cramér's V within strata [0 to 1], the degrees of freedom and the p-value of its chi-square, and the rows that it rests on."""

    value: Floats
    dof: Floats
    p: Floats
    rows: Floats

    def critical(self, level: float) -> Floats:
        """What V exceeds with probability ``level`` if nothing has changed."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(np.sqrt(chi_square_critical(level, self.dof) / self.rows))


class PredictionShift(NamedTuple):
    """The dichotomy that shifted most: its number, its ``log_odds_shift`` [nats], the p-value, the standard error, and of how many."""

    part: NDArray[np.int64]
    shift: Interval
    p: Floats
    error: Floats
    parts: NDArray[np.int64]


def cochran_mantel_haenszel(tables: Counts) -> ChiSquare:
    """Test that within strata the label is as frequent in both samples, against a shift to one side (1 dof).

    ``tables`` (..., strata, 2, 2): counts by stratum, sample (reference, current) and label (0, 1). Most powerful
    where the odds shift alike in all strata; a change that turns round between them cancels: see
    ``conditional_chi_square``. No continuity correction. Equals
    ``statsmodels.stats.contingency_tables.StratifiedTable(...).test_null_odds()``. Source: Mantel & Haenszel (1959),
    J. Natl. Cancer Inst. 22.

    >>> test = cochran_mantel_haenszel(np.array([[[90, 10], [80, 20]], [[40, 60], [30, 70]]]))
    >>> round(float(test.statistic), 4), round(float(test.p), 4)
    (5.6056, 0.0179)
    """
    rows = np.asarray(np.sum(tables, axis=-1), np.float64)
    rate = tables[..., 1] / np.where(rows > 0, rows, 1.0)
    moments = np.stack([rows, rate, rows * rate * (1 - rate)], axis=-1)
    return mantel(moments[..., 0, :], moments[..., 1, :])


def mantel(reference: Floats, current: Floats) -> ChiSquare:
    """The same test for a number in place of a label: is its mean, within strata, the same in both samples (1 dof)?

    ``reference`` and ``current`` are moments (..., strata, 3): n, mean, Σ (x − mean)² of a loss, a residual, the
    order of a class. The sum of the current's numbers is compared with its mean and variance if the rows of each
    stratum were dealt out to the two samples at random. For numbers 0 and 1 it is ``cochran_mantel_haenszel``.
    Source: Mantel (1963), J. Am. Stat. Assoc. 58.

    >>> test = mantel(np.array([[50.0, 1.0, 49.0]]), np.array([[50.0, 1.5, 49.0]]))
    >>> round(float(test.statistic), 4)
    5.9353
    """
    n, m = reference[..., 0], current[..., 0]
    total = n + m
    usable = (n > 0) & (m > 0)
    gap = np.where(usable, current[..., 1] - reference[..., 1], 0.0)
    part = np.where(usable, n * m / np.where(usable, total, 1.0), 0.0)
    squares = np.where(usable, reference[..., 2] + current[..., 2], 0.0) + part * gap**2
    variance = np.sum(part * squares / np.where(usable, total - 1, 1.0), axis=-1)
    excess = np.sum(part * gap, axis=-1)
    statistic = excess**2 / np.where(variance > 0, variance, np.nan)
    dof = np.where(np.any(usable, axis=-1), 1.0, np.nan)
    return ChiSquare(statistic, dof, chi_square_p(statistic, dof))


def common_odds_ratio(tables: Counts, level: float = 0.95) -> Interval:
    """Mantel and Haenszel's odds ratio of label 1, current against reference, common to all strata [0 or more].

    ``tables`` (..., strata, 2, 2) as above; 1: no change. The interval is Robins, Breslow and Greenland's. Equals
    ``StratifiedTable(...).oddsratio_pooled`` and its ``oddsratio_pooled_confint``. NaN where undefined. Source:
    Robins, Breslow & Greenland (1986), Biometrics 42.

    >>> ratio = common_odds_ratio(np.array([[[90, 10], [80, 20]], [[40, 60], [30, 70]]]))
    >>> [round(float(end), 3) for end in ratio]
    [1.769, 1.101, 2.843]
    """
    tables = np.asarray(tables, np.float64)
    rows = np.sum(tables, axis=(-2, -1))
    rows = np.where(rows > 0, rows, 1.0)
    a, b, c, d = tables[..., 0, 0], tables[..., 0, 1], tables[..., 1, 0], tables[..., 1, 1]
    with_, against = a * d / rows, b * c / rows
    r, s = np.sum(with_, axis=-1), np.sum(against, axis=-1)
    p, q = (a + d) / rows, (b + c) / rows
    with np.errstate(divide="ignore", invalid="ignore"):
        value = r / s
        variance = (
            np.sum(p * with_, axis=-1) / (2 * r**2)
            + np.sum(p * against + q * with_, axis=-1) / (2 * r * s)
            + np.sum(q * against, axis=-1) / (2 * s**2)
        )
        found = normal(np.log(value), variance, level)
    with np.errstate(over="ignore"):
        return Interval(np.asarray(value), np.exp(found.lower), np.exp(found.upper))


def log_odds_shift(tables: Counts, level: float = 0.95) -> Interval:
    """Ln of ``common_odds_ratio``: how much likelier label 1 has become at equal scores [nats, any]; 0: no change.

    >>> shift = log_odds_shift(np.array([[[90, 10], [80, 20]], [[40, 60], [30, 70]]]))
    >>> [round(float(end), 3) for end in shift]
    [0.571, 0.096, 1.045]
    """
    found = common_odds_ratio(tables, level)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Interval(*(np.asarray(np.log(end)) for end in found))


def prediction_shift(tables: Counts, *, ordered: bool, level: float = 0.95) -> PredictionShift:
    """Whether what is predicted shifted within strata of a feature, P(ŷ | x), by the dichotomy that shows it most [nats].

    ``tables`` (..., strata, 2, K): counts by stratum, sample and predicted part. Dichotomies are the parts from i + 1 on
    against those up to i where parts are ``ordered``, else each part against the rest (of two the second alone). Each is
    tested with ``cochran_mantel_haenszel``, and the smallest p is multiplied with their number (Bonferroni). A
    dichotomy of which a side has fewer than 10 rows either way is left out; NaN if all are. Source: Mantel & Haenszel
    (1959), J. Natl. Cancer Inst. 22.

    >>> found = prediction_shift(np.array([[[90, 10], [80, 20]], [[40, 60], [30, 70]]]), ordered=False)
    >>> round(float(found.shift.value), 3), round(float(found.p), 4), int(found.parts)
    (0.571, 0.0179, 1)
    """
    tables = np.asarray(tables)
    total = tables.sum(axis=-1, keepdims=True)
    if ordered or tables.shape[-1] == 2:
        inside = np.cumsum(tables[..., ::-1], axis=-1)[..., -2::-1]
    else:
        inside = tables
    halves = np.moveaxis(np.stack((total - inside, inside), axis=-1), -2, 0)  # dichotomy first
    both = np.all(total > 0, axis=(-2, -1))
    rows = np.sum(np.where(both[..., None, None], halves, 0), axis=-3)
    usable = np.all(rows >= FEWEST, axis=(-2, -1))
    shift = log_odds_shift(halves, level)
    usable &= np.isfinite(shift.value) & np.isfinite(shift.lower) & np.isfinite(shift.upper)
    p = np.where(usable, cochran_mantel_haenszel(halves).p, np.inf)
    best = np.argmin(p, axis=0)
    parts = np.count_nonzero(usable, axis=0)

    def picked(x: Floats) -> Floats:
        return np.where(parts > 0, np.take_along_axis(x, best[None], axis=0)[0], np.nan)

    found = Interval(*(picked(end) for end in shift))
    with np.errstate(invalid="ignore"):
        error = (found.upper - found.lower) / (2 * special.ndtri((1 + level) / 2))
        return PredictionShift(best, found, np.minimum(picked(p) * parts, 1.0), np.asarray(error), parts)


def conditional_chi_square(tables: Counts) -> ChiSquare:
    """Test that within strata the classes are as frequent in both samples, against any change.

    ``tables`` (..., strata, 2, K): counts by stratum, sample and class. The sum of the strata's chi-square
    statistics, with the sum of their degrees of freedom (classes that a stratum holds, less one). It also sees
    changes that turn round between strata; take strata of at least some ten rows per class. Each part equals
    ``scipy.stats.chi2_contingency(correction=False)``.

    >>> test = conditional_chi_square(np.array([[[90, 10], [80, 20]], [[80, 20], [90, 10]]]))
    >>> round(float(test.statistic), 4), float(test.dof)
    (7.8431, 2.0)
    """
    tables = np.asarray(tables, np.float64)
    rows, columns = np.sum(tables, axis=-1, keepdims=True), np.sum(tables, axis=-2, keepdims=True)
    total = np.sum(rows, axis=-2, keepdims=True)
    expected = rows * columns / np.where(total > 0, total, 1.0)
    parts = (tables - expected) ** 2 / np.where(expected > 0, expected, 1.0)
    both = np.all(rows[..., 0] > 0, axis=-1)
    classes = np.count_nonzero(columns[..., 0, :] > 0, axis=-1)
    statistic = np.sum(np.sum(parts, axis=(-2, -1)), axis=-1, where=both)
    dof = np.sum(np.where(both, classes - 1.0, 0.0), axis=-1)
    any_ = np.any(both, axis=-1)
    statistic, dof = np.where(any_, statistic, np.nan), np.where(any_, dof, np.nan)
    return ChiSquare(statistic, dof, chi_square_p(statistic, dof))


def conditional_cramers_v(tables: Counts) -> ConditionalV:
    """Cramér's V of sample and class within strata, √(Σ χ² / rows), against any change [0 to 1].

    ``tables`` (..., strata, 2, K) as of ``conditional_chi_square``, but in every stratum the cells of fewer than 5
    expected rows are pooled, as ``distances.chi_square`` does; strata that leave one cell tell nothing. It also sees a
    change that turns round between strata. NaN where no stratum tells. Source: Cramér (1946), Mathematical Methods of Statistics,
    ch. 21; Cochran (1954), Biometrics 10, for the pooling.

    >>> found = conditional_cramers_v(np.array([[[90, 10], [80, 20]], [[80, 20], [90, 10]]]))
    >>> round(float(found.value), 3), float(found.dof), round(float(found.p), 4)
    (0.14, 2.0, 0.0198)
    """
    before, now = tables[..., 0, :], tables[..., 1, :]
    dof = np.nan_to_num(distances.chi_square_dof(before, now))
    told = dof > 0
    statistic = np.sum(np.where(told, distances.chi_square(before, now), 0.0), axis=-1)
    rows = np.sum(np.where(told, np.sum(tables, axis=(-2, -1)), 0.0), axis=-1)
    any_ = np.any(told, axis=-1)
    total = np.where(any_, np.sum(dof, axis=-1), np.nan)
    value = np.sqrt(statistic / np.where(any_, rows, np.nan))
    return ConditionalV(
        np.asarray(value), total, chi_square_p(np.where(any_, statistic, np.nan), total), rows
    )


def loss_change(reference: Floats, current: Floats, level: float = 0.95) -> LossChange:
    """Split the change of the mean loss into a covariate part, a concept part and what cannot be told [loss].

    ``reference`` and ``current`` are moments (..., cells, 3) of the loss by cell: n, mean, Σ (x − mean)². Cells may
    be score bins, or cells of one or more inputs: only what they can tell apart counts as covariate shift. With
    shares w of the rows, mean losses m and the reference's total loss L: covariate Σ (w' − w)·m, concept
    Σ w'·(m' − m), where a cell without reference rows has m = L and goes to ``unsupported``. Intervals are normal,
    from the losses within cells and the counts of cells. The parts of an Oaxaca and Blinder decomposition. Source:
    Kitagawa (1955), J. Am. Stat. Assoc. 50; Cai, Namkoong & Yadlowsky (2023), "Diagnosing model performance under
    distribution shift".

    >>> reference = np.array([[80.0, 0.1, 7.2], [20.0, 0.5, 5.0]])
    >>> parts = loss_change(reference, np.array([[50.0, 0.1, 4.5], [50.0, 0.6, 12.0]]))
    >>> [round(float(part.value), 4) for part in (parts.total, parts.covariate, parts.concept)]
    [0.17, 0.12, 0.05]
    """
    n, m = (np.asarray(side[..., 0], np.float64) for side in (reference, current))
    rows = [np.sum(counts, axis=-1, keepdims=True) for counts in (n, m)]
    some = (rows[0] > 0) & (rows[1] > 0)
    before, after = (
        counts / np.where(total > 0, total, np.nan) for counts, total in zip((n, m), rows, strict=True)
    )
    held = n > 0
    loss_after = np.where(m > 0, current[..., 1], 0.0)
    overall = np.sum(np.where(held, before * reference[..., 1], 0.0), axis=-1, keepdims=True)
    loss_before = np.where(held, reference[..., 1], overall)
    gap = np.where(m > 0, loss_after - loss_before, 0.0)

    noise = [_variance_of_means(side) for side in (reference, current)]
    concept_gap = np.where(held, gap, 0.0)
    moved = after - before
    sizes = [np.where(some, total, np.nan)[..., 0] for total in rows]
    covariate_variance = (
        np.sum(moved**2 * np.where(held, noise[0], 0.0), axis=-1)
        + _spread(after, loss_before) / sizes[1]
        + _spread(before, loss_before) / sizes[0]
    )
    concept_variance = (
        np.sum(np.where(held, after**2 * (noise[0] + noise[1]), 0.0), axis=-1)
        + _spread(after, concept_gap) / sizes[1]
    )
    total_variance = (
        np.sum(before**2 * np.where(held, noise[0], 0.0), axis=-1)
        + _spread(before, loss_before) / sizes[0]
        + np.sum(after**2 * noise[1], axis=-1)
        + _spread(after, loss_after) / sizes[1]
    )
    total = np.sum(after * loss_after, axis=-1) - overall[..., 0]
    unknown = np.where(some, 0.0, np.nan)[..., 0]
    return LossChange(
        normal(unknown + total, total_variance, level),
        normal(unknown + np.sum(moved * loss_before, axis=-1), covariate_variance, level),
        normal(unknown + np.sum(after * concept_gap, axis=-1), concept_variance, level),
        np.asarray(unknown + np.sum(np.where(held, 0.0, after * gap), axis=-1)),
        np.asarray(unknown + np.sum(np.where(held, 0.0, after), axis=-1)),
    )


def concept_share(reference: Floats, current: Floats, level: float = 0.95) -> Interval:
    """The concept part of ``loss_change`` as a share of the reference's mean loss [−1 or more]; 0: none, > 0: worse.

    What the reference's mean loss does not know of itself is left out of the interval. NaN where it is 0.

    >>> reference = np.array([[80.0, 0.1, 7.2], [20.0, 0.5, 5.0]])
    >>> round(float(concept_share(reference, np.array([[50.0, 0.1, 4.5], [50.0, 0.6, 12.0]])).value), 3)
    0.278
    """
    concept = loss_change(reference, current, level).concept
    rows = np.sum(reference[..., 0], axis=-1)
    total = np.sum(np.where(reference[..., 0] > 0, reference[..., 0] * reference[..., 1], 0.0), axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        whole = np.where(total > 0, total / rows, np.nan)
    return Interval(*(np.asarray(end / whole) for end in concept))


def _variance_of_means(moments: Floats) -> Floats:
    """Variance of every cell's mean loss; cells of one row take the variance that is usual within the others."""
    n, squares = moments[..., 0], np.maximum(moments[..., 2], 0.0)
    spare = np.sum(np.maximum(n - 1, 0.0), axis=-1, keepdims=True)
    usual = np.sum(squares, axis=-1, keepdims=True) / np.where(spare > 0, spare, 1.0)
    within = np.where(n > 1, squares / np.where(n > 1, n - 1, 1.0), usual)
    return np.asarray(np.where(n > 0, within / np.where(n > 0, n, 1.0), 0.0))


def _spread(shares: Floats, values: Floats) -> Floats:
    """Variance of a value whose chances are ``shares``."""
    mean = np.sum(shares * values, axis=-1, keepdims=True)
    return np.asarray(np.sum(shares * (values - mean) ** 2, axis=-1))
