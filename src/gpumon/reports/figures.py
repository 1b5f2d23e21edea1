"""Figures as inline SVG: for notebooks and ``Report.plot``, without a plotting package, on light and dark pages.

Each figure takes a part of the report's payload (see :func:`gpumon.reports.html.render`) and gives one ``<svg>``
string. Text is drawn in the page's own colour; blue outlines are the reference, filled orange is the current data.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from gpumon.reports.svg import (
    CURRENT,
    REFERENCE,
    Plot,
    document,
    line,
    linear,
    number,
    percent,
    printable,
    rect,
    steps,
    text,
    tick_words,
    ticks,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "categories_svg",
    "ecdf_svg",
    "heatmap_svg",
    "histogram_svg",
    "levels",
    "number",
    "percent",
    "printable",
    "sparkline_svg",
    "tick_words",
    "ticks",
]

_OUTLINE: dict[str, Any] = {"fill": "none", "stroke": REFERENCE, "stroke_width": 1.5}
_FILLED: dict[str, Any] = {"fill": CURRENT, "fill_opacity": 0.5}
_MOST_ROWS = 40
STATUS_WORDS = {
    "alert": "alert",
    "error": "error",
    "warn": "warning",
    "no_data": "no data",
    "ok": "ok",
}  # gravest first


def levels(values: Iterable[float | None], about: int = 7) -> list[float]:
    """The 1-2-5 bounds that colour a heat map, ascending: level = how many bounds are at or below |value|.

    Drift spreads over powers of ten, so each level stands for about twice the one below it.

    >>> levels([0.003, 0.43])
    [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2]
    """
    top = max((abs(v) for v in values if v is not None and math.isfinite(v)), default=0.0)
    if top <= 0:
        return []
    power = math.floor(math.log10(top))
    series = [float(f"{digit}e{p}") for p in range(power - about // 3 - 1, power + 1) for digit in (1, 2, 5)]
    return [bound for bound in series if bound <= top][-about:]


def histogram_svg(column: Mapping[str, Any]) -> str:
    """Both histograms of a numeric column over one axis; the shares beyond either end stand apart at the edges."""
    histogram = column.get("histogram")
    if not histogram:
        return _nothing(column, "histogram")
    edges, reference, current = histogram["edges"], histogram["reference"], histogram["current"]
    below, above = histogram["below"], histogram["above"]
    plot = Plot(
        (edges[0], edges[-1]), (0, max(*reference, *current, *below, *above) or 1), left=76, right=442
    )
    marks = [steps(plot, edges, current, **_FILLED), steps(plot, edges, reference, **_OUTLINE)]
    for words, x, shares in (("below", 56.0, below), ("above", 448.0, above)):
        if max(shares) > 0:
            for share, paint in zip(shares, (_OUTLINE, _FILLED), strict=True):
                marks.append(rect(x, plot.y(share), 14, plot.floor - plot.y(share), **paint))
            marks.append(text(x + 7, plot.floor + 14, words, text_anchor="middle", font_size=9))
    return _figure(column, "Histogram", plot.axes(clear=16) + "".join(marks))


def ecdf_svg(column: Mapping[str, Any]) -> str:
    """Both cumulative distributions of a numeric column, with the place of their largest gap."""
    ecdf = column.get("ecdf")
    if not ecdf:
        return _nothing(column, "cumulative distribution")
    x, reference, current = ecdf["x"], ecdf["reference"], ecdf["current"]
    plot = Plot((x[0], x[-1]), (0, 1))
    gap, at, r, c = max((abs(r - c), at, r, c) for at, r, c in zip(x, reference, current, strict=True))
    marks = [
        line(plot, x, reference, stroke=REFERENCE, stroke_width=1.8),
        line(plot, x, current, stroke=CURRENT, stroke_width=1.8),
        line(plot, [at, at], [r, c], stroke="currentColor", stroke_width=1.2),
    ]
    words = f"Cumulative distribution, at most {number(gap)} apart at {number(at)}"
    return _figure(column, words, plot.axes() + "".join(marks))


def categories_svg(column: Mapping[str, Any]) -> str:
    """The shares of each category, reference over current, in the order of the payload, then all other ones."""
    if not column.get("categories"):
        return _nothing(column, "categories")
    rows = [tuple(row) for row in column["categories"]]
    if column.get("other") and max(column["other"]) > 0:
        rows.append(("all others", *column["other"]))
    new, vanished = {name for name, _ in column.get("new") or ()}, set(column.get("vanished") or ())
    width = linear((0, max(max(row[1:]) for row in rows) or 1), (0, 200))
    marks = []
    for i, (name, reference, current) in enumerate(rows):
        y, note = 36 + 24 * i, " (new)" if name in new else " (gone)" if name in vanished else ""
        words = printable(name, 20 - len(note)) + note
        marks += [
            text(132, y + 12, words, tip=printable(name), text_anchor="end"),
            rect(140, y, width(reference), 8, **_OUTLINE),
            rect(140, y + 9, width(current), 8, **_FILLED),
            text(348, y + 12, f"{percent(reference)} → {percent(current)}"),
        ]
    return _figure(column, "Categories", "".join(marks), height=44 + 24 * len(rows))


def sparkline_svg(column: Mapping[str, Any]) -> str:
    """A word-sized picture of a column's distribution: reference as an outline, current filled."""
    if histogram := column.get("histogram"):
        reference, current = histogram["reference"], histogram["current"]
    elif column.get("categories"):
        _, reference, current = zip(*column["categories"], strict=True)
    else:
        reference, current = [0.0], [0.0]
    bins, top = len(reference), max(*reference, *current) or 1
    plot = Plot((0, bins), (0, top), left=1, right=119, top=2, floor=27)
    marks = steps(plot, range(bins + 1), current, **_FILLED) + steps(
        plot, range(bins + 1), reference, **_OUTLINE
    )
    return document(f"{printable(column['name'], 80)}: reference and current", marks, 120, 28)


def heatmap_svg(windows: Mapping[str, Any]) -> str:
    """Columns by windows (or by segments): the stronger the colour the larger the value.

    A dot marks an alert, a cross an error, a dash what has no data. The first 40 columns are drawn; hovering over a
    cell tells its numbers.
    """
    names, labels = windows["columns"][:_MOST_ROWS], windows["labels"]
    bounds = levels(value for row in windows["values"] for value in row)
    width = max(8.0, min(40.0, 560 / max(len(labels), 1)))
    left_out = len(windows["columns"]) - len(names)
    title = "Columns by window" + (
        f" (the first {_MOST_ROWS}; {left_out} more are not drawn)" if left_out else ""
    )
    marks = [text(8, 18, title, font_weight=600)]
    for i, (name, values, statuses) in enumerate(
        zip(names, windows["values"], windows["status"], strict=False)
    ):
        y = 34 + 20 * i
        marks.append(text(152, y + 13, printable(name, 22), tip=printable(name), text_anchor="end"))
        for j, (label, value, status) in enumerate(zip(labels, values, statuses, strict=True)):
            told = f"{printable(name, 80)}, {printable(label, 80)}: {number(value)}, {STATUS_WORDS[status]}"
            marks.append(_cell(160 + width * j, y, width - 2, value, status, bounds, told))
    bottom, right = 34 + 20 * len(names), 160 + width * len(labels)
    if labels:
        marks.append(text(160, bottom + 14, printable(labels[0], 24)))
    if len(labels) > 1:
        marks.append(text(right, bottom + 14, printable(labels[-1], 24), text_anchor="end"))
    return document(title, "".join(marks), max(480, round(right) + 10), bottom + 24)


def _cell(
    x: float, y: float, width: float, value: float | None, status: str, bounds: Sequence[float], told: str
) -> str:
    known = value is not None and not math.isnan(value)
    level = bisect_right(bounds, abs(value)) / max(len(bounds), 1) if known and value is not None else 0
    paint = {"fill": CURRENT, "fill_opacity": 0.08 + 0.92 * level} if known else {"fill": "none"}
    sign = {"error": "×", "alert": "●"}.get(status, "" if known else "–")
    box = rect(x, y, width, 18, tip=told, rx=2, stroke="currentColor", stroke_opacity=0.25, **paint)
    return box + (text(x + width / 2, y + 13, sign, text_anchor="middle", font_size=9) if sign else "")


def _figure(column: Mapping[str, Any], what: str, body: str, height: int = 240) -> str:
    """The frame of a figure: the column's name, what is drawn, and the key to the colours."""
    head = [
        text(8, 16, printable(column["name"], 60), tip=printable(column["name"]), font_weight=600),
        text(8, 29, what, font_size=10),
        rect(336, 21, 10, 8, **_OUTLINE),
        text(350, 29, "reference", font_size=10),
        rect(416, 21, 10, 8, **_FILLED),
        text(430, 29, "current", font_size=10),
    ]
    title = f"{what} of {printable(column['name'], 80)}, reference and current"
    return document(title, "".join(head) + body, 480, height)


def _nothing(column: Mapping[str, Any], what: str) -> str:
    return _figure(column, f"no {what} for this column", "", height=40)
