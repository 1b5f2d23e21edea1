"""Charts of models as inline SVG: metrics over time, curves, confusion matrices, groups side by side.

Like :mod:`gpumon.reports.figures` they need no plotting package, suit light and dark pages, and take plain numbers:
blue is the reference, orange the current data, dashed violet what is estimated. None or NaN is a number that is not known.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from gpumon.reports.figures import STATUS_WORDS
from gpumon.reports.svg import (
    CURRENT,
    REFERENCE,
    Plot,
    document,
    line,
    number,
    percent,
    printable,
    rect,
    tag,
    text,
    tick_words,
    ticks,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Course", "Curve", "Group", "course_svg", "curves_svg", "groups_svg", "matrix_svg"]

ESTIMATED = "#8a63b8"
_MOST_CLASSES = 12
_MOST_GROUPS = 24


class Course(NamedTuple):
    """One metric over windows; ``lower`` and ``upper`` are its interval, ``status`` a verdict for each window."""

    name: str
    values: Sequence[float]
    lower: Sequence[float] | None = None
    upper: Sequence[float] | None = None
    status: Sequence[str] | None = None
    estimated: bool = False


class Curve(NamedTuple):
    """Points (x, y) that a line joins; ``weights`` in [0, 1] make dots of that area."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    side: str = "current"
    weights: Sequence[float] | None = None


class Group(NamedTuple):
    """A value with its interval, and the same of the reference, NaN where there is none."""

    name: str
    value: float
    lower: float
    upper: float
    reference: float = math.nan


def course_svg(
    title: str,
    labels: Sequence[str],
    courses: Sequence[Course],
    *,
    level: float = math.nan,
    limits: Sequence[float] = (),
    mature: Sequence[float] | None = None,
    change: tuple[int, int, int] | None = None,
) -> str:
    """A metric window by window, with its interval as a band and the reference's ``level`` as a line.

    ``limits`` are thresholds; ``change`` is the number of the first window after a change, and those of the first and the
    last window of its interval; ``mature`` is the share of each window's rows whose labels have come: what is not
    mature is drawn pale. Estimated courses are dashed, the estimate never hides what was realised.
    """
    known = [x for c in courses for part in (c.values, c.lower or (), c.upper or ()) for x in part]
    plot = Plot((-0.5, max(len(labels), 1) - 0.5), _range([*known, level, *limits]))
    marks = [plot.rules(), _labels(plot, labels)]
    if change is not None:
        marks.append(_changed(plot, labels, *change))
    if not math.isnan(level):
        marks.append(_across(plot, level, stroke=REFERENCE, stroke_width=1.4))
        marks.append(
            text(466, plot.y(level) - 4, "reference", text_anchor="end", fill=REFERENCE, font_size=10)
        )
    marks += [
        _across(plot, limit, stroke="currentColor", stroke_dasharray="2 3")
        for limit in limits
        if _known(limit)
    ]
    for course in courses:
        paint = ESTIMATED if course.estimated else CURRENT
        marks.append(_band(plot, course, paint))
        for run in _runs(course.values):
            dashes = {"stroke_dasharray": "5 4"} if course.estimated else {}
            marks.append(
                line(plot, run, [course.values[i] for i in run], stroke=paint, stroke_width=1.8, **dashes)
            )
        for i, value in enumerate(course.values):
            if _known(value) and not course.estimated:
                marks.append(_dot(plot, i, value, course, labels, mature))
    key = "".join(
        _key(c.name, ESTIMATED if c.estimated else CURRENT, 300 - 90 * n) for n, c in enumerate(courses[:2])
    )
    return document(
        f"{title} by window",
        text(8, 16, printable(title, 60), font_weight=600) + key + "".join(marks),
        480,
        240,
    )


def _changed(plot: Plot, labels: Sequence[str], at: int, first: int, last: int) -> str:
    """A line before the first window after a change, and its interval as a pale band."""
    start, end = plot.x(first - 0.5), plot.x(last - 0.5)
    told = f"changed from {printable(labels[at], 80)} on, 95 %: {printable(labels[first], 80)} to {printable(labels[last], 80)}"
    band = rect(
        start - 2,
        plot.top,
        end - start + 4,
        plot.floor - plot.top,
        tip=told,
        fill="currentColor",
        fill_opacity=0.12,
    )
    x = plot.x(at - 0.5)
    rule = f"M{x:.1f} {plot.top:.1f}V{plot.floor:.1f}"
    return band + tag(
        "path", d=rule, stroke="currentColor", stroke_width=1.2, stroke_dasharray="3 2", fill="none"
    )


def _dot(
    plot: Plot, i: int, value: float, course: Course, labels: Sequence[str], mature: Sequence[float] | None
) -> str:
    status = course.status[i] if course.status else "ok"
    told = f"{printable(labels[i], 80)}: {number(value)}"
    if course.lower is not None and course.upper is not None:
        told += f" ({number(course.lower[i])} to {number(course.upper[i])})"
    if mature is not None:
        told += f", {percent(mature[i])} labelled"
    pale = 0.35 if mature is not None and not mature[i] >= 0.999 else 1.0
    size = 4.5 if status in {"alert", "warn"} else 2.6
    ring = {"stroke": "currentColor", "stroke_width": 1.2} if status == "alert" else {}
    return tag(
        "circle", "", f"{told}, {STATUS_WORDS.get(status, status)}",
        cx=plot.x(i), cy=plot.y(value), r=size, fill=CURRENT, fill_opacity=pale, **ring,
    )  # fmt: skip


def _band(plot: Plot, course: Course, paint: str) -> str:
    """The interval of every window, one polygon for each run of windows that have one."""
    if course.lower is None or course.upper is None:
        return ""
    both = [
        a if _known(a) and _known(b) else math.nan for a, b in zip(course.lower, course.upper, strict=True)
    ]
    bands = []
    for run in _runs(both):
        there = [f"{plot.x(i):.1f} {plot.y(course.upper[i]):.1f}" for i in run]
        back = [f"{plot.x(i):.1f} {plot.y(course.lower[i]):.1f}" for i in reversed(run)]
        bands.append(tag("path", d=f"M{'L'.join(there + back)}Z", fill=paint, fill_opacity=0.18))
    return "".join(bands)


def curves_svg(
    title: str,
    axes: tuple[str, str],
    curves: Sequence[Curve],
    *,
    diagonal: bool = False,
    square: bool = True,
) -> str:
    """Curves in the plane, such as ROC, precision over recall, or observed over predicted rates.

    ``diagonal`` draws y = x; ``square`` shows [0, 1] × [0, 1], else the range of the data.
    """
    xs = (0.0, 1.0) if square else _range([x for curve in curves for x in curve.x])
    ys = (0.0, 1.0) if square else _range([y for curve in curves for y in curve.y])
    plot = Plot(xs, ys, right=466 if not square else 290, floor=276 if square else 214)
    marks = [_rules_within(plot)]
    if diagonal:
        marks.append(line(plot, xs, ys, stroke="currentColor", stroke_opacity=0.4, stroke_dasharray="2 3"))
    for curve in curves:
        paint = REFERENCE if curve.side == "reference" else CURRENT
        points = [(a, b) for a, b in zip(curve.x, curve.y, strict=True) if _known(a) and _known(b)]
        if points:
            marks.append(line(plot, *zip(*points, strict=True), stroke=paint, stroke_width=1.8))
        for (a, b), weight in zip(points, curve.weights or (), strict=False):
            told = f"{printable(curve.name, 60)}: {number(b)} at {number(a)}"
            marks.append(
                tag(
                    "circle",
                    "",
                    told,
                    cx=plot.x(a),
                    cy=plot.y(b),
                    r=2 + 6 * math.sqrt(max(weight, 0)),
                    fill=paint,
                    fill_opacity=0.4,
                )
            )
    place = plot.right + 14
    key = [text(8, 16, printable(title, 60), font_weight=600)]
    key += [
        _key(
            printable(curve.name, 26), REFERENCE if curve.side == "reference" else CURRENT, place, 52 + 18 * i
        )
        if square
        else _key(
            printable(curve.name, 20), REFERENCE if curve.side == "reference" else CURRENT, 250 + 110 * i, 16
        )
        for i, curve in enumerate(curves)
    ]
    key += [
        text((plot.left + plot.right) / 2, plot.floor + 30, axes[0], text_anchor="middle", font_size=10),
        text(plot.left, plot.top - 8, axes[1], font_size=10),
    ]
    return document(f"{title}: {axes[1]} over {axes[0]}", "".join(key + marks), 480, int(plot.floor) + 40)


def matrix_svg(
    title: str,
    classes: Sequence[str],
    counts: Sequence[Sequence[float]],
    before: Sequence[Sequence[float]] | None = None,
) -> str:
    """A confusion matrix: the share of each true class (row) that was predicted as each class (column).

    ``counts`` are rows by class; ``before`` are those of the reference, whose shares hovering tells. The twelve
    largest classes are drawn.
    """
    order = sorted(range(len(classes)), key=lambda i: -sum(counts[i]))[:_MOST_CLASSES]
    kept = sorted(order)
    size = max(26.0, min(64.0, 300 / max(len(kept), 1)))
    left, top = 130.0, 62.0
    marks = [
        text(8, 16, printable(title, 60), font_weight=600),
        text(left, 34, "predicted →", font_size=10),
        text(8, top + 12, "true ↓", font_size=10),
    ]
    for column, j in enumerate(kept):
        x = left + size * (column + 0.5)
        marks.append(
            text(
                x,
                top - 6,
                printable(classes[j], 8),
                tip=printable(classes[j]),
                text_anchor="middle",
                font_size=10,
            )
        )
    for row, i in enumerate(kept):
        y = top + size * row
        total, earlier = sum(counts[i]), sum(before[i]) if before is not None else 0
        marks.append(
            text(
                left - 8,
                y + size / 2 + 4,
                printable(classes[i], 14),
                tip=printable(classes[i]),
                text_anchor="end",
            )
        )
        for column, j in enumerate(kept):
            share = counts[i][j] / total if total else math.nan
            told = f"{printable(classes[i], 60)} predicted as {printable(classes[j], 60)}: {number(counts[i][j])} rows"
            if before is not None and earlier:
                told += f", {percent(before[i][j] / earlier)} in the reference"
            paint = (
                {"fill": REFERENCE if i == j else CURRENT, "fill_opacity": 0.06 + 0.8 * share}
                if total
                else {"fill": "none"}
            )
            box = (left + size * column, y, size - 2, size - 2)
            marks.append(rect(*box, tip=told, rx=2, stroke="currentColor", stroke_opacity=0.2, **paint))
            marks.append(
                text(
                    box[0] + size / 2 - 1,
                    y + size / 2 + 3,
                    percent(share),
                    text_anchor="middle",
                    font_size=10,
                    pointer_events="none",
                )
            )
    bottom = top + size * len(kept)
    if len(classes) > len(kept):
        marks.append(
            text(left, bottom + 14, f"the {len(kept)} largest of {len(classes)} classes", font_size=10)
        )
        bottom += 18
    return document(title, "".join(marks), max(480, round(left + size * len(kept)) + 10), round(bottom) + 14)


def groups_svg(
    title: str, unit: str, groups: Sequence[Group], *, level: float = math.nan, estimated: bool = False
) -> str:
    """Values of groups side by side as dots with intervals, the reference's as rings; ``level`` is that of all rows.

    ``estimated`` says that rings are estimates and not the reference's values.
    """
    shown = groups[:_MOST_GROUPS]
    low, high = _range([x for g in shown for x in (g.value, g.lower, g.upper, g.reference)] + [level])
    plot = Plot((low, high), (0, 1), left=150, right=440, top=30, floor=44 + 22 * len(shown))
    marks = [
        text(8, 16, printable(title, 60), font_weight=600),
        text(472, 16, unit, text_anchor="end", font_size=10),
    ]
    if _known(level):
        marks.append(
            tag(
                "path",
                d=f"M{plot.x(level):.1f} 30V{plot.floor:.1f}",
                stroke="currentColor",
                stroke_dasharray="2 3",
                fill="none",
            )
        )
    for i, group in enumerate(shown):
        y = 46.0 + 22 * i
        marks.append(
            text(140, y + 4, printable(group.name, 22), tip=printable(group.name), text_anchor="end")
        )
        if not _known(group.value):
            marks.append(text(plot.left, y + 4, "no data", font_size=10))
            continue
        if _known(group.lower) and _known(group.upper):
            reach = f"M{plot.x(group.lower):.1f} {y:.1f}H{plot.x(group.upper):.1f}"
            marks.append(tag("path", d=reach, stroke=CURRENT, stroke_width=2.4, stroke_opacity=0.45))
        told = f"{printable(group.name, 60)}: {number(group.value)} ({number(group.lower)} to {number(group.upper)})"
        marks.append(tag("circle", "", told, cx=plot.x(group.value), cy=y, r=4, fill=CURRENT))
        if _known(group.reference):
            marks.append(
                tag(
                    "circle",
                    cx=plot.x(group.reference),
                    cy=y,
                    r=4,
                    fill="none",
                    stroke=ESTIMATED if estimated else REFERENCE,
                    stroke_width=1.6,
                )
            )
        marks.append(text(472, y + 4, number(group.value), text_anchor="end", font_size=10))
    bottom = plot.floor
    if len(groups) > len(shown):
        marks.append(text(150, bottom, f"and {len(groups) - len(shown)} more", font_size=10))
        bottom += 16
    return document(title, "".join(marks), 480, round(bottom) + 8)


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _range(values: Sequence[float | None]) -> tuple[float, float]:
    """From the least to the largest of what is known, a little wider."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    pad = 0.06 * (high - low) or max(abs(low) * 0.05, 1e-9)
    return low - pad, high + pad


def _runs(values: Sequence[float | None]) -> list[list[int]]:
    """The numbers of neighbouring windows whose values are known."""
    places = groupby(range(len(values)), key=lambda i: _known(values[i]))
    return [list(run) for known, run in places if known]


def _across(plot: Plot, value: float, **paint: Any) -> str:
    return tag("path", d=f"M{plot.left:.1f} {plot.y(value):.1f}H{plot.right:.1f}", fill="none", **paint)


def _rules_within(plot: Plot) -> str:
    """Faint lines both ways, inside the plot only, with words at the left and below."""
    marks = []
    across, along = ticks(*plot.ys, about=5), ticks(*plot.xs, about=5)
    for value, word in zip(across, tick_words(across), strict=True):
        marks.append(_across(plot, value, stroke="currentColor", stroke_opacity=0.15))
        marks.append(text(plot.left - 6, plot.y(value) + 4, word, text_anchor="end", font_size=10))
    for value, word in zip(along, tick_words(along), strict=True):
        x = plot.x(value)
        marks.append(
            tag(
                "path",
                d=f"M{x:.1f} {plot.top:.1f}V{plot.floor:.1f}",
                stroke="currentColor",
                stroke_opacity=0.15,
            )
        )
        marks.append(text(x, plot.floor + 14, word, text_anchor="middle", font_size=10))
    return "".join(marks)


def _labels(plot: Plot, labels: Sequence[str]) -> str:
    """Names of windows below the plot, as many as there is room for."""
    every = max(1, math.ceil(len(labels) / 5))
    return "".join(
        text(
            plot.x(i),
            plot.floor + 14,
            printable(labels[i], 12),
            tip=printable(labels[i]),
            text_anchor="middle",
            font_size=10,
        )
        for i in range(0, len(labels), every)
    )


def _key(words: str, paint: str, x: float, y: float = 16) -> str:
    return rect(x, y - 8, 10, 8, fill=paint) + text(x + 14, y, words, font_size=10)
