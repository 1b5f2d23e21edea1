"""The report as one self-contained HTML page: no network, no dependency, safe with any name a table can hold."""

from __future__ import annotations

import json
import math
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gpumon.reports.figures import STATUS_WORDS, levels, number, percent, printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from jinja2 import Template

__all__ = ["render"]

_OVER_TIME = ("measures", "changes", "detectors", "early", "rolled", "moved")
_MATRIX = 40  # columns of the correlation heat map: what a screen shows
_PAIRS = 20
FOLDED = 8  # measures without a verdict from which on they are folded away
_NEW = 50  # new or vanished categories that are named; the others are counted


def render(payload: Mapping[str, Any]) -> str:
    """The page of a report, as text to be saved in UTF-8.

    ``payload`` holds plain Python values; None or NaN is a number that is not known:

    - ``title``, ``status`` (alert, warn, ok, no_data or error), ``sentence``: the verdict
    - ``summary``: how many ``columns``, of each status, and ``rows_reference``, ``rows_current``
    - ``facts``: pairs of texts; ``notes``: texts
    - ``performance``: the measures of the model, each a ``name`` with ``value``, ``bounds`` and ``interval`` (pairs or
      None), ``reference``, ``threshold``, ``unit``, ``status``, ``reason``, ``method``
    - ``over_time``, what windows show together: lists ``measures``, ``changes``, ``detectors``, ``early``, and ``rolled``,
      distances over all columns, see :mod:`gpumon.reports.over_time`; and ``moved``, charts from window to window, likewise SVG
    - ``breakdowns``: parts on groups, slices and importance, each with ``id``, ``title``, ``lead``, ``rows`` as of performance (or
      what is said for none, ``empty``), ``charts``, and a table of rates: their names ``rates``, and ``groups``, each a ``name``,
      rows ``n`` and ``cells``, a ``value`` and what hovering tells (``told``), or None
    - ``columns``, most important first: ``name``, ``kind``, ``role``, ``status``, ``score``, ``reason``;
      ``missing`` as shares [reference, current]; ``metrics`` as rows of (name, value, lower, upper, unit,
      reference, p, q, threshold, status, method); and each of these or None: ``histogram`` (``edges`` of equal width,
      shares ``reference``, ``current``, ``below``, ``above``), ``density`` (rows a bin) and ``ecdf`` (each ``x``, ``reference``, ``current``),
      ``categories`` as rows of (name, reference share, current share) with ``other``, ``new`` as rows of
      (name, rows) and ``vanished`` names
    - ``charts``: those of the model, SVG made by :mod:`gpumon.reports.charts`, which stands in the page as it is
    - ``metric``: the name of what ``score`` and the heat maps show
    - ``windows`` and ``segments``, or None: ``labels``, ``columns``, ``values`` and ``status`` (columns × labels), ``rows``,
      and ``limits``, each column's threshold in them; ``metric``, if it is not the page's; and ``others``, further metrics to
      choose from, each with ``metric``, ``values``, ``status`` and ``limits`` of the same columns and labels
    - ``correlations``, or None: ``columns``, ``method``, ``reference`` and ``current`` (columns × columns)

    Numbers are rounded to what a reader can see (values of metrics to 6 digits, shares to 1e-5), texts are cut at 1,000 characters.
    Whatever a text holds is shown, never run: the page's policy allows only its own script and style, by hash.
    """
    script, style = _template("report.js"), _template("report.css")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
    parts = {
        "performance": [],
        "breakdowns": [],
        "charts": [],
        "windows": None,
        "segments": None,
        "correlations": None,
        **payload,
    }
    parts["performance"], parts["unjudged"] = _by_verdict(parts["performance"])
    parts["over_time"] = dict.fromkeys(_OVER_TIME, ()) | dict(payload.get("over_time", {}))
    return _page().render(
        parts, words=STATUS_WORDS, policy=policy, script=script, style=style, data=_json(_encoded(parts))
    )


def _by_verdict(rows: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """The measures that are judged, and the others; all in one where few are not judged, or none is."""
    parts: tuple[list[Any], list[Any]] = [], []
    for row in rows:
        limit = row["threshold"]
        judged = (limit is not None and limit == limit) or row["status"] != "ok"  # noqa: PLR0124 (NaN is no limit)
        parts[0 if judged else 1].append(row)
    return parts if parts[0] and len(parts[1]) >= FOLDED else (list(rows), [])


@cache
def _template(name: str) -> str:
    return (files("gpumon.reports") / "templates" / name).read_text("utf-8")


@cache
def _page() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    )
    environment.filters |= {"printable": printable, "number": number, "percent": percent}
    return environment.from_string(_template("report.html"))


def _hash(source: str) -> str:
    return "sha256-" + b64encode(sha256(source.encode()).digest()).decode()


def _json(data: object) -> str:
    """``data`` as JSON in ASCII that no HTML parser can take for markup."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _encoded(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What the script draws: rounded, with repeated words and names as numbers, without what is None."""
    words: dict[str, int] = {}
    places = {column["name"]: place for place, column in enumerate(payload["columns"])}

    def word(text: str) -> int:
        return words.setdefault(text, len(words))

    return {
        "metric": printable(payload["metric"]),
        "statuses": STATUS_WORDS,
        "columns": [_column(column, word) for column in payload["columns"]],
        "windows": _grid(payload["windows"], places, payload["metric"]),
        "segments": _grid(payload["segments"], places, payload["metric"]),
        "correlations": _correlations(payload["correlations"], places),
        "words": [printable(text) for text in words],  # after the columns, which fill it
    }


def _column(column: Mapping[str, Any], word: Callable[[str], int]) -> dict[str, Any]:
    new, vanished = column.get("new") or [], column.get("vanished") or []
    encoded = {
        "name": printable(column["name"]),
        "kind": word(column["kind"]),
        "role": word(column["role"]),
        "status": column["status"],
        "score": _rounded(column["score"]),
        "reason": printable(column["reason"]),
        "missing": _all_rounded(column["missing"]),
        "metrics": [
            [
                word(name),
                *_interval(*interval),
                word(unit),
                *_all_rounded(numbers),
                word(status),
                word(method),
            ]
            for name, *interval, unit, reference, p, q, threshold, status, method in column["metrics"]
            for numbers in [(reference, p, q, threshold)]
        ],
    }
    if histogram := column.get("histogram"):
        encoded["histogram"] = {
            "edges": _along(histogram["edges"]),
            **{side: _shares(histogram[side]) for side in ("reference", "current")},
            **{tail: _all_rounded(histogram[tail], 4) for tail in ("below", "above")},
        }
    for curve in ("density", "ecdf"):
        if drawn := column.get(curve):
            encoded[curve] = {
                "x": _along(drawn["x"]),
                **{side: _shares(drawn[side]) for side in ("reference", "current")},
            }
    if categories := column.get("categories"):
        fresh, gone = {name for name, _ in new}, set(vanished)
        encoded["categories"] = [
            [printable(name), *_all_rounded(shares, 4), 1 if name in fresh else 2 if name in gone else 0]
            for name, *shares in categories
        ]
        encoded["other"] = _all_rounded(column["other"], 4)
        encoded["new"] = [[printable(name), rows] for name, rows in new[:_NEW]]
        encoded["vanished"] = [printable(name) for name in vanished[:_NEW]]
        encoded["unnamed"] = [max(0, len(new) - _NEW), max(0, len(vanished) - _NEW)]
    return encoded


def _grid(grid: Mapping[str, Any] | None, places: Mapping[str, int], metric: str) -> dict[str, Any] | None:
    """A heat map's table: a column of the report as its place there; the maps of its metrics, the first shown at first."""
    if grid is None:
        return None
    return {
        "labels": [printable(label) for label in grid["labels"]],
        "columns": _placed(grid["columns"], places),
        "rows": list(grid["rows"]),
        "maps": [_map({"metric": metric, **grid}, 4), *(_map(other, 3) for other in grid.get("others", ()))],
    }


def _map(grid: Mapping[str, Any], digits: int) -> dict[str, Any]:
    """One metric of a heat map: its numbers, a status as a digit, its colours' bounds."""
    codes = {status: str(code) for code, status in enumerate(STATUS_WORDS)}
    return {
        "metric": printable(grid["metric"]),
        "values": [_all_rounded(row, digits) for row in grid["values"]],
        "status": ["".join(codes[status] for status in row) for row in grid["status"]],
        "limits": _all_rounded(grid["limits"], digits),
        "levels": levels(value for row in grid["values"] for value in row),
    }


def _correlations(table: Mapping[str, Any] | None, places: Mapping[str, int]) -> dict[str, Any] | None:
    """The pairs that moved most, and the change of the columns that moved most, in their own order."""
    if table is None:
        return None
    import numpy as np

    sides = np.asarray(table["reference"], float), np.asarray(table["current"], float)
    change = sides[1] - sides[0]
    size = np.nan_to_num(np.abs(change))
    np.fill_diagonal(size, 0)
    kept = np.sort(np.argsort(-size.max(axis=1, initial=0), kind="stable")[:_MATRIX])
    above = np.triu_indices(len(size), 1)
    order = np.argsort(-size[above], kind="stable")[:_PAIRS]
    pairs = [
        (int(a), int(b)) for a, b in zip(above[0][order], above[1][order], strict=True) if size[a, b] > 0
    ]
    columns = _placed(table["columns"], places)
    return {
        "method": printable(table["method"]),
        "columns": [columns[i] for i in kept],
        "left_out": len(columns) - len(kept),
        **{
            name: [_all_rounded(row, 3) for row in side[np.ix_(kept, kept)].tolist()]
            for name, side in zip(("reference", "current"), sides, strict=True)
        },
        "pairs": [
            [columns[a], columns[b], *_all_rounded([float(side[a, b]) for side in sides])] for a, b in pairs
        ],
    }


def _placed(names: Iterable[str], places: Mapping[str, int]) -> list[int | str]:
    return [places.get(name, printable(name)) for name in names]


def _rounded(value: float | None, digits: int = 6) -> float | str | None:
    """A number for JSON: infinity as its word, None for what is not known."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def _all_rounded(values: Iterable[float | None], digits: int = 6) -> list[float | str | None]:
    return [_rounded(value, digits) for value in values]


def _interval(value: float | None, lower: float | None, upper: float | None) -> list[float | str | None]:
    """A value and its bounds; bounds that differ by little keep all their digits, lest they look exact."""
    short = _all_rounded((value, lower, upper))
    return short if short[1] != short[2] or lower == upper else [short[0], *_all_rounded((lower, upper), 17)]


def _shares(values: Iterable[float | None]) -> list[int]:
    """Shares in units of 1e-5, a tenth of a pixel; a side without rows has no bars."""
    return [0 if value is None or math.isnan(value) else round(1e5 * value) for value in values]


def _along(values: Sequence[float]) -> list[float]:
    """Places along an axis, to a ten-thousandth of its length however far from zero it lies."""
    span = values[-1] - values[0]
    decimals = 4 - math.floor(math.log10(span)) if span > 0 else 12
    short = [round(float(value), decimals) for value in values]
    return [int(place) if place.is_integer() and abs(place) < 1e15 else place for place in short]
