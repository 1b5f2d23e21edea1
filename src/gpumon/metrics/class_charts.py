"""Control charts of the shares of predicted classes, window by window: p charts, and p′ charts (PD-02).

The centre is the reference's share, and where it has 8 windows these say how much windows differ when nothing has
changed. No labels are needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.metrics.labelled import SHOWN_CLASSES
from gpumon.profiles.labels import Confusion
from gpumon.statistics import control_charts, over_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpumon.metrics.courses import Courses
    from gpumon.metrics.labelled import LabelReadings
    from gpumon.metrics.metric import Metric
    from gpumon.statistics import Counts, Floats

__all__ = ["chart_rows"]

TENTH = 0.1
"""Of a centre: a change of a rare class that is less does not matter."""


def chart_rows(courses: Courses, metric: Metric, level: float | None) -> list[dict[str, Any]]:
    """A row for each window that has a time, by class and segment; none without a reference, or predicted classes.

    ``level`` is the probability that the rows' ``noise`` belongs to, or None. Of two classes the positive one is told.
    """
    if courses.alone or not courses.windows:
        return []
    return [
        _rows(courses, metric, level, place, label, before, now)
        for label, before, now in _classes(courses)
        for place in range(len(courses.totals))
        if (courses.places[place] >= 0).any()
    ]


def _classes(courses: Courses) -> Iterator[tuple[str | None, Counts, Counts]]:
    """Each class that is told of: its rows, and all rows, of every slice of the reference and of the current side (slices, 2)."""
    for _, state, (_, now), _ in courses.now.aspects:
        if not isinstance(state, Confusion) or len(state.classes) > SHOWN_CLASSES:
            continue
        sides = [_counts(courses.before), now["predicted_classes"]]
        for of in [1] if len(state.classes) == 2 else range(len(state.classes)):
            before, after = (np.stack((side[:, of], side.sum(axis=-1)), axis=-1) for side in sides)
            yield (
                None if len(state.classes) == 2 else f"{state.columns[0]}={state.classes[of]}",
                before,
                after,
            )
        return


def _counts(readings: LabelReadings) -> Counts:
    """Rows by predicted class of every slice."""
    return next(
        np.asarray(now["predicted_classes"])
        for _, state, (_, now), _ in readings.aspects
        if isinstance(state, Confusion)
    )


def _rows(
    courses: Courses,
    metric: Metric,
    level: float | None,
    place: int,
    label: str | None,
    before: Floats,
    now: Floats,
) -> dict[str, Any]:
    """The rows of one class and segment."""
    whole, own = courses.of_reference(place)
    windows = [i for i, at in enumerate(courses.places[place].tolist()) if at >= 0]
    counts, rows = now[courses.places[place][windows]].T
    total = before[whole, 1]
    centre = before[whole, 0] / total if total > 0 else np.nan
    spread, known = 1.0, 0
    if courses.history:
        z = control_charts.p_chart(before[own, 0], before[own, 1], centre).z
        known = int(np.count_nonzero(np.isfinite(z)))
        spread = float(np.nan_to_num(control_charts.laney_spread(z), nan=1.0))
    wide = max(spread, 1.0)
    chart = metric.formula(counts, rows, centre, wide)
    value = getattr(chart, metric.part or "z")
    value = np.where(
        np.isinf(value), np.nan, value
    )  # of a class that the reference predicts never, or always
    nothing = np.full(value.shape, np.nan)
    part: dict[str, Any] = {
        "metric": metric.name,
        "id": metric.id,
        "family": metric.family,
        "unit": metric.unit,
        "method": f"p′ chart of {known} windows of the reference" if known else "p chart",
        "column": label,
        "window": np.array([courses.windows[i] for i in windows], object),
        "segment": courses.totals[place][1][1],
        "value": value,
        "lower": value,
        "upper": value,
        "n": np.rint(rows).astype(np.int64),
        "reference": centre,
        "effect": nothing,
        "noise": nothing,
        "reason": np.array([_why(value, n, total) for value, n in zip(value, rows, strict=True)], object),
    }
    if not metric.judged:
        return part
    assert metric.of is not None
    allowed = min(metric.of.warn or 0.0, TENTH * centre)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = counts / rows
        sigma = np.abs(share - centre) / np.abs(value)
    part["effect"] = np.where(value == 0, 0.0, np.abs(over_time.beyond(share - centre, sigma, allowed)))
    part["reason"] = np.array(
        [
            why or f"the share {mine:.4g} where {low:.4g} to {high:.4g} are usual (3 sigma)"
            for why, mine, low, high in zip(part["reason"], share, chart.lower, chart.upper, strict=True)
        ],
        object,
    )
    if level is not None:
        part["p_value"] = control_charts.p_chart_p(value, rows, total, spread, known)
        part["noise"] = control_charts.p_chart_critical(level, rows, centre, total, spread, known)
    return part


def _why(value: float, rows: float, total: float) -> str:
    """Why there is no value; empty if there is one."""
    if not np.isnan(value):
        return ""
    if not total:
        return "the reference has no predictions"
    return (
        "the reference predicts it never, or always: there is no sigma" if rows else "no row has a prediction"
    )
