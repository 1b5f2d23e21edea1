"""What formulas of performance read, and how their rows come about: predictions and labels, side by side in arrays.

=====================  ===================================================================================
of classes
``confusion``          rows by true and predicted class (slices, K, K), labelled and predicted ones only
``true_classes``       rows by true class (slices, K)
``predicted_classes``  rows by predicted class, labelled or not (slices, K)
of scores
``negatives``          rows by score cell (slices, m + 3); ``positives`` likewise
``scored``             all rows by score cell, labelled or not (slices, m + 3)
``width_rows``         labelled rows by 15 bins of equal width (slices, 15); ``width_positives`` the positive ones,
                       ``width_scores`` Σ score; ``mass_rows`` … likewise by 15 bins of about equal mass
``slope``              slope (slices,) of the logistic recalibration, and ``slope_variance``; ``intercept`` likewise
``single``             which cells hold one value only (m + 3,); shared by both sides
``loss``               moments (slices, 3) of −ln of the probability of what happened
``positive_loss``      the same of the rows of the score's own class; ``negative_loss`` of those of others
``brier``              moments (slices, 3) of (label − score)²
``brier_mean``         mean of (label − score)² (slices,); ``loss_mean`` of the loss; ``base_rate`` share of positives
``excess``             Σ (y − p)(1 − 2p) (slices,); ``promised`` its variance Σ (1 − 2p)²·p(1 − p) if p is calibrated
``gap``                moments of score − label (slices, 3)
``calibrated``         the isotonic calibration of the *reference*'s cells, for estimates without labels
``all_bins``           rows by bin between the edges (slices, m), labelled or not, on ``bin_edges`` (m + 1,)
``threshold``          from which score on a row is predicted positive; shared
``threshold_rows``     all rows by cell between ``threshold_edges`` (m + 2,), which reach to −∞ (slices, m + 1), weighted;
                       ``threshold_negatives`` and ``threshold_positives`` the labelled ones
``reference_rate``     the *reference*'s share of rows at or above the threshold; ``reference_precision`` likewise
``threshold_cell``     the first cell that is predicted positive; shared
``tables``             rows by stratum of the score (20 of about equal mass), side and label (slices, 20, 2, 2)
``both_bins``          of both sides: labelled rows, positives, Σ score by 15 bins of about equal mass (slices, 3, 15)
of classes
``known_confusion``    the *reference*'s confusion
of scores, and of quantities
``losses``             moments by cell of the score, or of the prediction (slices, cells, 3), of both sides: of the squared
                       error of scores, of |e|
of classes, and of quantities
``coverage``           labelled rows, all rows (slices, 2)
of quantities
``error``              moments of e = prediction − target; ``square`` of e²; ``absolute``, ``relative``, ``symmetric``: of |e|, |e / target|,
                       2·|e| / (|target| + |prediction|)
``targets``            moments of the target
``joint``              rows, Σ (t − t̄)(p − p̄), Σ (t − t̄)², Σ (p − p̄)² (slices, 4)
``residual_cells``     rows by residual on ``residual_edges``, with ``residual_extremes``; ``absolute_cells`` … of |e|
                       See also :mod:`gpumon.metrics.interval_readings`, :mod:`gpumon.metrics.expected_readings`,
                       :mod:`gpumon.metrics.confidence_readings` and :mod:`gpumon.metrics.outlier_readings`.
=====================  ===================================================================================

Moments are a number of rows, a mean, and the sum of squared deviations from it. Where rows have weights, counts are
weights scaled so that their sum is the effective number of rows, (Σ w)² / Σ w² (Kish 1965, Survey Sampling).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.metrics import confidence_readings, expected_readings, interval_readings, outlier_readings
from gpumon.metrics.metric import BOUNDED, OF_REFERENCE
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.profiles.intervals import Intervals
from gpumon.profiles.labels import RESIDUALS, Confusion, Labelled, Residuals, Scores, SortedScores
from gpumon.profiles.profile import Key
from gpumon.statistics import calibration, decision, estimation, ranking, regression
from gpumon.statistics.calibration_change import ErrorChange
from gpumon.statistics.ecdf import Bounds, Certified
from gpumon.statistics.estimation import Estimate
from gpumon.statistics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile, Slice

    Floats = NDArray[np.float64]

__all__ = ["MATURITY", "SHOWN_CLASSES", "LabelReadings", "immature", "kish", "readable"]

MATURITY = 0.8
"""Share of a window's rows that must have a label before the window is judged."""

SHOWN_CLASSES = 50
"""Classes up to which each has rows of its own in the report; of more there is the average alone."""

SHARED = (
    frozenset(
        {
            "single",
            "threshold",
            "threshold_cell",
            "threshold_edges",
            "bin_edges",
            "residual_edges",
            "absolute_edges",
            "nominal",
        }
    )
    | confidence_readings.SHARED
)
PROBABILITY = frozenset(
    {
        "loss",
        "positive_loss",
        "negative_loss",
        "brier",
        "brier_mean",
        "loss_mean",
        "excess",
        "gap",
        "width_scores",
        "mass_scores",
        "both_bins",
        "slope",
        "intercept",
    }
)
WITHOUT_LABELS = (
    frozenset(
        {
            "coverage",
            "predicted_classes",
            "scored",
            "all_bins",
            "threshold_rows",
        }
    )
    | confidence_readings.WITHOUT_LABELS
    | interval_readings.WITHOUT_LABELS
    | expected_readings.WITHOUT_LABELS
)
LEVEL = 0.95
BLOCK_CELLS = 200_000
STRATA = 20
CONTRADICTED = 0.005
"""Of the rows, so many may be predicted otherwise than by the threshold: some have a prediction and no score."""
LOSS_OF = {"negative_loss": 0, "positive_loss": 1}
"""Readings of the rows of one label."""
BINS = 15
TWO_SIDED = float(-special.ndtri((1 - LEVEL) / 2))

_Pairs = list[tuple["Slice", "Slice"]]


def readable(profile: Profile) -> Iterator[tuple[str, Labelled]]:
    """The aspects of a profile that hold predictions and labels, with nothing counted."""
    for (subject, aspect), state in profile.plan.items():
        if subject == "" and isinstance(state, Labelled) and type(state) in READINGS:
            yield aspect, state


class LabelReadings:
    """The readings of predictions and labels of two profiles, for all metrics; what is not asked for is not made."""

    def __init__(
        self, reference: Profile, current: Profile, slices: _Pairs, maturity: float = MATURITY
    ) -> None:
        self.slices = slices
        self.maturity = maturity
        self.aspects: list[tuple[str, Labelled, tuple[_Side, _Side], NDArray[np.int64]]] = []
        for aspect, state in readable(reference):
            if ("", aspect) in current.plan:
                before, place = _side(reference, aspect, state, [of for of, _ in slices])
                now, _ = _side(current, aspect, state, [at for _, at in slices])
                self.aspects.append((aspect, state, (before, now), place))

    @cached_property
    def coverage(self) -> Floats:
        """The share of labelled rows in each slice; NaN where there are no rows."""
        for _, _, (_, now), _ in self.aspects:
            labelled, rows = np.moveaxis(now["coverage"], -1, 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(labelled / rows)
        return np.full(len(self.slices), np.nan)

    @property
    def unlabelled(self) -> dict[Slice, float]:
        """The share of labelled rows of each slice that has rows, but no label, or of a window too few."""
        return {
            at: float(share)
            for (_, at), share in zip(self.slices, self.coverage, strict=True)
            if share == 0 or (at[0] is not None and share < self.maturity)
        }

    @cached_property
    def contradictions(self) -> Floats:
        """The share of predicted positives less that of scores from the threshold on; 0 where scores make predictions."""
        now = {aspect: side for aspect, _, (_, side), _ in self.aspects}
        if not {"confusion", "scores"} <= now.keys() or now["confusion"].states[0].threshold.size:
            return np.zeros(len(self.slices))
        scores = now["scores"].stack("counts")
        above = scores[..., now["scores"]["threshold_cell"] : -2].sum(axis=(-1, -2))
        predicted = now["confusion"].stack("counts")[..., 1].sum(axis=-1)
        return np.asarray((predicted - above) / np.maximum(scores.sum(axis=(-1, -2)), 1))

    def rows(self, metric: Metric, level: float | None) -> list[dict[str, Any]]:
        """The rows of a metric: of the model as a whole, and of classes where it has such."""
        parts: list[dict[str, Any]] = []
        averaged: list[tuple[dict[str, Any], ...]] = []
        label = LOSS_OF.get(metric.reads[0])
        for aspect, state, sides, place in self.aspects:
            together = TOGETHER[type(state)]
            if not set(metric.reads) <= READINGS[type(state)].keys() | together.keys():
                continue
            if any(name.startswith("threshold") for name in metric.reads) and not (
                isinstance(state, Scores) and state.threshold.size
            ):
                continue  # predictions come from elsewhere
            if aspect.startswith("scores ") and not confidence_readings.WITHOUT_LABELS.isdisjoint(
                metric.reads
            ):
                continue  # of one class among many it says nothing
            if "coverage" in metric.reads and parts:
                continue  # another aspect has told it
            if not together.keys().isdisjoint(metric.reads):
                if aspect in {"scores", "confidence", "residuals", "intervals"}:
                    parts += _change(metric, sides, place, level)
                continue
            if isinstance(state, Scores) and label is not None:
                if aspect == "scores" or label:  # many classes tell of their own rows, and not of the rest
                    found = _row(metric, sides, place, level, self._class_of(state, label))
                    found[0]["n"] = sides[1].stack("counts")[:, label, :-2].sum(axis=-1)
                    parts += found
                    averaged += [found] if aspect != "scores" else []
            elif isinstance(state, Scores) and aspect != "scores":
                found = _row(metric, sides, place, level, f"{state.columns[0]}={state.positive[0]}")
                averaged.append(found)
                if len(averaged) <= SHOWN_CLASSES:
                    parts += found
            elif metric.by_class:
                parts += _class_rows(metric, state, sides, place, level)
            else:
                parts += _row(metric, sides, place, level, None)
        if averaged:
            parts = (parts if len(averaged) <= SHOWN_CLASSES else []) + [_average(averaged)]
            if label is not None:
                rows = sum(found["n"] for (found,) in averaged)
                parts[-1] |= {"n": rows, "method": "macro average"}
        if parts and any(name.startswith("threshold") for name in metric.reads):
            _unless_contradicted(parts, self.contradictions)
        for part in parts:
            if WITHOUT_LABELS.isdisjoint(metric.reads):
                immature(part, self.coverage, self.slices, self.maturity)
        return parts

    def _class_of(self, state: Scores, label: int) -> str:
        """What the rows of the positive (1) or the negative class (0) are called."""
        target, positive = state.columns[0], state.positive[0]
        known = [each.classes for _, each, _, _ in self.aspects if isinstance(each, Confusion)]
        others = [name for name in (known[0] if known else ()) if name != positive]
        return (
            f"{target}={positive}" if label else f"{target}={others[0]}" if others else f"{target}≠{positive}"
        )


def _unless_contradicted(parts: list[dict[str, Any]], contradictions: Floats) -> None:
    """Leave out what is said of a threshold where the predictions are not, or no longer, those of the scores."""
    broken = np.abs(contradictions) > CONTRADICTED
    for part in parts:
        for name in ("value", "lower", "upper", "ci_lower", "ci_upper", "p_value", "effect", "noise"):
            part[name] = np.where(broken, np.nan, part[name])
        for i in np.flatnonzero(broken).tolist():
            part["reason"][i] = (
                "the predictions are not those of the threshold that the reference's follow: they are positive in "
                f"{100 * contradictions[i]:+.3g} % of the rows against the scores"
            )


def _side(
    profile: Profile, aspect: str, state: Labelled, at: Sequence[Slice]
) -> tuple[_Side, NDArray[np.int64]]:
    """The readings of the distinct slices of a side, and where each slice's stand among them."""
    distinct = list(dict.fromkeys(at))
    empty = state.empty()
    states = [profile.states.get(Key(*each, "", aspect), empty) for each in distinct]
    order = {each: i for i, each in enumerate(distinct)}
    kept = f"sorted {aspect}"
    values: list[Any] | None = None
    if ("", kept) in profile.plan:
        nothing = profile.plan["", kept]
        values = [profile.states.get(Key(*each, "", kept), nothing) for each in distinct]
    return _Side(states, values), np.array([order[each] for each in at], np.int64)


class _Side:
    """Readings of some states of one aspect, made when they are asked for."""

    def __init__(self, states: Sequence[Any], values: Sequence[SortedScores] | None = None) -> None:
        self.states = states
        self.values = values
        self.kind = type(states[0])
        self.made: dict[Any, Any] = {}

    @cached_property
    def blocks(self) -> list[_Side]:
        """Neighbouring slices, so many at a time that the arrays of a formula stay in a core's cache."""
        size = max(1, BLOCK_CELLS // self.states[0].counts.size)
        starts = range(0, len(self.states), size)
        if len(starts) == 1:
            return [self]
        return [
            _Side(self.states[i : i + size], None if self.values is None else self.values[i : i + size])
            for i in starts
        ]

    def __getitem__(self, name: str) -> Any:
        if name not in self.made:
            self.made[name] = READINGS[self.kind][name](self)
        return self.made[name]

    def stack(self, name: str) -> Any:
        """A field of every state, (slices, …)."""
        if (name,) not in self.made:
            self.made[name,] = np.stack([getattr(state, name) for state in self.states])
        return self.made[name,]


_Found = tuple[Any, Any, Any, Any, Any]


def _kept(
    metric: Metric, side: _Side, reference: _Side | None = None, place: NDArray[np.int64] | None = None
) -> _Found:
    """What ``_measured`` finds, once: classes pick theirs, and the course over time reads it again."""
    if metric not in side.made:
        side.made[metric] = _measured(metric, side, reference, place)
    found: _Found = side.made[metric]
    return found


def _measured(
    metric: Metric, side: _Side, reference: _Side | None = None, place: NDArray[np.int64] | None = None
) -> _Found:
    """Value, its bounds, and its 95 % interval; (slices,) or (slices, K) each.

    ``reference`` and ``place`` are where the current side takes the readings from that belong to the reference.
    """
    if len(side.blocks) > 1:
        sizes = np.cumsum([len(block.states) for block in side.blocks])[:-1]
        places = [None] * len(side.blocks) if place is None else np.split(place, sizes)
        each = partial(_measured, metric, reference=reference)
        contexts = [
            copy_context() for _ in side.blocks
        ]  # what NumPy is to say nothing about holds in a context
        with ThreadPoolExecutor(min(len(contexts), len(os.sched_getaffinity(0)))) as pool:
            found = [
                *pool.map(lambda c, block, at: c.run(each, block, place=at), contexts, side.blocks, places)
            ]
        value, lower, upper, start, end = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return value, lower, upper, start, end
    arguments = [
        side[name] if reference is None or name not in OF_REFERENCE else _placed(reference[name], place)
        for name in metric.reads
    ]
    found = metric.formula(*arguments)
    value = found.value if isinstance(found, Bounds | Certified | Interval | Estimate) else np.asarray(found)
    lower, upper = (found.lower, found.upper) if isinstance(found, Bounds | Certified) else (value, value)
    interval = Interval(*found[:3]) if isinstance(found, Interval | Estimate) else None
    if isinstance(found, Certified):
        interval = Interval(value, found.ci_lower, found.ci_upper)
    if metric.interval is not None:
        own = [side[name] for name in metric.reads if name not in SHARED]
        interval = metric.interval(*own, level=LEVEL)
    if _is_exact(metric, side):
        assert metric.exact is not None
        assert side.values is not None
        value = np.array([metric.exact(kept.negatives, kept.positives) for kept in side.values])
        lower = upper = value
        if interval is not None:  # it was taken about the value of the cells, which is a little off
            interval = Interval(
                value, interval.lower + value - interval.value, interval.upper + value - interval.value
            )
    nothing = np.full(np.shape(value), np.nan)
    ends = (nothing, nothing) if interval is None else (interval.lower, interval.upper)
    return value, lower, upper, *ends


def _placed(reading: Any, place: NDArray[np.int64] | None) -> Any:
    """The reference's reading for every slice."""
    if isinstance(reading, estimation.Calibration):
        probability, block, rows = reading
        return estimation.Calibration(probability[place], block[place], rows[place])
    return reading[place]


def _change(
    metric: Metric, sides: tuple[_Side, _Side], place: NDArray[np.int64], level: float | None
) -> tuple[dict[str, Any]]:
    """One row for every slice of a metric that compares the sides; nothing is said where there is no change: 0."""
    arguments = [
        part for name in metric.reads for part in TOGETHER[sides[0].kind][name](sides[0], sides[1], place)
    ]
    found: Any = metric.formula(*arguments)
    found = found if hasattr(found, "value") else Bounds(found, found, found)
    rows = _rows(metric, sides[1])
    nothing = np.full(found.value.shape, np.nan)
    certified = isinstance(found, Bounds)
    part = {
        "column": None,
        "value": found.value,
        "lower": found.lower if certified else found.value,
        "upper": found.upper if certified else found.value,
        "ci_lower": nothing if certified else found.lower,
        "ci_upper": nothing if certified else found.upper,
        "n": rows,
        "reference": nothing,
        "p_value": nothing,
        "effect": nothing,
        "noise": nothing,
        "method": metric.method,
        "reason": np.where(np.isnan(found.value), _why(metric, sides[1], rows), "").astype(object),
    }
    if metric.judged:
        part["effect"] = found.value if metric.better == "lower" else np.abs(found.value)
        if level is not None and metric.null is not None:
            both = _Both(sides, place)
            part["p_value"] = np.where(np.isnan(found.value), np.nan, metric.null.p_value(found.value, both))  # type: ignore[arg-type]
            part["noise"] = metric.null.critical(level, both)  # type: ignore[arg-type]
        elif level is not None:
            error = (found.upper - found.lower) / (2 * TWO_SIDED)
            if isinstance(found, ErrorChange):
                part["p_value"], part["noise"] = found.p, found.critical(level)
            else:
                with np.errstate(divide="ignore", invalid="ignore"):
                    part["p_value"] = 2 * special.ndtr(-np.abs(found.value) / error)
                part["noise"] = -special.ndtri(level / 2) * error
    return (part,)


class _Both:
    """What formulas read of both sides together, made when it is asked for."""

    def __init__(self, sides: tuple[_Side, _Side], place: NDArray[np.int64]) -> None:
        self.sides = sides
        self.place = place

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return TOGETHER[self.sides[0].kind][name](*self.sides, self.place)


def _is_exact(metric: Metric, side: _Side) -> bool:
    return side.values is not None and metric.exact is not None and "negatives" in metric.reads


def _row(
    metric: Metric,
    sides: tuple[_Side, _Side],
    place: NDArray[np.int64],
    level: float | None,
    column: str | None,
    pick: Callable[[Any], Any] = lambda x: x,
    method: str | None = None,
) -> tuple[dict[str, Any]]:
    """One row for every slice: value, bounds and interval of the current side, value of the reference, effect, noise."""
    before = [pick(x)[place] for x in _kept(metric.of or metric, sides[0])]
    now = [pick(x) for x in _kept(metric.of or metric, sides[1], sides[0], place)]
    if metric.promise:
        before = [np.full(now[0].shape, sides[1][metric.promise])] * 5
    value, was = now[0], before[0]
    rows = _rows(metric, sides[1])
    nothing = np.full(value.shape, np.nan)
    part = {
        "column": column,
        "value": value,
        "lower": now[1],
        "upper": now[2],
        "ci_lower": now[3],
        "ci_upper": now[4],
        "n": rows,
        "reference": was,
        "p_value": nothing,
        "effect": nothing,
        "noise": nothing,
        "method": _method(metric, sides[1]) if method is None else method,
        "reason": np.where(np.isnan(value), _why(metric, sides[1], rows), "").astype(object),
    }
    if metric.of is not None:
        return (part | _less(metric, before, now) | {"reference": nothing},)
    if not metric.judged:
        return (part,)
    change = value - was
    worse = -change if metric.better == "higher" else change if metric.better == "lower" else np.abs(change)
    scale = np.abs(was) if metric.relative else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        part["effect"] = worse / scale
        if level is not None:
            error = _reach(before, now) / TWO_SIDED
            part["p_value"] = 2 * special.ndtr(-np.abs(change) / error)
            part["noise"] = -special.ndtri(level / 2) * error / scale
            if metric.null is not None:
                both = _Both(sides, place)
                part["p_value"] = np.where(np.isnan(change), np.nan, metric.null.p_value(change, both))  # type: ignore[arg-type]
                part["noise"] = metric.null.critical(level, both)  # type: ignore[arg-type]
            if metric.test is not None:
                part["p_value"] = metric.test(*(sides[1][name] for name in metric.reads), was)
    return (part,)


def _less(metric: Metric, before: Sequence[Any], now: Sequence[Any]) -> dict[str, Any]:
    """What the reference had more, with what is certified of it, and its interval."""
    gap = metric.formula(*(Interval(side[0], side[3], side[4]) for side in (now, before)))
    return {
        "value": gap.value,
        "lower": before[1] - now[2],
        "upper": before[2] - now[1],
        "ci_lower": gap.lower,
        "ci_upper": gap.upper,
    }


def _method(metric: Metric, side: _Side) -> str:
    return metric.method.replace(BOUNDED, "exact, sorted") if _is_exact(metric, side) else metric.method


def _reach(before: Sequence[Any], now: Sequence[Any]) -> Floats:
    """How far the difference of two values reaches towards none, from their intervals (Zou & Donner 2008)."""
    fell = now[0] < before[0]
    towards = np.where(fell, now[4] - now[0], now[0] - now[3])
    away = np.where(fell, before[0] - before[3], before[4] - before[0])
    return np.asarray(np.hypot(towards, away))


def _class_rows(
    metric: Metric,
    state: Labelled,
    sides: tuple[_Side, _Side],
    place: NDArray[np.int64],
    level: float | None,
) -> list[dict[str, Any]]:
    """Of two classes the positive one's row; of more the average's, not judged by chance, and a row for each class."""
    assert isinstance(state, Confusion)
    if len(state.classes) == 2:
        return list(_row(metric, sides, place, level, None, lambda x: x[..., 1]))
    shown = range(len(state.classes)) if len(state.classes) <= SHOWN_CLASSES else range(0)
    parts = [
        part
        for i in shown
        for part in _row(
            metric,
            sides,
            place,
            level,
            f"{state.columns[0]}={state.classes[i]}",
            lambda x, i=i: x[..., i],  # type: ignore[misc]
        )
    ]
    return parts + list(_row(metric, sides, place, None, None, _mean_of_classes, "macro average"))


def _mean_of_classes(x: Any) -> Any:
    known = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        return np.sum(x, axis=-1, where=known) / np.where(known.any(axis=-1), known.sum(axis=-1), np.nan)


def _average(found: Sequence[tuple[dict[str, Any], ...]]) -> dict[str, Any]:
    """The mean of the classes' rows."""
    parts = [part for (part,) in found]
    numbers = ("value", "lower", "upper", "reference")
    mean = {name: _mean_of_classes(np.stack([part[name] for part in parts], axis=-1)) for name in numbers}
    nothing = np.full(mean["value"].shape, np.nan)
    blank = dict.fromkeys(("ci_lower", "ci_upper", "p_value", "effect", "noise"), nothing)
    return parts[0] | mean | blank | {"column": None, "method": "macro average, one class against the rest"}


def _rows(metric: Metric, side: _Side) -> NDArray[np.int64]:
    """The rows that a value rests on."""
    if side.kind is Scores:
        counts = side.stack("counts")[..., :-2].sum(axis=-1)
        return np.asarray(
            counts.sum(axis=-1) if not WITHOUT_LABELS.isdisjoint(metric.reads) else counts[:, :2].sum(axis=-1)
        )
    if side.kind is Confusion:
        counts = side.stack("counts")
        if "predicted_classes" in metric.reads:
            return np.asarray(counts[..., :-1].sum(axis=(-1, -2)))
        if "coverage" in metric.reads:
            return np.asarray(counts.sum(axis=(-1, -2)))
        return np.asarray(counts[:, :-1, :-1].sum(axis=(-1, -2)))
    if side.kind is Confidence:
        return np.asarray(confidence_readings.rows(side))
    if "coverage" in metric.reads:
        return np.array([state.rows for state in side.states])
    if side.kind is Intervals:
        return interval_readings.rows(side, labelled=WITHOUT_LABELS.isdisjoint(metric.reads))
    if side.kind is ExpectedLosses:
        return expected_readings.rows(side, labelled=WITHOUT_LABELS.isdisjoint(metric.reads))
    return np.asarray(side.stack("counts").sum(axis=-1))


def _why(metric: Metric, side: _Side, rows: NDArray[np.int64]) -> NDArray[Any]:
    """Why a value is missing, in words."""
    words = np.where(rows == 0, "no row has both a prediction and a label", "").astype(object)
    if side.kind is Scores:
        counts = side.stack("counts")
        both = (counts[:, :2].sum(axis=-1) > 0).all(axis=-1)
        words[(rows > 0) & ~both] = "the labels are all of one class"
        sure = not confidence_readings.WITHOUT_LABELS.isdisjoint(metric.reads)
        if sure or not PROBABILITY.isdisjoint(metric.reads):
            outside = side.stack("outside")[:, : 3 if sure else 2].sum(axis=-1)
            words[outside > 0] = "scores are not between 0 and 1, so they are no probabilities"
    if side.kind is Confidence:
        words = confidence_readings.why(side, rows)
    undefined = words == ""
    words[undefined] = "undefined: there is nothing to divide by"
    return words


def immature(part: dict[str, Any], shares: Floats, slices: _Pairs, maturity: float) -> None:
    """Say of windows that lack labels that they are immature: shown, but neither judged nor ok.

    ``shares`` of the rows have a label (slices,).
    """
    windowed = np.array([window is not None for _, (window, _) in slices])
    young = windowed & (shares < maturity) & (part["n"] > 0)
    status = np.full(len(slices), "", object)
    status[young] = "no_data"
    part["status"] = status
    part["effect"] = np.where(young, np.nan, part["effect"])
    for i in np.flatnonzero(young).tolist():
        part["reason"][i] = (
            f"immature: {100 * shares[i]:.3g} % of its rows have a label, {100 * maturity:.3g} % are needed"
        )


def _of_classes(side: _Side, name: str) -> Any:
    """A confusion without the missing; other classes stand last, if some side has any."""
    counts = side.stack("counts")
    if side.states[0].weight:
        mass = side.stack("mass")
        counts = (
            mass[:, 0] * kish(mass[:, 0].sum(axis=(-1, -2)), mass[:, 1].sum(axis=(-1, -2)))[:, None, None]
        )
    k = len(side.states[0].classes)
    if name == "predicted_classes":
        return counts[..., :k].sum(axis=-2)
    known = counts[:, : k + 1, : k + 1].copy()
    known[:, k, k] = 0  # of two other classes nobody knows whether they are the same
    if not known[:, k].any() and not known[..., k].any():
        known = known[:, :k, :k]
    return known.sum(axis=-1)[:, :k] if name == "true_classes" else known


def kish(weights: Any, squares: Any) -> Any:
    """What weights are to be multiplied with so that their sum is the effective number of rows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, weights / squares, 0.0)


def _by_label(side: _Side) -> Any:
    """Rows by label and score cell (slices, 3, m + 3)."""
    if not side.states[0].weight:
        return side.stack("counts")[..., :-2]
    mass = side.stack("mass")[..., :-2]
    squares = side.stack("errors")[..., -1]
    return mass * kish(mass[:, :2].sum(axis=(-1, -2)), squares[:, :2].sum(axis=-1))[:, None, None]


def _single(side: _Side) -> NDArray[np.bool_]:
    edges = side.states[0].edges
    bins = edges[1:] == np.nextafter(edges[:-1], np.inf)
    return np.concatenate(([True, False], bins, [False, True]))


def _probable(side: _Side) -> Any:
    """NaN for slices with scores that are no probabilities, 0 for others."""
    return np.where(side.stack("outside")[:, :2].sum(axis=-1) > 0, np.nan, 0.0)


def _score_moments(side: _Side, first: int, second: int, label: int | None = None) -> Any:
    """Moments of a quantity of labelled rows, or those of one label, whose sum and sum of squares are kept."""
    of = slice(2) if label is None else slice(label, label + 1)
    errors = side.stack("errors")[:, of].sum(axis=1)
    counts = side.stack("mass" if side.states[0].weight else "counts")[:, of, :-2]
    weight = counts.sum(axis=(-1, -2)) + _probable(side)
    return regression.weighted_moments(
        weight, errors[:, 6] if side.states[0].weight else weight, errors[:, first], errors[:, second]
    )


def _scaled(side: _Side) -> tuple[Any, Any]:
    """Sums of errors of labelled rows (slices, 7), and the factor that makes weights effective rows."""
    errors = side.stack("errors")[:, :2].sum(axis=1)
    if not side.states[0].weight:
        return errors, 1.0 + _probable(side)
    mass = side.stack("mass")[:, :2, :-2].sum(axis=(-1, -2))
    return errors, kish(mass, errors[:, 6]) + _probable(side)


def _excess(side: _Side) -> Any:
    """By e = |label − score| (y − p)(1 − 2p) is e(2e − 1), whatever the label."""
    errors, factor = _scaled(side)
    return factor * (2 * errors[:, 1] - errors[:, 0])


def _promised(side: _Side) -> Any:
    """(1 − 2p)²·p(1 − p) is the same of e and of p."""
    errors, factor = _scaled(side)
    return factor * (errors[:, 0] - 5 * errors[:, 1] + 8 * errors[:, 2] - 4 * errors[:, 3])


def _gap(side: _Side) -> Any:
    """Moments of score − label: e of the negatives, −e of the positives."""
    errors = side.stack("errors")
    counts = side.stack("mass" if side.states[0].weight else "counts")[:, :2, :-2]
    weight = counts.sum(axis=(-1, -2)) + _probable(side)
    both = errors[:, :2].sum(axis=1)
    squared_weight = both[:, 6] if side.states[0].weight else weight
    return regression.weighted_moments(weight, squared_weight, errors[:, 0, 0] - errors[:, 1, 0], both[:, 1])


def _fine(side: _Side) -> tuple[Any, Any, Any]:
    """Labelled rows, positive rows, Σ score by score cell; NaN where scores are no probabilities."""
    counts, sums = _by_label(side), side.stack("probability")[:, :2, :-2].sum(axis=1)
    if side.states[0].weight:
        mass = side.stack("mass")[:, :2, :-2].sum(axis=(-1, -2))
        sums = sums * kish(mass, side.stack("errors")[:, :2, -1].sum(axis=-1))[:, None]
    return counts[:, :2].sum(axis=1), counts[:, 1], sums + _probable(side)[:, None]


def _recalibrated(side: _Side) -> list[Any]:
    """Slope and intercept of the logistic recalibration on the score cells, each with its variance."""
    if "recalibrated" not in side.made:
        fit = calibration.recalibration(*_fine(side), LEVEL)
        found = []
        for each in (fit.slope, fit.intercept):
            found += [each.value, ((each.upper - each.lower) / (2 * TWO_SIDED)) ** 2]
        side.made["recalibrated"] = found
    held: list[Any] = side.made["recalibrated"]
    return held


def _binned(side: _Side, which: str, part: int) -> Any:
    """One of the three by 15 bins, of equal width or of equal mass."""
    if which not in side.made:
        rows, positives, scores = _fine(side)
        if which == "width":
            inner = calibration.equal_width(side.states[0].edges, BINS)
            groups = np.concatenate(([0], inner, [BINS - 1]))  # ±inf, which have no rows here
        else:
            groups = calibration.equal_mass(rows, BINS)
        side.made[which] = [calibration.merged(x, groups, BINS) for x in (rows, positives, scores)]
    return side.made[which][part]


def _residual_moments(side: _Side, first: str, second: str, weight: str = "weight") -> Any:
    sums = side.stack("sums")
    total = sums[:, RESIDUALS.index(weight)]
    squared = sums[:, RESIDUALS.index("weight²")] if side.states[0].weight else total
    if weight != "weight" and side.states[0].weight:
        squared = squared * total / np.where(sums[:, 0] > 0, sums[:, 0], 1.0)
    return regression.weighted_moments(
        total, squared, *(sums[:, RESIDUALS.index(name)] for name in (first, second))
    )


def _target_moments(side: _Side) -> Any:
    moments = _residual_moments(side, "target", "target²")
    moments[..., 1] += side.states[0].centre[0]
    return moments


def _joint(side: _Side) -> Any:
    sums = dict(zip(RESIDUALS, side.stack("sums").T, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        n = sums["weight"]
        parts = (
            n,
            sums["target·prediction"] - sums["target"] * sums["prediction"] / n,
            sums["target²"] - sums["target"] ** 2 / n,
            sums["prediction²"] - sums["prediction"] ** 2 / n,
        )
    return np.stack(parts, axis=-1)


def _labelled_and_all(side: _Side) -> Any:
    if side.kind is Scores:
        counts = side.stack("counts").sum(axis=-1)
        return np.stack((counts[:, :2].sum(axis=-1), counts.sum(axis=-1)), axis=-1)
    return np.array([(state.labelled, state.rows) for state in side.states], np.float64)


def _bin_edges(side: _Side) -> Any:
    edges = side.states[0].edges
    return np.append(edges, np.nextafter(edges[-1], np.inf))


def _by_threshold(side: _Side, first: int, last: int) -> Any:
    """Rows of some labels by cell between the edges that a threshold may stand on; ±inf go to the outermost cells."""
    rows = _by_label(side)[:, first:last].sum(axis=1)
    inner = rows[:, 1:-1].copy()
    inner[:, 0] += rows[:, 0]
    inner[:, -1] += rows[:, -1]
    return inner


def _in_force(side: _Side, negatives: Any, positives: Any) -> decision.AtThreshold:
    return decision.at_threshold(negatives, positives, side["threshold_edges"], side["threshold"])


def _strata(before: _Side, now: _Side, place: NDArray[np.int64]) -> tuple[Any]:
    """Rows by stratum, side and label; the strata are of about equal mass in the reference."""
    groups = calibration.equal_mass(_by_label(before)[:, :2].sum(axis=1), STRATA)
    sides = []
    for side, at in ((before, groups), (now, groups[place])):
        merged = [calibration.merged(_by_label(side)[:, label], at, STRATA) for label in (0, 1)]
        sides.append(np.stack(merged, axis=-1))
    return (np.stack((sides[0][place], sides[1]), axis=-2),)


def _score_losses(before: _Side, now: _Side, place: NDArray[np.int64]) -> tuple[Any, Any]:
    """Moments of the squared error by stratum, every score taken for the mean of its fine cell."""
    groups = calibration.equal_mass(_by_label(before)[:, :2].sum(axis=1), STRATA)
    found = []
    for side, at in ((before, groups), (now, groups[place])):
        rows, positives, scores = _fine(side)
        p = scores / np.where(rows > 0, rows, 1.0)
        negatives = rows - positives
        n = calibration.merged(rows, at, STRATA)
        total = calibration.merged(negatives * p**2 + positives * (1 - p) ** 2, at, STRATA)
        squares = calibration.merged(negatives * p**4 + positives * (1 - p) ** 4, at, STRATA)
        found.append(np.nan_to_num(regression.moments(n, total, squares)))  # of cells without rows
    return found[0][place], found[1]


def _calibration_bins(before: _Side, now: _Side, place: NDArray[np.int64]) -> tuple[Any, Any]:
    """Labelled rows, positives, Σ score by 15 bins of about equal mass in the reference."""
    groups = calibration.equal_mass(_by_label(before)[:, :2].sum(axis=1), BINS)
    found = []
    for side, at in ((before, groups), (now, groups[place])):
        found.append(np.stack([calibration.merged(x, at, BINS) for x in _fine(side)], axis=-2))
    return found[0][place], found[1]


def _residual_losses(before: _Side, now: _Side, place: NDArray[np.int64]) -> tuple[Any, Any]:
    """Moments of |e| by cell of the prediction."""
    found = []
    for side in (before, now):
        sums = side.stack("errors")
        found.append(np.nan_to_num(regression.moments(sums[..., 0], sums[..., 3], sums[..., 2])))
    return found[0][place], found[1]


def _losses(before: _Side, now: _Side, place: NDArray[np.int64], of: str) -> tuple[Any, Any]:
    """Moments of the loss of the rows of one label, of both sides."""
    return before[of][place], now[of]


TOGETHER: dict[type, dict[str, Callable[..., tuple[Any, ...]]]] = {
    Confusion: {},
    Scores: {
        "tables": _strata,
        "losses": _score_losses,
        "both_bins": _calibration_bins,
        "positive_losses": partial(_losses, of="positive_loss"),
        "negative_losses": partial(_losses, of="negative_loss"),
        **confidence_readings.TOGETHER_OF_SCORES,
    },
    Confidence: confidence_readings.TOGETHER,
    Residuals: {"losses": _residual_losses, **outlier_readings.TOGETHER},
    Intervals: interval_readings.TOGETHER,
    ExpectedLosses: {},
}

READINGS: dict[type, dict[str, Callable[[_Side], Any]]] = {
    Confusion: {
        "confusion": lambda side: _of_classes(side, "confusion"),
        "known_confusion": lambda side: _of_classes(side, "confusion")[
            :, : len(side.states[0].classes), : len(side.states[0].classes)
        ],
        "true_classes": lambda side: _of_classes(side, "true_classes"),
        "predicted_classes": lambda side: _of_classes(side, "predicted_classes"),
        "coverage": _labelled_and_all,
    },
    Scores: {
        "negatives": lambda side: _by_label(side)[:, 0],
        "positives": lambda side: _by_label(side)[:, 1],
        "scored": lambda side: _by_label(side).sum(axis=1),
        "probabilities": lambda side: (
            side.stack("probability")[:, :2, :-2].sum(axis=1) + _probable(side)[:, None]
        ),
        "single": _single,
        "loss": lambda side: _score_moments(side, 4, 5),
        "positive_loss": lambda side: _score_moments(side, 4, 5, 1),
        "negative_loss": lambda side: _score_moments(side, 4, 5, 0),
        "brier": lambda side: _score_moments(side, 1, 3),
        "brier_mean": lambda side: _score_moments(side, 1, 3)[..., 1],
        "loss_mean": lambda side: _score_moments(side, 4, 5)[..., 1],
        "base_rate": lambda side: ranking.prevalence(side["negatives"], side["positives"]),
        "excess": _excess,
        "promised": _promised,
        "gap": _gap,
        **confidence_readings.OF_SCORES,
        "all_bins": lambda side: side.stack("counts").sum(axis=1)[:, 2:-3],
        "bin_edges": _bin_edges,
        "threshold": lambda side: float(side.states[0].threshold[0]),
        "threshold_edges": lambda side: np.concatenate(([-np.inf], _bin_edges(side))),
        "threshold_rows": lambda side: _by_threshold(side, 0, 3),
        "threshold_negatives": lambda side: _by_threshold(side, 0, 1),
        "threshold_positives": lambda side: _by_threshold(side, 1, 2),
        "reference_rate": lambda side: (
            _in_force(side, side["threshold_rows"], np.zeros_like(side["threshold_rows"])).rate
        ),
        "reference_precision": lambda side: (
            _in_force(side, side["threshold_negatives"], side["threshold_positives"]).precision
        ),
        "calibrated": lambda side: estimation.calibrate(_by_label(side)[:, 0], _by_label(side)[:, 1]),
        "threshold_cell": lambda side: int(
            np.searchsorted(side.states[0].edges, side.states[0].threshold[0]) + 2
        ),
        "slope": lambda side: _recalibrated(side)[0],
        "slope_variance": lambda side: _recalibrated(side)[1],
        "intercept": lambda side: _recalibrated(side)[2],
        "intercept_variance": lambda side: _recalibrated(side)[3],
        **{
            f"{which}_{name}": partial(_binned, which=which, part=part)
            for which in ("width", "mass")
            for part, name in enumerate(("rows", "positives", "scores"))
        },
    },
    Residuals: {
        "error": lambda side: _residual_moments(side, "e", "e²"),
        "square": lambda side: _residual_moments(side, "e²", "e⁴"),
        "absolute": lambda side: _residual_moments(side, "|e|", "e²"),
        "relative": lambda side: _residual_moments(side, "|e/target|", "|e/target|²", "target not 0"),
        "symmetric": lambda side: _residual_moments(side, "symmetric", "symmetric²"),
        "targets": _target_moments,
        "joint": _joint,
        "coverage": _labelled_and_all,
        "residual_cells": lambda side: side.stack("counts"),
        "residual_edges": lambda side: side.states[0].edges,
        "residual_extremes": lambda side: side.stack("extremes")[:, 0],
        "absolute_cells": lambda side: side.stack("absolute"),
        "absolute_edges": lambda side: side.states[0].sizes,
        "absolute_extremes": lambda side: side.stack("extremes")[:, 1],
        **interval_readings.CONFORMAL,
        **outlier_readings.READINGS,
    },
    Confidence: confidence_readings.READINGS,
    Intervals: {**interval_readings.READINGS, "coverage": _labelled_and_all},
    ExpectedLosses: expected_readings.READINGS,
}
