"""SVG by hand: a plotting rectangle, lines, steps, texts, and how numbers are written. No plotting package, no markup from data."""

from __future__ import annotations

import math
import unicodedata
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "CURRENT",
    "REFERENCE",
    "Plot",
    "document",
    "line",
    "linear",
    "number",
    "percent",
    "printable",
    "rect",
    "steps",
    "tag",
    "text",
    "tick_words",
    "ticks",
]

Pair = tuple[float, float]

REFERENCE, CURRENT = "#3f7fc1", "#d9702b"
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
    step = (values[1] - values[0]) / unit
    if step == 0:  # so small that it is none
        return [number(value) for value in values]
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    words = [f"{'−' if value < 0 else ''}{abs(value) / unit:.{decimals}f}{suffix}" for value in values]
    return [word if value else "0" for value, word in zip(values, words, strict=True)]


class Plot(NamedTuple):
    """A rectangle of pixels that shows a range of data: ``x`` and ``y`` turn data into pixels."""

    xs: Pair
    ys: Pair
    left: float = 52
    right: float = 466
    top: float = 38
    floor: float = 214

    def x(self, value: float) -> float:
        """The pixel from the left of a value."""
        return linear(self.xs, (self.left, self.right))(value)

    def y(self, value: float) -> float:
        """The pixel from the top of a value."""
        return linear(self.ys, (self.floor, self.top))(value)

    def rules(self, words: Callable[[Sequence[float]], Sequence[str]] = tick_words) -> str:
        """Faint lines across at round values, with their words at the left."""
        marks = []
        places = ticks(*self.ys, about=4)
        for place, word in zip(places, words(places), strict=True):
            y = self.y(place)
            marks.append(tag("path", d=f"M52 {y:.1f}H466", stroke="currentColor", stroke_opacity=0.15))
            marks.append(text(46, y + 4, word, text_anchor="end", font_size=10))
        return "".join(marks)

    def axes(self, clear: float = -10) -> str:
        """Round values along the bottom, none within ``clear`` pixels of its ends; shares and faint lines across."""
        marks = [self.rules(lambda shares: [percent(share) for share in shares])]
        places = ticks(*self.xs)
        for place, words in zip(places, tick_words(places), strict=True):
            if self.left + clear <= self.x(place) <= self.right - clear:
                marks.append(text(self.x(place), self.floor + 14, words, text_anchor="middle", font_size=10))
        return "".join(marks)


def linear(domain: Pair, pixels: Pair) -> Callable[[float], float]:
    """The straight line that takes the ends of ``domain`` to those of ``pixels``."""
    (low, high), (start, end) = domain, pixels
    slope = (end - start) / ((high - low) or 1)
    return lambda value: start + (value - low) * slope


def steps(plot: Plot, edges: Sequence[float], shares: Sequence[float], **paint: Any) -> str:
    """A histogram as one path: up at the first edge, across each bin, down at the last."""
    bins = "".join(f"V{plot.y(s):.1f}H{plot.x(e):.1f}" for s, e in zip(shares, edges[1:], strict=True))
    return tag("path", d=f"M{plot.x(edges[0]):.1f} {plot.floor:.1f}{bins}V{plot.floor:.1f}", **paint)


def line(plot: Plot, x: Sequence[float], y: Sequence[float], **paint: Any) -> str:
    """A line through the points."""
    points = "L".join(f"{plot.x(a):.1f} {plot.y(b):.1f}" for a, b in zip(x, y, strict=True))
    return tag("path", d=f"M{points}", fill="none", **paint)


def document(title: str, body: str, width: int, height: int) -> str:
    """A figure. It has no style of its own, so that a page that forbids inline styles can hold it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" width="{width}" '
        f'font-family="system-ui, sans-serif" font-size="11" '
        f'fill="currentColor"><title>{escape(printable(title))}</title>{body}</svg>'
    )


def rect(x: float, y: float, width: float, height: float, *, tip: str = "", **attributes: Any) -> str:
    """A rectangle; hovering tells ``tip``."""
    return tag("rect", "", tip, x=x, y=y, width=max(width, 0), height=max(height, 0), **attributes)


def text(x: float, y: float, words: str, *, tip: str = "", **attributes: Any) -> str:
    """A line of text; hovering tells ``tip``."""
    return tag("text", words, tip, x=x, y=y, **attributes)


def tag(name: str, words: str = "", tip: str = "", **attributes: Any) -> str:
    """One SVG element, all text printable and escaped; ``tip`` is what hovering tells."""
    told = "".join(
        f' {key.replace("_", "-")}="{escape(f"{value:.5g}" if isinstance(value, float) else str(value))}"'
        for key, value in attributes.items()
    )
    hover = f"<title>{escape(printable(tip))}</title>" if tip else ""
    return f"<{name}{told}>{hover}{escape(printable(words))}</{name}>"
