"""What is drawn of a model: its metrics over windows and by segment, ROC and PR, reliability, how sure it is, confusion, residuals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from gpumon.metrics.metric import FAMILIES, GAP
from gpumon.profiles.confidence import Confidence
from gpumon.profiles.labels import LABELS, Confusion, Residuals, Scores
from gpumon.reports.charts import Course, Curve, Group, course_svg, curves_svg, groups_svg, matrix_svg
from gpumon.reports.over_time import change_of
from gpumon.statistics import calibration, ranking
from gpumon.verdicts.judge import SEVERITY, worst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.results import Result
    from gpumon.profiles.state import State
    from gpumon.reports.report import Report

    Sides = tuple[tuple[str, State], ...]

__all__ = ["charts", "from_window_to_window"]

FAMILY = FAMILIES["PS"]
MOST_COURSES = 8
BESIDE = ("interval_coverage", "conformal_coverage")  # of another family, and drawn like performance
ESTIMATED = "estimated_"  # a metric's estimate without labels is called so
CHANGED = {"accuracy": "error_rate", "mae": "absolute_error"}  # whose change is drawn in whose course
CHART = "predicted_class_chart"
DISTANCES = {"psi": "PSI", "jensen_shannon": "Jensen–Shannon"}
POINTS = 200  # of a curve
BINS = 15  # of reliability
BARS = 40  # of residuals
LEVELS = 20  # of confidence
NEGATIVE, POSITIVE, _ = range(len(LABELS))


def charts(report: Report) -> dict[str, str]:
    """Every chart that the report has data for, by name, as SVG."""
    found: dict[str, str] = {}
    draw: dict[type[State], Callable[[Sides, str], Iterator[tuple[str, str]]]] = {
        Scores: _of_scores,
        Confidence: _of_confidence,
        Confusion: _of_confusion,
        Residuals: _of_residuals,
    }
    for (subject, aspect), plan in report.reference.plan.items():
        if type(plan) in draw:
            sides = (
                ("reference", report.reference.state(subject, aspect)),
                ("current", report.current.state(subject, aspect)),
            )
            found |= dict(draw[type(plan)](sides, aspect))
    return found | _estimates(report) | _courses(report) | _groups(report) | from_window_to_window(report)


def from_window_to_window(report: Report) -> dict[str, str]:
    """How far each score and prediction moved from one window to the next, and all windows so far from the reference.

    The first of ``DISTANCES`` that was measured; its name is ``psi_previous of p``. Then the shares of predicted classes with
    their control limits, ``predicted_class_chart`` or ``predicted_class_chart of y=a``, the gravest first.
    """
    return _moves(report) | _control_charts(report)


def _control_charts(report: Report) -> dict[str, str]:
    labels = report.current.windows
    charts = report.results.where(metric=CHART, segment=None)
    shares, lower, upper = (
        report.results.where(metric=f"predicted_class_{name}", segment=None)
        for name in ("share", "lower_limit", "upper_limit")
    )
    drawn = {}
    status = {column: worst(charts.where(column=column)["status"].tolist()) for column in charts["column"]}
    for column in sorted(status, key=lambda column: -SEVERITY[status[column]])[:MOST_COURSES]:
        of, low, high, judged = (
            {row.window: row for row in rows.where(column=column)} for rows in (shares, lower, upper, charts)
        )
        share = _course([row for row in of.values() if row.window is not None], labels, estimated=False)
        below, above = ([_of(side.get(label), "value") for label in labels] for side in (low, high))
        centre = [_of(low.get(label), "reference") for label in labels]
        there = [judged.get(label) for label in labels]
        drawn[CHART if column is None else f"{CHART} of {column}"] = course_svg(
            "Share of predictions" if column is None else f"Predicted {column}",
            labels,
            [
                share._replace(
                    name="share",
                    lower=None,
                    upper=None,
                    status=["no_data" if row is None else row.status for row in there],
                ),
                Course("3 sigma", centre, below, above, estimated=True),
            ],
        )
    return drawn


def _moves(report: Report) -> dict[str, str]:
    labels = report.current.windows
    for distance, words in DISTANCES.items():
        moved = report.results.where(metric=f"{distance}_previous", segment=None)
        if not len(moved):
            continue
        so_far = report.results.where(metric=f"{distance}_cumulative", segment=None)
        drawn = {}
        for column in dict.fromkeys(moved["column"].tolist()):
            rows = list(moved.where(column=column))
            beside = list(so_far.where(column=column))
            limits = [row.threshold for row in rows if math.isfinite(row.threshold)]
            courses = [_course(rows, labels, estimated=False)._replace(name="window before")]
            if beside:
                courses.append(_course(beside, labels, estimated=True)._replace(name="all so far"))
            if any(math.isfinite(row.value) for row in (*rows, *beside)):
                drawn[f"{distance}_previous of {column}"] = course_svg(
                    f"{words} of {column}",
                    labels,
                    courses,
                    limits=[float(np.median(limits))] if limits else (),
                )
        return drawn
    return {}


def _estimates(report: Report) -> dict[str, str]:
    """What was realised, with its interval, and what was estimated without labels: how far estimates can be trusted."""
    at = {
        row.metric: row for row in report.results.where(family=FAMILY, column=None, window=None, segment=None)
    }
    groups = [
        Group(_words(name), row.value, row.ci_lower, row.ci_upper, _of(at.get(f"{ESTIMATED}{name}"), "value"))
        for name, row in at.items()
        if math.isfinite(row.value) and math.isfinite(_of(at.get(f"{ESTIMATED}{name}"), "value"))
    ]
    if not groups:
        return {}
    title = "Realised and estimated"
    return {"estimates": groups_svg(title, "ring: estimated without labels", groups, estimated=True)}


def _courses(report: Report) -> dict[str, str]:
    """The metrics with a verdict first, window by window."""
    labels = report.current.windows
    if not labels:
        return {}
    rows = report.results.where(family=FAMILY, segment=None)
    for name in BESIDE:
        rows += report.results.where(metric=name, segment=None)
    names = dict.fromkeys(
        (row.metric.removeprefix(ESTIMATED), row.column)
        for row in rows
        if row.window is not None and math.isfinite(row.value) and not row.metric.endswith(GAP)
    )
    judged = {(row.metric, row.column) for row in rows if math.isfinite(row.threshold)}
    shares = report.results.where(metric="labelled_share", segment=None)
    mature = [share if math.isfinite(share := _at(shares, label)) else 1.0 for label in labels]
    drawn = {}
    order = sorted(names, key=lambda name: (name not in judged, name[1] is not None))
    for metric, column in order[:MOST_COURSES]:
        courses = []
        level = math.nan
        for name in (f"{ESTIMATED}{metric}", metric):
            of = [row for row in rows.where(metric=name) if row.column == column]
            level = next((row.reference for row in of if math.isfinite(row.reference)), level)
            if any(row.window is not None and math.isfinite(row.value) for row in of):
                courses.append(_course(of, labels, estimated=name != metric))
        when = change_of(report, CHANGED[metric]) if metric in CHANGED and column is None else None
        drawn[f"{_named(metric, column)} by window"] = course_svg(
            _named(_words(metric), column),
            labels,
            courses,
            level=level,
            mature=mature,
            change=None
            if when is None
            else (labels.index(when.at), labels.index(when.first), labels.index(when.last)),
        )
    return drawn


def _course(rows: Iterable[Result], labels: Sequence[str], *, estimated: bool) -> Course:
    at = {row.window: row for row in rows}
    there = [at.get(label) for label in labels]
    values, lower, upper = ([_of(row, part) for row in there] for part in ("value", "ci_lower", "ci_upper"))
    status = [row.status if row is not None else "no_data" for row in there]
    return Course("estimated" if estimated else "realised", values, lower, upper, status, estimated)


def _named(metric: str, column: str | None) -> str:
    return metric if column is None else f"{metric} of {column}"


def _at(rows: Iterable[Result], label: str) -> float:
    return next((row.value for row in rows if row.window == label), math.nan)


def _of(row: Result | None, name: str) -> float:
    return math.nan if row is None else float(getattr(row, name))


def _groups(report: Report) -> dict[str, str]:
    """The metrics with a verdict first, segment by segment."""
    rows = report.results.where(family=FAMILY, window=None)
    segments = report.current.segments
    if not segments:
        return {}
    names = dict.fromkeys(
        (row.metric, row.column, row.unit)
        for row in rows
        if row.segment is not None and math.isfinite(row.value) and not row.metric.endswith(GAP)
    )
    judged = {(row.metric, row.column) for row in rows if math.isfinite(row.threshold)}
    drawn = {}
    order = sorted(names, key=lambda name: (name[:2] not in judged, name[1] is not None))
    for metric, column, unit in order[:MOST_COURSES]:
        of = [row for row in rows.where(metric=metric) if row.column == column]
        at = {row.segment: row for row in of}
        groups = [
            Group(
                segment,
                *(_of(at.get(segment), name) for name in ("value", "ci_lower", "ci_upper", "reference")),
            )
            for segment in segments
        ]
        groups.sort(key=lambda group: (math.isnan(group.value), group.value))
        level = _of(at.get(None), "value")
        drawn[f"{_named(metric, column)} by segment"] = groups_svg(
            f"{_named(_words(metric), column)} by segment", "" if unit == "1" else unit, groups, level=level
        )
    return drawn


def _of_scores(sides: Sides, aspect: str) -> Iterator[tuple[str, str]]:
    """ROC, precision over recall, and reliability."""
    roc, recall, reliable = [], [], []
    for side, state in sides:
        assert isinstance(state, Scores)
        mass = state.mass if state.weight else state.counts
        negatives, positives = (mass[label, :-2].astype(np.float64) for label in (NEGATIVE, POSITIVE))
        if not (negatives.any() and positives.any()):
            continue
        area, precision = ranking.auc(negatives, positives), ranking.average_precision(negatives, positives)
        roc.append(_curve(f"{side} {float(area.value):.3f}", ranking.roc_curve(negatives, positives), side))
        curve = ranking.precision_recall_curve(negatives, positives)
        recall.append(_curve(f"{side} {float(precision.value):.3f}", curve, side))
        if not state.outside[[NEGATIVE, POSITIVE]].any():
            reliable.append(_reliability(side, state, negatives, positives))
    of = f" of {sides[0][1].positive[0]}" if aspect != "scores" else ""  # type: ignore[attr-defined]
    if roc:
        axes = ("false positive rate", "true positive rate")
        yield f"roc{of}", curves_svg(f"ROC{of}, area", axes, roc, diagonal=True)
        yield (
            f"precision recall{of}",
            curves_svg(f"Precision and recall{of}, AP", ("recall", "precision"), recall),
        )
    if reliable:
        axes = ("mean score", "share of positives")
        yield f"reliability{of}", curves_svg(f"Reliability{of}", axes, reliable, diagonal=True)
    if aspect == "scores":
        yield from _of_confidence(sides, aspect)


def _of_confidence(sides: Sides, _: str) -> Iterator[tuple[str, str]]:
    """The share of rows by the probability of the likeliest class, with and without labels."""
    curves = []
    for side, state in sides:
        assert isinstance(state, Scores | Confidence)
        mass = state.mass if state.weight else state.counts
        several = isinstance(state, Confidence)
        rows = (mass[0] if several else mass.sum(axis=0))[:-2].astype(np.float64)
        if not rows.any() or state.outside.any():
            continue
        least = 1 / (len(state.columns) - 1) if several else 0.5
        points = np.linspace(least, 1, LEVELS + 1)
        below = np.cumsum(rows)[1 : state.edges.size + 1]  # of each edge
        inside = np.interp(points, state.edges, below)
        if not several:
            inside = inside - np.interp(1 - points, state.edges, below)
        inside[-1] = rows.sum()  # those of exactly 1 too, and of exactly 0
        shares = np.diff(inside) / rows.sum()
        middle = ((points[1:] + points[:-1]) / 2).tolist()
        curves.append(Curve(side, middle, shares.tolist(), side))
    if curves:
        axes = ("probability of the likeliest class", "share of rows")
        yield "confidence", curves_svg("How sure the model is", axes, curves, square=False)


def _curve(name: str, curve: ranking.Curve, side: str) -> Curve:
    """At most so many points as can be seen, evenly along the curve."""
    along = np.cumsum(
        np.abs(np.diff(curve.x, prepend=curve.x[0])) + np.abs(np.diff(curve.y, prepend=curve.y[0]))
    )
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], POINTS)).clip(0, along.size - 1))
    kept = np.union1d(kept, [0, along.size - 1])
    return Curve(name, curve.x[kept].tolist(), curve.y[kept].tolist(), side)


def _reliability(
    side: str, state: Scores, negatives: NDArray[np.float64], positives: NDArray[np.float64]
) -> Curve:
    # cells: −inf and below lie in the first bin, above and +inf in the last
    groups = calibration.equal_width(state.edges, BINS)
    groups = np.concatenate(([0], groups, [BINS - 1]))
    scores = state.probability[[NEGATIVE, POSITIVE], :-2].sum(axis=0)
    rows = negatives + positives
    n, k, total = (calibration.merged(values, groups, BINS) for values in (rows, positives, scores))
    curve = calibration.reliability(n, k, total)
    there = curve.rows > 0
    weights = curve.rows[there] / curve.rows.max()
    return Curve(side, curve.score[there].tolist(), curve.rate[there].tolist(), side, weights.tolist())


def _of_confusion(sides: Sides, aspect: str) -> Iterator[tuple[str, str]]:
    before, now = (
        (state.mass if state.weight else state.counts)[:-2, :-2]  # type: ignore[attr-defined]
        for _, state in sides
    )
    classes: tuple[str, ...] = sides[0][1].classes  # type: ignore[attr-defined]
    if now.any():
        yield aspect, matrix_svg("Confusion: share of the true class", classes, now.tolist(), before.tolist())


def _of_residuals(sides: Sides, aspect: str) -> Iterator[tuple[str, str]]:
    """The share of rows by residual, over the middle 99 % of both sides."""
    known = [
        (side, state) for side, state in sides if isinstance(state, Residuals) and state.counts[:-2].any()
    ]
    levels = [np.cumsum(state.counts[:-2])[1 : state.edges.size + 1] for _, state in known]  # below each edge
    levels = [level / state.counts[:-2].sum() for level, (_, state) in zip(levels, known, strict=True)]
    ends = [
        np.interp((0.005, 0.995), level, state.edges) for level, (_, state) in zip(levels, known, strict=True)
    ]
    if not ends or not (low := np.min(ends)) < (high := np.max(ends)):
        return
    points = np.linspace(low, high, BARS + 1)
    middle = ((points[1:] + points[:-1]) / 2).tolist()
    curves = [
        Curve(side, middle, np.diff(np.interp(points, state.edges, level)).tolist(), side)
        for level, (side, state) in zip(levels, known, strict=True)
    ]
    yield aspect, curves_svg("Residuals", ("prediction − target", "share of rows"), curves, square=False)


def _words(metric: str) -> str:
    return metric.replace("_", " ")
