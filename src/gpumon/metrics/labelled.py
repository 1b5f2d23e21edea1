"""How the rows of performance come about: of the model as a whole, and of its classes, from predictions and labels."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.metrics import cluster_readings, confidence_readings, expected_readings, interval_readings
from gpumon.metrics.label_readings import LEVEL, READINGS, TOGETHER, TWO_SIDED, Side, readable, side_of
from gpumon.metrics.metric import BOUNDED, OF_REFERENCE
from gpumon.profiles.clusters import Clusters
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.expected_losses import ExpectedLosses
from gpumon.profiles.intervals import Intervals
from gpumon.profiles.labels import Confusion, Labelled, Scores
from gpumon.profiles.ranked_classes import RankedClasses
from gpumon.statistics import estimation, significance
from gpumon.statistics.calibration_change import ErrorChange
from gpumon.statistics.ecdf import Bounds, Certified
from gpumon.statistics.estimation import Estimate
from gpumon.statistics.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.metric import Metric
    from gpumon.profiles.profile import Profile, Slice

    Floats = NDArray[np.float64]

__all__ = ["MATURITY", "SHOWN_CLASSES", "LabelReadings", "immature"]

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
            "costs",
        }
    )
    | confidence_readings.SHARED
    | cluster_readings.SHARED
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
    | cluster_readings.WITHOUT_LABELS
    | interval_readings.WITHOUT_LABELS
    | expected_readings.WITHOUT_LABELS
)
CONTRADICTED = 0.005
"""Of the rows, so many may be predicted otherwise than by the threshold: some have a prediction and no score."""
LOSS_OF = {"negative_loss": 0, "positive_loss": 1}
"""Readings of the rows of one label."""

_Pairs = list[tuple["Slice", "Slice"]]


class LabelReadings:
    """The readings of predictions and labels of two profiles, for all metrics; what is not asked for is not made."""

    def __init__(
        self, reference: Profile, current: Profile, slices: _Pairs, maturity: float = MATURITY
    ) -> None:
        self.slices = slices
        self.maturity = maturity
        self.aspects: list[tuple[str, Labelled, tuple[Side, Side], NDArray[np.int64]]] = []
        costs = reference.facts.get("costs", ())
        for aspect, state in readable(reference):
            if ("", aspect) in current.plan:
                before, place = side_of(reference, aspect, state, [of for of, _ in slices], costs)
                now, _ = side_of(current, aspect, state, [at for _, at in slices], costs)
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
        of_several = False
        label = LOSS_OF.get(metric.reads[0])
        each = _shared(level, sum(aspect.startswith("scores ") for aspect, _, _, _ in self.aspects))
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
            if "costs" in metric.reads and isinstance(state, Confusion) and len(state.classes) != 2:
                continue
            if "coverage" in metric.reads and parts:
                continue  # another aspect has told it
            if not together.keys().isdisjoint(metric.reads):
                if aspect in {"scores", "confidence", "residuals", "intervals", "clusters"}:
                    parts += _change(metric, sides, place, level)
                continue
            if isinstance(state, Scores) and label is not None:
                if aspect == "scores" or label:  # many classes tell of their own rows, and not of the rest
                    own = level if aspect == "scores" else each
                    found = _row(metric, sides, place, own, self._class_of(state, label))
                    found[0]["n"] = sides[1].stack("counts")[:, label, :-2].sum(axis=-1)
                    if aspect == "scores":
                        parts += found
                    else:
                        averaged.append(found)
            elif isinstance(state, Scores) and aspect != "scores":
                found = _row(metric, sides, place, each, f"{state.columns[0]}={state.positive[0]}")
                averaged.append(found)
            elif metric.by_class:
                parts += _class_rows(metric, state, sides, place, level)
            else:
                parts += _row(metric, sides, place, level, None)
                of_several |= isinstance(state, Confidence)
        if averaged:
            classes = [part for (part,) in averaged] if len(averaged) <= SHOWN_CLASSES else []
            parts = classes + (parts if of_several else [_average(metric, averaged, each)])
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


_Found = tuple[Any, Any, Any, Any, Any]


def _kept(
    metric: Metric, side: Side, reference: Side | None = None, place: NDArray[np.int64] | None = None
) -> _Found:
    """What ``_measured`` finds, once: classes pick theirs, and the course over time reads it again."""
    if metric not in side.made:
        side.made[metric] = _measured(metric, side, reference, place)
    found: _Found = side.made[metric]
    return found


def _measured(
    metric: Metric, side: Side, reference: Side | None = None, place: NDArray[np.int64] | None = None
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
    metric: Metric, sides: tuple[Side, Side], place: NDArray[np.int64], level: float | None
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
        "method": _method(metric, sides[1]),
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

    def __init__(self, sides: tuple[Side, Side], place: NDArray[np.int64]) -> None:
        self.sides = sides
        self.place = place

    def __getitem__(self, name: str) -> tuple[Any, ...]:
        return TOGETHER[self.sides[0].kind][name](*self.sides, self.place)


def _is_exact(metric: Metric, side: Side) -> bool:
    return side.values is not None and metric.exact is not None and "negatives" in metric.reads


def _row(
    metric: Metric,
    sides: tuple[Side, Side],
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
            if metric.few:
                spread = (before[4] - before[3]) / (2 * TWO_SIDED)
                ratio = _rarest(sides[0], pick)[place] / _rarest(sides[1], pick)
                p = significance.fallen_share_p(was, spread, ratio, value)
                part["p_value"] = np.fmax(part["p_value"], p)
                limit = significance.fallen_share_critical(level, was, spread, ratio)
                part["noise"] = np.fmax(part["noise"], limit)
            if metric.null is not None:
                both = _Both(sides, place)
                part["p_value"] = np.where(np.isnan(change), np.nan, metric.null.p_value(change, both))  # type: ignore[arg-type]
                part["noise"] = metric.null.critical(level, both)  # type: ignore[arg-type]
            if metric.test is not None:
                part["p_value"] = metric.test(*(sides[1][name] for name in metric.reads), was)
    return (part,)


def _rarest(side: Side, pick: Callable[[Any], Any]) -> Any:
    """Rows that a measure of classes rests on: of one class those of it or of the rest, whichever are fewer; else all."""
    if side.kind is Scores:
        return side.stack("counts")[:, :2, :-2].sum(axis=-1).min(axis=-1)
    if side.kind is not Confusion:
        return side.stack("counts")[:, 0].sum(axis=(-1, -2))
    of_class = side["true_classes"]
    every = of_class.sum(axis=-1)
    fewer = pick(np.minimum(of_class, every[:, None] - of_class))
    return fewer if np.ndim(fewer) == 1 else every


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


def _method(metric: Metric, side: Side) -> str:
    if side.kind is Confidence:
        besides = confidence_readings.OF_SEVERAL.get(metric.reads[0])
        return metric.method if besides is None else f"{besides}; {metric.method}"
    return metric.method.replace(BOUNDED, "exact, sorted") if _is_exact(metric, side) else metric.method


def _reach(before: Sequence[Any], now: Sequence[Any]) -> Floats:
    """How far the difference of two values reaches towards none, from their intervals (Zou & Donner 2008)."""
    fell = now[0] < before[0]
    towards = np.where(fell, now[4] - now[0], now[0] - now[3])
    away = np.where(fell, before[0] - before[3], before[4] - before[0])
    return np.asarray(np.hypot(towards, away))


def _shared(level: float | None, classes: int) -> float | None:
    """The level of each of the classes and of their average, which share that of their metric."""
    return None if level is None else level / (classes + 1)


def _class_rows(
    metric: Metric,
    state: Labelled,
    sides: tuple[Side, Side],
    place: NDArray[np.int64],
    level: float | None,
) -> list[dict[str, Any]]:
    """Of two classes the positive one's row; of more the average's and a row for each class."""
    assert isinstance(state, Confusion)
    if len(state.classes) == 2:
        return list(_row(metric, sides, place, level, None, lambda x: x[..., 1]))
    shown = range(len(state.classes)) if len(state.classes) <= SHOWN_CLASSES else range(0)
    level = _shared(level, len(shown))
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
    if metric.macro is None:
        return parts + list(_row(metric, sides, place, None, None, _mean_of_classes, "macro average"))
    return parts + list(_row(_macro(metric), sides, place, level, None, method="macro average"))


@cache
def _macro(metric: Metric) -> Metric:
    """The mean over the classes as a metric of its own."""

    def mean(*readings: Any) -> Any:
        return _mean_of_classes(metric.formula(*readings))

    return replace(metric, formula=mean, interval=metric.macro, by_class=False)


def _mean_of_classes(x: Any) -> Any:
    known = ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        return np.sum(x, axis=-1, where=known) / np.where(known.any(axis=-1), known.sum(axis=-1), np.nan)


def _average(
    metric: Metric, found: Sequence[tuple[dict[str, Any], ...]], level: float | None
) -> dict[str, Any]:
    """The mean of the classes' rows, with an interval and a noise as if the classes erred together: the most that they can.

    It is not judged where the classes' changes are parts of values of their own, or have tests of their own.
    """
    parts = [part for (part,) in found]
    numbers = ["value", "lower", "upper", "reference", "ci_lower", "ci_upper", "effect", "noise"]
    mean = {name: _mean_of_classes(np.stack([part[name] for part in parts], axis=-1)) for name in numbers}
    nothing = np.full(mean["value"].shape, np.nan)
    mean["p_value"] = nothing
    if metric.relative or metric.null is not None or metric.test is not None:
        mean |= dict.fromkeys(("effect", "noise"), nothing)
    elif metric.judged and level is not None:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = mean["effect"] / mean["noise"] * special.ndtri(level / 2)
        mean["p_value"] = 2 * special.ndtr(-np.abs(z))
    return parts[0] | mean | {"column": None, "method": "macro average, one class against the rest"}


def _rows(metric: Metric, side: Side) -> NDArray[np.int64]:
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
    if side.kind is Clusters:
        return np.asarray(side.stack("counts").sum(axis=(-1, -2)))
    if side.kind is RankedClasses:
        return np.asarray(side.stack("counts")[:, 0].sum(axis=(-1, -2)))
    if side.kind is Confidence:
        labelled = WITHOUT_LABELS.isdisjoint(metric.reads)
        return np.asarray(confidence_readings.rows(side, labelled=labelled))
    if "coverage" in metric.reads:
        return np.array([state.rows for state in side.states])
    if side.kind is Intervals:
        return interval_readings.rows(side, labelled=WITHOUT_LABELS.isdisjoint(metric.reads))
    if side.kind is ExpectedLosses:
        return expected_readings.rows(side, labelled=WITHOUT_LABELS.isdisjoint(metric.reads))
    return np.asarray(side.stack("counts").sum(axis=-1))


def _why(metric: Metric, side: Side, rows: NDArray[np.int64]) -> NDArray[Any]:
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
    if side.kind is Clusters:
        words[rows == 0] = "no row has a value in each of the columns that are clustered"
    if side.kind is RankedClasses:
        words[rows > 0] = "the labels are all of one class"
    if side.kind is Confidence:
        words = confidence_readings.why(side, rows, labelled=WITHOUT_LABELS.isdisjoint(metric.reads))
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
