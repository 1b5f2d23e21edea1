"""What predictions and labels leave behind by the bins of other columns: groups of people, slices of the rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.errors import ProfileError
from gpumon.profiles.labels import Labelled
from gpumon.profiles.state import PLAN, SUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = [
    "CALIBRATED_GROUPS",
    "CALIBRATION_BINS",
    "MISSING",
    "MOST_GROUPS",
    "OTHER",
    "Binned",
    "Binning",
    "GroupCalibration",
    "GroupErrors",
    "Groups",
    "SliceLosses",
    "SlicePredictions",
    "conditions",
    "planned",
]

MOST_GROUPS = 10_000
"""Groups that all combinations of the sensitive columns may make."""

CALIBRATION_BINS = 15
"""Bins of equal width, of scores from 0 to 1, by which the calibration of groups is counted."""

CALIBRATED_GROUPS = 1_000
"""Groups up to which calibration is counted: of more, hardly one has rows enough in its bins."""

OTHER, MISSING = "…", "∅"
"""How conditions call the values that the reference's sample did not show (or that are too many), and no value."""

KINDS = ("numeric", "categorical")


@dataclass(frozen=True)
class Binning:
    """The bins of one column: a numeric one is cut at ``limits``, any other has a bin for each of its ``values``.

    Bins in order: below the first limit … from the last one on, or the values and then all others; then the missing.
    """

    column: str
    limits: tuple[float, ...] = ()
    values: tuple[str, ...] = ()

    @property
    def numeric(self) -> bool:
        """Whether it is cut at limits."""
        return not self.values

    @property
    def size(self) -> int:
        """Bins, that of the missing too."""
        return 2 + len(self.limits or self.values)


def conditions(binning: Binning) -> list[str]:
    """The condition that each bin stands for, as people read it.

    >>> conditions(Binning("age", limits=(18.0, 65.0)))
    ['age<18', 'age=[18, 65)', 'age≥65', 'age=∅']
    >>> conditions(Binning("sex", values=("f", "m")))
    ['sex=f', 'sex=m', 'sex=…', 'sex=∅']
    """
    name = binning.column
    if not binning.numeric:
        return [f"{name}={value}" for value in (*binning.values, OTHER, MISSING)]
    ends = [f"{limit:.6g}" for limit in binning.limits]
    if not ends:
        return [f"{name} there", f"{name}={MISSING}"]
    inner = [f"{name}=[{low}, {high})" for low, high in pairwise(ends)]
    return [f"{name}<{ends[0]}", *inner, f"{name}≥{ends[-1]}", f"{name}={MISSING}"]


@dataclass(frozen=True, eq=False)
class Binned(Labelled):
    """Base of what is counted by the bins of ``features``; see :class:`Binning` for the bins of each."""

    features: tuple[str, ...] = field(metadata=PLAN)  # (c,)
    kinds: tuple[str, ...] = field(metadata=PLAN)  # (c,): "numeric" or "categorical"
    parts: NDArray[np.int64] = field(metadata=PLAN)  # (c,): limits of a numeric one, values of another
    limits: NDArray[np.float64] = field(metadata=PLAN)  # of the numeric ones, one after the other
    vocabulary: tuple[str, ...] = field(metadata=PLAN)  # of the others, likewise

    @property
    def sources(self) -> tuple[str, ...]:
        """All columns that it is counted from."""
        return (*self.columns, *self.weight, *self.features)

    @property
    def binnings(self) -> list[Binning]:
        """The bins of each feature."""
        found, limits, values = [], 0, 0
        for name, kind, parts in zip(self.features, self.kinds, self.parts.tolist(), strict=True):
            if kind == "numeric":
                found.append(Binning(name, limits=tuple(self.limits[limits : limits + parts].tolist())))
                limits += parts
            else:
                found.append(Binning(name, values=self.vocabulary[values : values + parts]))
                values += parts
        return found

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of bins of each feature."""
        return tuple(int(parts) + 2 for parts in self.parts)

    def _check_bins(self) -> None:
        """Raise a ProfileError unless the parts of the plan fit one another."""
        numeric = np.array([kind == "numeric" for kind in self.kinds], np.bool_)
        fits = (
            len(self.features) == len(self.kinds) == self.parts.size > 0
            and set(self.kinds) <= set(KINDS)
            and len(set(self.features)) == len(self.features)
            and bool((self.parts >= np.where(numeric, 0, 1)).all())
            and int(self.parts[numeric].sum()) == self.limits.size
            and int(self.parts[~numeric].sum()) == len(self.vocabulary)
        )
        rising = fits and all(
            np.isfinite(each.limits).all() and (np.diff(each.limits) > 0).all() for each in self.binnings
        )
        if not rising:
            raise ProfileError("the bins of a state do not fit its columns: it is damaged")


def planned(binnings: Sequence[Binning]) -> dict[str, Any]:
    """The fields of :class:`Binned` that say where the bins are."""
    return {
        "features": tuple(each.column for each in binnings),
        "kinds": tuple("numeric" if each.numeric else "categorical" for each in binnings),
        "parts": np.array([each.size - 2 for each in binnings], np.int64),
        "limits": np.array([limit for each in binnings for limit in each.limits], np.float64),
        "vocabulary": tuple(value for each in binnings for value in each.values),
    }


@dataclass(frozen=True, eq=False)
class Groups(Binned):
    """Rows by group, true class and predicted class: negative, positive, missing. For fairness.

    A group is a combination of bins, one of each feature; the last feature's vary fastest. Predicted is what the
    second column says, or, with a ``threshold``, whether it is at least that. Of more than two classes all but the
    positive one are negative.
    """

    positive: tuple[str, ...] = field(metadata=PLAN)  # (1,)
    classes: tuple[str, ...] = field(metadata=PLAN)  # (K,): those of the Confusion beside it
    threshold: NDArray[np.float64] = field(metadata=PLAN)  # (0,) or (1,)
    counts: NDArray[np.int64] = field(metadata=SUM)  # (groups, 3, 3)
    mass: NDArray[np.float64] = field(
        metadata=SUM
    )  # (2, groups, 3, 3): Σ weights, Σ weights²; or (0, 0, 0, 0)

    def __post_init__(self) -> None:
        self._check_bins()
        cells = (int(np.prod(self.sizes)), 3, 3)
        if self.counts.shape != cells or self.mass.shape != ((2, *cells) if self.weight else (0, 0, 0, 0)):
            raise ProfileError("a state of groups has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        positive: Sequence[str],
        classes: Sequence[str],
        threshold: NDArray[np.float64],
        **bins: Any,
    ) -> Groups:
        """Nothing counted yet; ``bins`` are the fields of :func:`planned`."""
        if len(positive) != 1 or positive[0] not in classes or len(columns) != 2 or threshold.size > 1:
            raise ProfileError(
                "groups have a target, a column that it is compared with, and a positive class"
            )
        if threshold.size and len(classes) != 2:
            raise ProfileError("a threshold makes predictions of two classes")
        cells = (_groups(bins["parts"]), 3, 3)
        return cls(
            columns=tuple(columns),
            weight=tuple(weight),
            positive=tuple(positive),
            classes=tuple(classes),
            threshold=threshold,
            counts=np.zeros(cells, np.int64),
            mass=np.zeros((2, *cells) if weight else (0, 0, 0, 0)),
            **bins,
        )

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.counts.sum())


@dataclass(frozen=True, eq=False)
class GroupErrors(Binned):
    """Sums of e = prediction − target by group, of the rows where both are finite. For fairness of a regression."""

    counts: NDArray[np.int64] = field(metadata=SUM)  # (groups, 2): rows where both are finite, other rows
    errors: NDArray[np.float64] = field(metadata=SUM)  # (groups, 5): Σ w, w², w e, w e², w |e|

    def __post_init__(self) -> None:
        self._check_bins()
        groups = int(np.prod(self.sizes))
        if self.counts.shape != (groups, 2) or self.errors.shape != (groups, 5):
            raise ProfileError("a state of groups has the wrong shape: it is damaged")

    @classmethod
    def on(cls, columns: Sequence[str], weight: Sequence[str], **bins: Any) -> GroupErrors:
        """Nothing counted yet; ``bins`` are the fields of :func:`planned`."""
        if len(columns) != 2:
            raise ProfileError("errors of groups have a target and one column")
        groups = _groups(bins["parts"])
        counted: dict[str, Any] = {"counts": np.zeros((groups, 2), np.int64), "errors": np.zeros((groups, 5))}
        return cls(columns=tuple(columns), weight=tuple(weight), **counted, **bins)

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.counts.sum())


@dataclass(frozen=True, eq=False)
class GroupCalibration(Binned):
    """Sums of e = score − label by group and by bin of the score. For calibration by group.

    Of the rows that have both, and a score from 0 to 1. The label is 1 for the ``positive`` class and 0 for every other.
    """

    positive: tuple[str, ...] = field(metadata=PLAN)  # (1,)
    classes: tuple[str, ...] = field(metadata=PLAN)  # (K,): those of the Confusion beside it
    counts: NDArray[np.int64] = field(metadata=SUM)  # (groups, 16): rows by bin of the score, other rows
    errors: NDArray[np.float64] = field(metadata=SUM)  # (groups, 15, 4): Σ w, w², w e, w e²

    def __post_init__(self) -> None:
        self._check_bins()
        groups = int(np.prod(self.sizes))
        shapes = (groups, CALIBRATION_BINS + 1), (groups, CALIBRATION_BINS, 4)
        if (self.counts.shape, self.errors.shape) != shapes:
            raise ProfileError("a state of groups has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        positive: Sequence[str],
        classes: Sequence[str],
        **bins: Any,
    ) -> GroupCalibration:
        """Nothing counted yet; ``bins`` are the fields of :func:`planned`."""
        groups = _groups(bins["parts"])
        if len(positive) != 1 or positive[0] not in classes or len(columns) != 2:
            raise ProfileError("calibration of groups has a target, a score, and a positive class")
        if groups > CALIBRATED_GROUPS:
            raise ProfileError(f"there are more than {CALIBRATED_GROUPS:,} groups of calibration")
        return cls(
            columns=tuple(columns),
            weight=tuple(weight),
            positive=tuple(positive),
            classes=tuple(classes),
            counts=np.zeros((groups, CALIBRATION_BINS + 1), np.int64),
            errors=np.zeros((groups, CALIBRATION_BINS, 4)),
            **bins,
        )

    @property
    def rows(self) -> int:
        """Rows counted, unlabelled ones too."""
        return int(self.counts.sum())


def _groups(parts: NDArray[np.int64]) -> int:
    """The number of groups; ProfileError if they are too many, or a file asks for memory without end."""
    groups = 1
    for part in parts.tolist():
        groups *= max(part, 0) + 2
        if groups > MOST_GROUPS:
            raise ProfileError(f"there are more than {MOST_GROUPS:,} groups")
    return groups


@dataclass(frozen=True, eq=False)
class SliceLosses(Binned):
    """Losses of labelled rows by bin of every feature, and by the bins of every pair of features.

    ``loss`` names what is summed: "log loss" (−ln of the probability of what happened, which is at least 1e-15),
    "error" (1 where the prediction is wrong) or "absolute error". Cells: the bins of the first feature, of the
    second …; then for each pair (i, j), i < j, in the order of ``itertools.combinations``, the bins of i times those of
    j, j varying fastest.
    """

    loss: tuple[str, ...] = field(metadata=PLAN)  # (1,)
    positive: tuple[str, ...] = field(metadata=PLAN)  # (1,) of a log loss, else ()
    classes: tuple[str, ...] = field(metadata=PLAN)  # (K,); () of an absolute error
    threshold: NDArray[np.float64] = field(metadata=PLAN)  # (0,) or (1,), of an error
    n: NDArray[np.int64] = field(metadata=SUM)  # (cells,)
    sums: NDArray[np.float64] = field(metadata=SUM)  # (cells, 2): Σ w loss, Σ w loss²
    mass: NDArray[np.float64] = field(metadata=SUM)  # (cells, 2): Σ w, Σ w²; or (0, 0)

    def __post_init__(self) -> None:
        self._check_bins()
        cells = int(self.starts[-1])
        shapes = (self.n.shape, self.sums.shape, self.mass.shape)
        if shapes != ((cells,), (cells, 2), (cells, 2) if self.weight else (0, 0)):
            raise ProfileError("a state of slices has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        loss: Sequence[str],
        positive: Sequence[str],
        classes: Sequence[str],
        threshold: NDArray[np.float64],
        **bins: Any,
    ) -> SliceLosses:
        """Nothing counted yet; ``bins`` are the fields of :func:`planned`."""
        if len(loss) != 1 or loss[0] not in LOSSES or len(columns) < 2 or threshold.size > 1:
            raise ProfileError("slices have a target, what it is compared with, and one loss")
        needs_classes, needs_positive = LOSSES[loss[0]]
        if bool(classes) != needs_classes or len(positive) != needs_positive or not {*positive} <= {*classes}:
            raise ProfileError(f"the classes of slices are not those that {loss[0]!r} needs")
        cells = int(_starts(bins["parts"] + 2)[-1])
        if cells > MOST_CELLS:
            raise ProfileError(f"there are more than {MOST_CELLS:,} cells of slices")
        return cls(
            columns=tuple(columns),
            weight=tuple(weight),
            loss=tuple(loss),
            positive=tuple(positive),
            classes=tuple(classes),
            threshold=threshold,
            n=np.zeros(cells, np.int64),
            sums=np.zeros((cells, 2)),
            mass=np.zeros((cells, 2) if weight else (0, 0)),
            **bins,
        )

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the cells of each feature, then of each pair, begin, and where the last ones end."""
        return _starts(self.parts + 2)

    @property
    def partitions(self) -> list[tuple[int, ...]]:
        """The features, by number, of each run of cells: one, or a pair."""
        places = range(len(self.features))
        return [*((i,) for i in places), *combinations(places, 2)]


@dataclass(frozen=True, eq=False)
class SlicePredictions(Binned):
    """Rows by bin of every feature and by what is predicted, labelled or not; for P(prediction | feature).

    Predicted are ``classes`` (then any other; from a ``threshold`` on the second of two, if it has one), or a number in the
    parts that ``cuts`` make of it; the last column is of rows without a prediction. Weights take no part.
    """

    classes: tuple[str, ...] = field(metadata=PLAN)  # (K,), or () of a number
    threshold: NDArray[np.float64] = field(metadata=PLAN)  # (0,) or (1,)
    cuts: NDArray[np.float64] = field(metadata=PLAN)  # rising; (0,) of classes
    counts: NDArray[np.int64] = field(
        metadata=SUM
    )  # (cells, parts + 1): the bins of the first feature, of the second …

    def __post_init__(self) -> None:
        self._check_bins()
        rising = np.isfinite(self.cuts).all() and (np.diff(self.cuts) > 0).all()
        if self.counts.shape != (int(self.starts[-1]), self.predicted + 1) or not rising:
            raise ProfileError("a state of slices has the wrong shape: it is damaged")

    @classmethod
    def on(
        cls,
        columns: Sequence[str],
        weight: Sequence[str],
        classes: Sequence[str],
        threshold: NDArray[np.float64],
        cuts: NDArray[np.float64],
        **bins: Any,
    ) -> SlicePredictions:
        """Nothing counted yet; ``bins`` are the fields of :func:`planned`."""
        if len(columns) < 2 or threshold.size > 1 or bool(classes) == bool(cuts.size):
            raise ProfileError("predictions of slices are of classes, or of a number that is cut")
        if threshold.size and len(classes) != 2:
            raise ProfileError("a threshold makes predictions of two classes")
        cells, parts = int(bins["parts"].sum()) + 2 * bins["parts"].size, len(classes) or cuts.size
        if not 0 < cells * (parts + 2) <= MOST_CELLS:
            raise ProfileError(f"there are more than {MOST_CELLS:,} cells of slices")
        return cls(
            columns=tuple(columns),
            weight=tuple(weight),
            classes=tuple(classes),
            threshold=threshold,
            cuts=cuts,
            counts=np.zeros((cells, parts + 2), np.int64),
            **bins,
        )

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where the cells of each feature begin, and where the last ones end."""
        return np.cumsum([0, *self.sizes])

    @property
    def predicted(self) -> int:
        """Parts of what is predicted: the classes and all others, or the parts between cuts."""
        return (len(self.classes) or self.cuts.size) + 1


LOSSES = {"log loss": (True, 1), "error": (True, 0), "absolute error": (False, 0)}
"""The losses of slices: whether they need classes, and how many positive ones."""

MOST_CELLS = 1_000_000


def _starts(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs = [left * right for left, right in combinations(sizes.tolist(), 2)]
    return np.cumsum([0, *sizes.tolist(), *pairs])
