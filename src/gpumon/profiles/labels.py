"""Predictions beside their labels: confusion counts, score cells by label, residuals.

Each says in ``columns`` which columns of the table it was counted from: the target, then what stands against it.
``weight`` names the column of weights, or is empty; then the arrays of weights have no elements, and the counts are all
there is. Float sums hold weights times the value (weight 1 without a column of weights).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.numeric import around, edges_of
from gpumon.profiles.state import PLAN, SUM, State, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "ERRORS",
    "LABELS",
    "MOST_CLASSES",
    "NOMINAL",
    "RESIDUALS",
    "ROBUST",
    "USUAL",
    "Confusion",
    "Labelled",
    "Residuals",
    "Scores",
    "SortedScores",
    "error_edges",
    "score_edges",
    "threshold_of_predictions",
]

MOST_CLASSES = 1_000

CELLS = 8_192
"""Equal cells of scores from 0 to 1; a power of two, so that their edges are floating-point numbers themselves."""

NOMINAL = np.array([0.9])
"""The coverage that prediction intervals promise if nothing else is said."""

LABELS = ("negative", "positive", "unlabelled")

ERRORS = ("e", "e²", "e³", "e⁴", "loss", "loss²", "weight²")
"""The sums of ``Scores.errors``: e = |label − score| (unlabelled rows: the score), loss = −ln(1 − e), with 1 − e at
least 1e-15."""

RESIDUALS = (
    "weight",
    "weight²",
    "e",
    "e²",
    "e⁴",
    "|e|",
    "target",
    "target²",
    "prediction",
    "prediction²",
    "target·prediction",
    "target not 0",
    "|e/target|",
    "|e/target|²",
    "symmetric",
    "symmetric²",
)
"""The sums of ``Residuals.sums``: e = prediction − target; targets and predictions are taken from ``centre``;
symmetric = 2·|e| / (|target| + |prediction|), 0 where both are 0; of |e/target| only the rows whose target is not 0."""

USUAL, ROBUST = 0.999, 3.5
"""Outliers are |e| above this quantile of the reference's, and e of which the robust z is above that."""

AROUND = np.array([0.25, 0.5, 0.75, 0.9, 1.0, 1.25, 1.5])
"""Cells of |e| are cut at the quantiles that leave so many times as many rows beyond as the usual one."""

NEAR = np.array([0.96, 0.98, 0.99, 1.0, 1.01, 1.02, 1.04])
"""Cells of e are cut at so many times the robust limits of the sample."""

MAD = 1.4826022185056018
"""What the median absolute deviation of a normal variable is multiplied with to be its standard deviation."""

CLOSE = 0.02
"""Scores of the two predictions that are farther apart leave the threshold that made them unknown."""


@dataclass(frozen=True, eq=False)
class Labelled(State):
    """Base of what predictions and labels leave behind together."""

    columns: tuple[str, ...] = field(metadata=PLAN)  # the target, then what it is compared with
    weight: tuple[str, ...] = field(metadata=PLAN)  # (), or the column of weights

    @property
    def sources(self) -> tuple[str, ...]:
        """All columns that it is counted from."""
        return (*self.columns, *self.weight)


@dataclass(frozen=True, eq=False)
class Confusion(Labelled):
    """Rows by true class (first axis) and predicted class: the classes, then any other class, then missing.

    Predicted is what the second column says; with a ``threshold``, the second class where the second column is at
    least that, else the first class; with a column for each class, the class of the largest (the first of equals).
    """

    classes: tuple[str, ...] = field(metadata=PLAN)  # (K,)
    threshold: NDArray[np.float64] = field(metadata=PLAN)  # (0,) or (1,)
    counts: NDArray[np.int64] = field(metadata=SUM)  # (K + 2, K + 2)
    mass: NDArray[np.float64] = field(metadata=SUM)  # (2, K + 2, K + 2): Σ weights, Σ weights²; or (0, 0, 0)

    def __post_init__(self) -> None:
        square = (len(self.classes) + 2,) * 2
        if self.counts.shape != square or self.mass.shape != ((2, *square) if self.weight else (0, 0, 0)):
            raise ProfileError(f"a confusion of {len(self.classes)} classes has another shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        classes: Sequence[str],
        threshold: NDArray[np.float64],
    ) -> Confusion:
        """Nothing counted yet."""
        k, weight = len(classes) + 2, tuple(weight)
        if not 1 <= len(classes) <= MOST_CLASSES or len(set(classes)) < len(classes):
            raise ProfileError(f"a confusion counts 1 to {MOST_CLASSES:,} classes, each once")
        if len(columns) not in {2, len(classes) + 1} or threshold.size > (len(classes) == 2):
            raise ProfileError("a confusion compares the target with one column, or with one for each class")
        mass = np.zeros((2, k, k) if weight else (0, 0, 0))
        return cls(tuple(columns), weight, tuple(classes), threshold, np.zeros((k, k), np.int64), mass)

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.counts.sum())

    @property
    def labelled(self) -> int:
        """Rows that have a label."""
        return int(self.counts[:-1].sum())


@dataclass(frozen=True, eq=False)
class Scores(Labelled):
    """Scores of one class by label (negative, positive, unlabelled), on the cells of :class:`Numeric` states.

    A score that is not finite counts as missing: its cell is that of NaN (null: the one after).
    """

    positive: tuple[str] = field(metadata=PLAN)  # the class that the score is of; every other is negative
    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,)
    threshold: NDArray[np.float64] = field(
        metadata=PLAN
    )  # (1,), an edge, if it makes the predictions; or (0,)
    counts: NDArray[np.int64] = field(metadata=SUM)  # (3, m + 5)
    mass: NDArray[np.float64] = field(metadata=SUM)  # the same as Σ weights, or (0, 0)
    probability: NDArray[np.float64] = field(metadata=SUM)  # (3, m + 5): Σ weight · score
    errors: NDArray[np.float64] = field(metadata=SUM)  # (3, 7): see ERRORS
    outside: NDArray[np.int64] = field(metadata=SUM)  # (3,): scores that are no probabilities

    def __post_init__(self) -> None:
        cells = (3, self.edges.size + 5)
        shapes = (self.counts.shape, self.probability.shape, self.errors.shape, self.outside.shape)
        if shapes != (cells, cells, (3, len(ERRORS)), (3,)) or len(self.positive) != 1:
            raise ProfileError("a state of scores has the wrong shape: it is damaged")
        if self.mass.shape != (cells if self.weight else (0, 0)):
            raise ProfileError("a state of scores has weights of another shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        positive: Sequence[str],
        edges: NDArray[np.float64],
        threshold: NDArray[np.float64],
    ) -> Scores:
        """Nothing counted yet."""
        if threshold.size > 1 or not np.isin(threshold, edges).all():
            raise ProfileError("the threshold of scores must be one of their edges")
        if not (np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all() and edges.size >= 2):
            raise ProfileError("edges must be finite and increasing")
        if len(columns) != 2:
            raise ProfileError("scores have a target and one column")
        cells, weight = (3, edges.size + 5), tuple(weight)
        return cls(
            tuple(columns),
            weight,
            tuple(positive),  # type: ignore[arg-type]
            edges,
            threshold,
            np.zeros(cells, np.int64),
            np.zeros(cells if weight else (0, 0)),
            np.zeros(cells),
            np.zeros((3, len(ERRORS))),
            np.zeros(3, np.int64),
        )

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.counts.sum())


def _merged(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sort(np.concatenate((left, right)), kind="stable")


VALUES = rule(_merged, lambda values: values[:0])


@dataclass(frozen=True, eq=False)
class SortedScores(Labelled):
    """Every finite score of a row with a label, sorted, by label: what ``exact=True`` keeps. Weights are left out."""

    positive: tuple[str] = field(metadata=PLAN)
    negatives: NDArray[np.float64] = field(metadata=VALUES)  # (n,)
    positives: NDArray[np.float64] = field(metadata=VALUES)  # (m,)

    @classmethod
    def on(cls, columns: Sequence[str], weight: Sequence[str], positive: Sequence[str]) -> SortedScores:
        """No scores yet."""
        return cls(tuple(columns), tuple(weight), tuple(positive), np.zeros(0), np.zeros(0))  # type: ignore[arg-type]


def _widen(left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack(
        (np.minimum(left[..., 0], right[..., 0]), np.maximum(left[..., 1], right[..., 1])), axis=-1
    )


EXTREMES = rule(_widen, lambda _: np.array([[np.inf, -np.inf]] * 2))


@dataclass(frozen=True, eq=False)
class Residuals(Labelled):
    """Residuals, prediction less target, of the rows where both are finite, on the cells of ``Numeric`` states."""

    centre: NDArray[np.float64] = field(metadata=PLAN)  # (1,): targets and predictions are summed from here
    edges: NDArray[np.float64] = field(metadata=PLAN)  # (m,), of e
    sizes: NDArray[np.float64] = field(metadata=PLAN)  # (k,), of |e|
    steps: NDArray[np.float64] = field(metadata=PLAN)  # (j,), of predictions
    nominal: NDArray[np.float64] = field(metadata=PLAN)  # (1,): what prediction ± half-width is to cover
    counts: NDArray[np.int64] = field(metadata=SUM)  # (m + 5,)
    absolute: NDArray[np.int64] = field(metadata=SUM)  # (k + 5,)
    extremes: NDArray[np.float64] = field(metadata=EXTREMES)  # (2, 2): of e, of |e|
    sums: NDArray[np.float64] = field(metadata=SUM)  # (16,): see RESIDUALS
    at_step: NDArray[np.int64] = field(metadata=SUM)  # (j + 5,): rows by cell of the prediction
    errors: NDArray[np.float64] = field(metadata=SUM)  # (j + 5, 4): Σ weight, e, e², |e| there
    missing: NDArray[np.int64] = field(metadata=SUM)  # (3,): target, prediction, both missing or infinite

    def __post_init__(self) -> None:
        m, k, j = self.edges.size + 5, self.sizes.size + 5, self.steps.size + 5
        wanted = ((m,), (k,), (2, 2), (len(RESIDUALS),), (j,), (j, 4), (3,), (1,), (1,))
        found = (
            self.counts,
            self.absolute,
            self.extremes,
            self.sums,
            self.at_step,
            self.errors,
            self.missing,
        )
        if tuple(array.shape for array in (*found, self.centre, self.nominal)) != wanted:
            raise ProfileError("a state of residuals has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        centre: NDArray[np.float64],
        edges: NDArray[np.float64],
        sizes: NDArray[np.float64],
        steps: NDArray[np.float64],
        nominal: NDArray[np.float64] = NOMINAL,
    ) -> Residuals:
        """Nothing counted yet."""
        for each in (edges, sizes, steps):
            if not (np.isfinite(each).all() and (each[1:] > each[:-1]).all() and each.size >= 2):
                raise ProfileError("edges must be finite and increasing")
        if len(columns) != 2 or not np.isfinite(centre).all():
            raise ProfileError("residuals have a target and one column, and a finite centre")
        if nominal.shape != (1,) or not 0 < nominal[0] < 1:
            raise ProfileError("the nominal coverage of prediction intervals is a share between 0 and 1")
        return cls(
            tuple(columns),
            tuple(weight),
            centre,
            edges,
            sizes,
            steps,
            nominal,
            np.zeros(edges.size + 5, np.int64),
            np.zeros(sizes.size + 5, np.int64),
            np.array([[np.inf, -np.inf]] * 2),
            np.zeros(len(RESIDUALS)),
            np.zeros(steps.size + 5, np.int64),
            np.zeros((steps.size + 5, 4)),
            np.zeros(3, np.int64),
        )

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.counts.sum() + self.missing.sum())

    @property
    def labelled(self) -> int:
        """Rows that have a label."""
        return int(self.counts.sum() + self.missing[1])


def threshold_of_predictions(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The threshold τ that gives ``positive`` = (``scores`` ≥ τ), both (rows,): the decimal number of fewest places, (1,).

    It lies above the highest score that is predicted negative and not above the lowest that is predicted positive.
    Empty where no threshold explains all rows, one of the predictions does not occur, or these scores are farther than
    0.02 apart. Scores are finite.

    >>> threshold_of_predictions(np.array([0.1, 0.493, 0.502, 0.9]), np.array([False, False, True, True]))
    array([0.5])
    """
    if positive.any() and not positive.all():
        below, above = float(scores[~positive].max()), float(scores[positive].min())
        if below < above <= below + CLOSE:
            for places in range(17):
                tau = float(np.round(np.floor(above * 10**places) / 10**places, places))
                if below < tau <= above:
                    return np.array([tau])
            return np.array([above])
    return np.zeros(0)


def score_edges(
    values: NDArray[np.float64], thresholds: Sequence[float] = (), cells: int = CELLS
) -> NDArray[np.float64]:
    """Edges for scores of which the reference holds (a sample of) ``values``: (m,).

    Probabilities: ``cells`` equal cells from 0 to 1, cut besides at ``thresholds`` and at the ends of ten and of
    fifteen equal bins (so that calibration has its usual bins exactly), with a cell of their own for values that are
    frequent: of a score with few values, every metric is exact. Other scores: as ``edges_of``, with more cells.
    """
    values = values[np.isfinite(values)] + 0.0
    given = np.array([t for t in thresholds if np.isfinite(t)], np.float64)
    if values.size and (values.min() < 0 or values.max() > 1):
        return np.unique(np.concatenate((edges_of(values, cells), given)))
    distinct, mass = np.unique(values, return_counts=True)
    few = distinct.size <= cells // 8
    heavy = distinct if few else distinct[mass * cells > 8 * max(values.size, 1)]
    grid = [np.linspace(0, 1, n + 1) for n in (cells, 10, 15)]
    return np.unique(np.concatenate((*grid, given, around(heavy[: cells // 4]))))


def error_edges(e: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges for errors e of which the reference holds (a sample of) these finite ones, and for |e|: (m,) each.

    As ``edges_of``, and cut besides where outliers begin, since cells of equal mass are wide there; the usual |e| has a
    cell of its own. Limits of all rows, a little off those of a sample, leave a share that is known to a small part.
    """
    size = np.abs(e)
    edges, sizes = edges_of(e), edges_of(size)
    if not e.size:
        return edges, sizes
    beyond = np.quantile(size, 1 - (1 - USUAL) * AROUND, method="inverted_cdf")
    usual = np.quantile(size, [USUAL], method="inverted_cdf")
    middle = np.median(e)
    with np.errstate(over="ignore", invalid="ignore"):
        reach = ROBUST * MAD * np.median(np.abs(e - middle)) * NEAR
        cuts = np.concatenate((edges, middle - reach, middle + reach))
    return np.unique(cuts[np.isfinite(cuts)]), np.unique(np.concatenate((sizes, beyond, around(usual))))
