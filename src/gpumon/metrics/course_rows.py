"""The rows of what windows show together: trends, control charts, detectors, and the time of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import special

from gpumon.metrics.courses import LEVEL, STREAMS, Courses
from gpumon.statistics import batches, over_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpumon.metrics.metric import Metric

__all__ = ["course_rows"]

TOLD = 3  # alarms that are told of one by one
NUMBERS = ("value", "lower", "upper", "ci_lower", "ci_upper", "reference", "p_value", "effect", "noise")

_Row = dict[str, Any]


def course_rows(courses: Courses, metric: Metric, level: float | None) -> list[_Row]:
    """One row of a metric for each segment and for all of them; none where there are no windows or no such measure.

    ``level`` is the probability that the row's ``noise`` belongs to, or None.
    """
    if not courses.windows or metric.reads[0] not in KINDS:
        return []
    found = [KINDS[metric.reads[0]](courses, metric, place, level) for place in range(len(courses.totals))]
    if all(row is None for row in found):
        return []
    rows = [{} if row is None else row for row in found]
    return [
        {
            "metric": metric.name,
            "id": metric.id,
            "family": metric.family,
            "unit": metric.unit,
            "window": np.full(len(rows), None, object),
            "segment": np.array([at[1] for _, at in courses.totals], object),
            "n": np.array([row.get("n", 0) for row in rows], np.int64),
            "method": np.array([row.get("method", metric.method) for row in rows], object),
            "reason": np.array([row.get("reason", "") for row in rows], object),
            **{name: np.array([row.get(name, np.nan) for row in rows], np.float64) for name in NUMBERS},
        }
    ]


def _without(metric: Metric, young: int) -> str:
    """The method, and how many windows were left out."""
    left = f"{young} immature window{'s' * (young != 1)} left out" if young else ""
    return "; ".join(part for part in (metric.method, left) if part)


def _trend(courses: Courses, metric: Metric, place: int, level: float | None) -> _Row | None:
    assert metric.of is not None
    course = courses.course(metric.of, place)
    if course is None:
        return None
    row = {"n": course.rows.sum(), "method": _without(metric, course.young)}
    known = np.flatnonzero(np.isfinite(course.value))
    if known.size < 3:
        return row | {"reason": f"a trend needs three mature windows, there are {known.size}"}
    found = metric.formula(course.value)
    value = float(found.value)
    row |= {"value": value, "lower": value, "upper": value, "p_value": float(found.p)}
    row |= {"ci_lower": float(found.lower), "ci_upper": float(found.upper)}
    if level is not None and not courses.alone:
        # what the slope comes to from the first to the last window, and how much of that chance explains
        scale = abs(course.level) if metric.relative else 1.0
        span = float(known[-1] - known[0]) / (scale if scale > 0 else np.nan)
        sure = metric.formula(course.value, level=1 - level)
        reach = float(value - sure.lower) if value > 0 else float(sure.upper - value)
        worse = -value if metric.better == "higher" else value
        if np.isfinite(reach * span):
            row |= {"effect": worse * span, "noise": reach * span}
        row["reason"] = (
            f"{_words(metric.of)} moves by {value:.3g} a window, from {courses.name(int(known[0]))} to "
            f"{courses.name(int(known[-1]))}"
        )
    return row


def _chart(courses: Courses, metric: Metric, place: int, level: float | None) -> _Row | None:
    base = metric.of
    assert base is not None
    course = courses.course(base, place)
    if course is None:
        return None
    row = {"n": course.rows.sum(), "method": _without(metric, course.young), "reference": course.level}
    with np.errstate(invalid="ignore"):
        known = np.flatnonzero(np.isfinite(course.value) & (course.error > 0))
    if known.size == 0 or not np.isfinite([course.level, course.level_error]).all():
        return row | {
            "reason": "no window has labels enough and an interval"
            if known.size == 0
            else "the reference has no value"
        }
    change = course.value[known] - course.level
    worse = -change if base.better == "higher" else change
    scale = abs(course.level) if base.relative else 1.0
    unsure = float(-special.ndtri(LEVEL / 2 if level is None else level)) * course.level_error
    allowed = max((base.warn or 0.0) * scale, unsure)
    z = over_time.beyond(worse, course.error[known], allowed)
    chart = metric.formula(z)
    peak = int(np.argmax(chart))
    _, start = over_time.rise(over_time.cusum_up(z[: peak + 1]))  # an average forgets where it began
    row |= {"value": chart[peak], "lower": chart[peak], "upper": chart[peak], "effect": chart[peak]}
    if level is not None and metric.limit is not None:
        row["noise"] = metric.limit(known.size / level)
    row["reason"] = (
        f"{_words(base)} is worse than {course.level:.4g} since {courses.name(int(known[start]))}: the chart is highest at "
        f"{courses.name(int(known[peak]))}, and {chart[-1]:.3g} at last"
    )
    return row


def _detector(courses: Courses, metric: Metric, place: int, _: float | None) -> _Row | None:
    streams = [courses.stream(kind, place) for kind in STREAMS[metric.reads[0]]]
    stream = next((found for found in streams if found is not None), None)
    if stream is None:
        return None
    rows = np.where(stream.place >= 0, stream.rows, 0).sum()
    row = {"n": round(float(rows)), "method": _without(metric, stream.young)}
    if np.count_nonzero(stream.place >= 0) == 0:
        return row | {"reason": "no window has labels enough"}
    whole = np.maximum(np.rint(stream.rows), 1).astype(np.int64)
    found = metric.formula(stream.mean, whole, stream.squares)
    row |= dict.fromkeys(("value", "lower", "upper"), float(found.at.size))
    told = [
        f"at {courses.name(int(stream.place[at]))}, of a change since {courses.name(int(stream.place[max(since, 1)]))}"
        for at, since in zip(found.at[:TOLD], found.since[:TOLD], strict=True)
    ]
    more = found.at.size - len(told)
    row["reason"] = "; ".join(told) + (f"; and {more} more" if more else "")
    return row


def _change(courses: Courses, metric: Metric, place: int, level: float | None) -> _Row | None:
    both = courses.shift(metric, place)
    if both is None:
        return None
    found, places = both
    row = _rested(courses, metric, place)
    if found.at < 0:
        return row | {
            "reason": "a change needs two batches with labels enough: windows, or a window and the reference"
        }
    scale = found.before if metric.relative else 1.0
    at, first, last = (courses.name(int(places[i])) for i in (found.at, found.first, found.last))
    what = (
        metric.name.removesuffix("_change").replace("_", " ")
        if metric.of is None
        else f"the {metric.name.removesuffix('_change')} part"
    )
    row |= {"value": found.value, "lower": found.value, "upper": found.value, "reference": found.before}
    row |= {"ci_lower": found.lower, "ci_upper": found.upper, "p_value": found.p}
    row["reason"] = (
        f"{what} {'rose' if found.value > 0 else 'fell'} from {found.before:.4g} to {found.after:.4g} at {at} "
        f"(95 %: {first} to {last})"
    )
    if level is not None and not courses.alone and scale > 0:
        row["effect"] = found.value / scale
        row["noise"] = batches.change_critical(level, found.error, places.size) / scale
    return row


def _time(courses: Courses, metric: Metric, place: int, _: float | None) -> _Row | None:
    both = courses.shift(metric, place)
    if both is None:
        return None
    found, places = both
    row = _rested(courses, metric, place)
    if found.at < 0:
        return row | {"reason": "there is no change whose time could be told"}
    starts = np.array(courses.windows, "M8[s]").astype(np.float64)
    when = metric.formula(places[[found.at, found.first, found.last]], starts)
    row |= dict.fromkeys(("value", "lower", "upper"), float(when.value))
    return row | {"ci_lower": float(when.lower), "ci_upper": float(when.upper), "p_value": found.p}


def _rested(courses: Courses, metric: Metric, place: int) -> _Row:
    """How many rows a change rests on, and by what method it was found."""
    if metric.of is not None:
        course = courses.course(metric.of, place)
        rows, young = (0, 0) if course is None else (int(course.rows.sum()), course.young)
    else:
        stream = courses.stream(STREAMS[metric.reads[0].removesuffix("_change")][0], place)
        assert stream is not None
        rows, young = round(float(stream.rows[stream.place >= 0].sum())), stream.young
    return {"n": rows, "method": _without(metric, young)}


def _words(metric: Metric) -> str:
    return metric.name.replace("_", " ")


KINDS: dict[str, Callable[[Courses, Metric, int, float | None], _Row | None]] = {
    "course": _trend,
    "deviations": _chart,
    "stream": _detector,
    "errors": lambda *given: (_detector if given[1].unit == "alarms" else _change)(*given),
    "residuals": _change,
    "means": _change,
    "errors_change": _time,
    "residuals_change": _time,
    "means_change": _time,
}
