"""Figures as inline SVG: for notebooks and ``Report.plot``, without a plotting package, on light and dark pages.

Each figure takes a part of the report's payload (see :func:`gpumon.reports.html.render`) and gives one ``<svg>``
string. Text is drawn in the page's own colour; blue outlines are the reference, filled orange is the current data.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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

Pair = tuple[float, float]

REFERENCE, CURRENT = "#3f7fc1", "#d9702b"
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
# Invisible characters that reorder or hide their neighbours; the joiners U+200C and U+200D stay, scripts need them.
_DECEIVING = frozenset(
    map(chr, (0x061C, 0x200B, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF))
)


def printable(text: str, limit: int = 1000) -> str:
    r"""``text`` as one line that hides nothing: control, direction and broken characters are spelt out.

    Longer than ``limit`` characters is cut and ends with "…".

    >>> printable("a\x00b"), printable("exe.\u202egnp"), printable("abcdef", 4)
    ('a\\u0000b', 'exe.\\u202egnp', 'abc…')
    """
    shown = "".join(
        f"\\u{ord(c):04x}" if c in _DECEIVING or unicodedata.category(c) in {"Cc", "Cs"} else c
        for c in text[: limit + 1]
    )
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def number(value: float | None) -> str:
    """A number to three digits with k, M, G or T from ten thousand on, and a power of ten below a thousandth.

    >>> [number(x) for x in (0.10512, 12_345, 2013, 1.23e-9, -0.5, 0, None)]
    ['0.105', '12.3 k', '2013', '1.23e-9', '−0.5', '0', '–']
    """
    if value is None or math.isnan(value):
        return "–"
    size, sign = abs(value), "−" if value < 0 else ""
    if math.isinf(size):
        return sign + "∞"
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e15:
        digits, power = f"{size:.2e}".split("e")
        return f"{sign}{float(digits):g}e{int(power)}"
    rounded = float(f"{size:.3g}")
    if size < 1e4:
        return f"{sign}{round(size) if size >= 1e3 else rounded:g}"
    thousands = min(int(math.log10(rounded)) // 3, 4)
    return f"{sign}{rounded / 1000**thousands:g} {'kMGT'[thousands - 1]}"


def percent(share: float | None) -> str:
    """A share as per cent, to one decimal below ten: '3.4 %', '<0.1 %', '0 %'."""
    if share is None or math.isnan(share):
        return "–"
    hundredths = 100 * share
    if 0 < hundredths < 0.1:
        return "<0.1 %"
    return f"{hundredths:.0f} %" if hundredths >= 10 or hundredths == 0 else f"{hundredths:.1f} %"


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) from ``low`` to ``high``, close to ``about`` of them.

    >>> ticks(0, 0.23), ticks(-40, 120)
    ([0.0, 0.05, 0.1, 0.15, 0.2], [0.0, 50.0, 100.0])
    """
    rough = (high - low) / about
    if not (math.isfinite(rough) and rough > 0):
        return [low]
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = magnitude * next(m for m in (1, 2, 5, 10) if m * magnitude >= rough * 0.8)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(i * step, 12 - math.floor(math.log10(step))) for i in range(first, last + 1)]


def tick_words(values: Sequence[float]) -> list[str]:
    """Labels of ticks: one unit for all of them and just enough decimals to tell them apart.

    >>> tick_words([0.0, 0.05, 0.1]), tick_words([1_371_000_000, 1_371_500_000])
    (['0', '0.05', '0.10'], ['1.3710 G', '1.3715 G'])
    """
    top = max(map(abs, values), default=0.0)
    if len(values) < 2 or top == 0:
        return [number(value) for value in values]
    power = math.floor(math.log10(top))
    if 1e-3 <= top < 1e15:
        thousands = 0 if top < 1e4 else min(power // 3, 4)
        unit, suffix = 1000.0**thousands, f" {'kMGT'[thousands - 1]}" if thousands else ""
    else:
        unit, suffix = 10.0**power, f"e{power}"
    decimals = max(0, -math.floor(math.log10((values[1] - values[0]) / unit) + 1e-9))
    words = [f"{'−' if value < 0 else ''}{abs(value) / unit:.{decimals}f}{suffix}" for value in values]
    return [word if value else "0" for value, word in zip(values, words, strict=True)]


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
    plot = _Plot(
        (edges[0], edges[-1]), (0, max(*reference, *current, *below, *above) or 1), left=76, right=442
    )
    marks = [_steps(plot, edges, current, **_FILLED), _steps(plot, edges, reference, **_OUTLINE)]
    for words, x, shares in (("below", 56.0, below), ("above", 448.0, above)):
        if max(shares) > 0:
            for share, paint in zip(shares, (_OUTLINE, _FILLED), strict=True):
                marks.append(_rect(x, plot.y(share), 14, plot.floor - plot.y(share), **paint))
            marks.append(_text(x + 7, plot.floor + 14, words, text_anchor="middle", font_size=9))
    return _figure(column, "Histogram", plot.axes(clear=16) + "".join(marks))


def ecdf_svg(column: Mapping[str, Any]) -> str:
    """Both cumulative distributions of a numeric column, with the place of their largest gap."""
    ecdf = column.get("ecdf")
    if not ecdf:
        return _nothing(column, "cumulative distribution")
    x, reference, current = ecdf["x"], ecdf["reference"], ecdf["current"]
    plot = _Plot((x[0], x[-1]), (0, 1))
    gap, at, r, c = max((abs(r - c), at, r, c) for at, r, c in zip(x, reference, current, strict=True))
    marks = [
        _line(plot, x, reference, stroke=REFERENCE, stroke_width=1.8),
        _line(plot, x, current, stroke=CURRENT, stroke_width=1.8),
        _line(plot, [at, at], [r, c], stroke="currentColor", stroke_width=1.2),
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
    width = _linear((0, max(max(row[1:]) for row in rows) or 1), (0, 200))
    marks = []
    for i, (name, reference, current) in enumerate(rows):
        y, note = 36 + 24 * i, " (new)" if name in new else " (gone)" if name in vanished else ""
        words = printable(name, 20 - len(note)) + note
        marks += [
            _text(132, y + 12, words, tip=printable(name), text_anchor="end"),
            _rect(140, y, width(reference), 8, **_OUTLINE),
            _rect(140, y + 9, width(current), 8, **_FILLED),
            _text(348, y + 12, f"{percent(reference)} → {percent(current)}"),
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
    plot = _Plot((0, bins), (0, top), left=1, right=119, top=2, floor=27)
    marks = _steps(plot, range(bins + 1), current, **_FILLED) + _steps(
        plot, range(bins + 1), reference, **_OUTLINE
    )
    return _svg(f"{printable(column['name'], 80)}: reference and current", marks, 120, 28)


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
    marks = [_text(8, 18, title, font_weight=600)]
    for i, (name, values, statuses) in enumerate(
        zip(names, windows["values"], windows["status"], strict=False)
    ):
        y = 34 + 20 * i
        marks.append(_text(152, y + 13, printable(name, 22), tip=printable(name), text_anchor="end"))
        for j, (label, value, status) in enumerate(zip(labels, values, statuses, strict=True)):
            told = f"{printable(name, 80)}, {printable(label, 80)}: {number(value)}, {STATUS_WORDS[status]}"
            marks.append(_cell(160 + width * j, y, width - 2, value, status, bounds, told))
    bottom, right = 34 + 20 * len(names), 160 + width * len(labels)
    if labels:
        marks.append(_text(160, bottom + 14, printable(labels[0], 24)))
    if len(labels) > 1:
        marks.append(_text(right, bottom + 14, printable(labels[-1], 24), text_anchor="end"))
    return _svg(title, "".join(marks), max(480, round(right) + 10), bottom + 24)


def _cell(
    x: float, y: float, width: float, value: float | None, status: str, bounds: Sequence[float], told: str
) -> str:
    known = value is not None and not math.isnan(value)
    level = bisect_right(bounds, abs(value)) / max(len(bounds), 1) if known and value is not None else 0
    paint = {"fill": CURRENT, "fill_opacity": 0.08 + 0.92 * level} if known else {"fill": "none"}
    sign = {"error": "×", "alert": "●"}.get(status, "" if known else "–")
    box = _rect(x, y, width, 18, tip=told, rx=2, stroke="currentColor", stroke_opacity=0.25, **paint)
    return box + (_text(x + width / 2, y + 13, sign, text_anchor="middle", font_size=9) if sign else "")


class _Plot(NamedTuple):
    """A rectangle of pixels that shows a range of data: ``x`` and ``y`` turn data into pixels."""

    xs: Pair
    ys: Pair
    left: float = 52
    right: float = 466
    top: float = 38
    floor: float = 214

    def x(self, value: float) -> float:
        return _linear(self.xs, (self.left, self.right))(value)

    def y(self, value: float) -> float:
        return _linear(self.ys, (self.floor, self.top))(value)

    def axes(self, clear: float = -10) -> str:
        """Round values along the bottom, none within ``clear`` pixels of its ends; shares and faint lines across."""
        marks = []
        for share in ticks(*self.ys, about=4):
            y = self.y(share)
            marks.append(_tag("path", d=f"M52 {y:.1f}H466", stroke="currentColor", stroke_opacity=0.15))
            marks.append(_text(46, y + 4, percent(share), text_anchor="end", font_size=10))
        places = ticks(*self.xs)
        for place, words in zip(places, tick_words(places), strict=True):
            if self.left + clear <= self.x(place) <= self.right - clear:
                marks.append(_text(self.x(place), self.floor + 14, words, text_anchor="middle", font_size=10))
        return "".join(marks)


def _linear(domain: Pair, pixels: Pair) -> Callable[[float], float]:
    (low, high), (start, end) = domain, pixels
    slope = (end - start) / ((high - low) or 1)
    return lambda value: start + (value - low) * slope


def _steps(plot: _Plot, edges: Sequence[float], shares: Sequence[float], **paint: Any) -> str:
    """A histogram as one path: up at the first edge, across each bin, down at the last."""
    bins = "".join(f"V{plot.y(s):.1f}H{plot.x(e):.1f}" for s, e in zip(shares, edges[1:], strict=True))
    return _tag("path", d=f"M{plot.x(edges[0]):.1f} {plot.floor:.1f}{bins}V{plot.floor:.1f}", **paint)


def _line(plot: _Plot, x: Sequence[float], y: Sequence[float], **paint: Any) -> str:
    points = "L".join(f"{plot.x(a):.1f} {plot.y(b):.1f}" for a, b in zip(x, y, strict=True))
    return _tag("path", d=f"M{points}", fill="none", **paint)


def _figure(column: Mapping[str, Any], what: str, body: str, height: int = 240) -> str:
    """The frame of a figure: the column's name, what is drawn, and the key to the colours."""
    head = [
        _text(8, 16, printable(column["name"], 60), tip=printable(column["name"]), font_weight=600),
        _text(8, 29, what, font_size=10),
        _rect(336, 21, 10, 8, **_OUTLINE),
        _text(350, 29, "reference", font_size=10),
        _rect(416, 21, 10, 8, **_FILLED),
        _text(430, 29, "current", font_size=10),
    ]
    title = f"{what} of {printable(column['name'], 80)}, reference and current"
    return _svg(title, "".join(head) + body, 480, height)


def _nothing(column: Mapping[str, Any], what: str) -> str:
    return _figure(column, f"no {what} for this column", "", height=40)


def _svg(title: str, body: str, width: int, height: int) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" style="max-width:100%;height:auto" font-family="system-ui, sans-serif" font-size="11" '
        f'fill="currentColor"><title>{escape(title)}</title>{body}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, *, tip: str = "", **attributes: Any) -> str:
    return _tag("rect", "", tip, x=x, y=y, width=max(width, 0), height=max(height, 0), **attributes)


def _text(x: float, y: float, words: str, *, tip: str = "", **attributes: Any) -> str:
    return _tag("text", words, tip, x=x, y=y, **attributes)


def _tag(name: str, words: str = "", tip: str = "", **attributes: Any) -> str:
    """One SVG element, all text escaped; ``tip`` is what hovering tells."""
    told = "".join(
        f' {key.replace("_", "-")}="{escape(f"{value:.5g}" if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{told}>{f'<title>{escape(tip)}</title>' if tip else ''}{escape(words)}</{name}>"
