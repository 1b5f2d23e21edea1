"""From a report to plain numbers and words: what every drawing shows, and the JSON document."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gpumon.errors import OptionError
from gpumon.metrics import CATALOGUE
from gpumon.metrics.readings import units
from gpumon.metrics.results import FIELDS, STATUSES
from gpumon.profiles.categorical import Categorical
from gpumon.profiles.numeric import Numeric
from gpumon.profiles.pairs import Pairs
from gpumon.reports import breakdowns, models
from gpumon.reports.over_time import over_time, since
from gpumon.reports.report import PRIMARY
from gpumon.reports.svg import number
from gpumon.statistics.association import correlation
from gpumon.statistics.density import density
from gpumon.statistics.ecdf import boundaries, quantile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from gpumon.metrics.readings import Unit
    from gpumon.metrics.results import Result, Results
    from gpumon.reports.report import Report

    Floats = NDArray[np.float64]

__all__ = ["alone", "column", "document", "measure_names", "page", "performance", "sentence", "summary"]

LABELLED = {metric.name for metric in CATALOGUE if metric.labelled}
MAPPED = (PRIMARY, "psi", "kolmogorov_smirnov", "hellinger")
"""The metrics of which heat maps give the choice; the first that was measured is shown at first."""

BARS = 40
POINTS = 64
CATEGORIES = 20
SMOOTHED = 100  # columns, most important first, whose densities are drawn
WIDEST = 1e307  # beyond it the difference of two floats may be infinite


def document(report: Report) -> dict[str, Any]:
    """The report as JSON values: reports/report.schema.json describes it."""
    rows = [[_plain(value) for value in row] for row in report.results]
    return {
        "gpumon": "report",
        "format": 1,
        "status": report.status,
        "sentence": sentence(report),
        "facts": report.facts,
        "notes": list(report.notes),
        "columns": [{"column": label, "status": status} for label, status in report.columns.items()],
        "fields": list(FIELDS),
        "results": rows,
    }


def page(report: Report) -> dict[str, Any]:
    """All that the HTML page shows."""
    by_column: dict[str, list[Result]] = {}
    for row in report.results.where(window=None, segment=None):
        by_column.setdefault(row.column or "", []).append(row)
    found = {unit.label: unit for unit in units(report.reference)}
    moved = models.from_window_to_window(report)
    return {
        "title": "Model evaluation" if _told(performance(report)) else "Drift scan",
        "status": report.status,
        "sentence": sentence(report),
        "summary": summary(report),
        "facts": [[name, text] for name, text in report.facts.items()],
        "notes": list(report.notes),
        "columns": [_column(report, found[label], by_column.get(label, [])) for label in report.columns],
        "performance": _measures(performance(report)),
        "breakdowns": [
            {
                "id": part.id,
                "title": part.title,
                "lead": part.lead,
                "rows": _measures(part.rows),
                "empty": part.empty,
                "rates": [name.removeprefix("group_") for name in part.rates],
                "groups": [
                    {
                        "name": name,
                        "n": max(row.n for row in rows if row is not None),
                        "cells": [_rate(row) for row in rows],
                    }
                    for name, rows in part.groups.items()
                ],
                "charts": list(part.charts.values()),
            }
            for part in breakdowns.parts(report)
        ],
        "over_time": over_time(report) | {"moved": list(moved.values())},
        "metric": PRIMARY,
        "charts": [svg for name, svg in models.charts(report).items() if name not in moved],
        "windows": _grid(report, "window"),
        "segments": _grid(report, "segment"),
        "correlations": _correlations(report),
    }


def _measure(row: Result) -> dict[str, Any]:
    """A row of a table of measures."""
    return {
        "name": row.metric if row.column is None else f"{row.metric} {row.column}",
        "value": row.value,
        "bounds": None if row.lower == row.upper else (row.lower, row.upper),
        "interval": None if math.isnan(row.ci_lower) else (row.ci_lower, row.ci_upper),
        "reference": row.reference,
        "threshold": row.threshold,
        "unit": "" if row.unit == "1" else row.unit,
        "status": row.status,
        "reason": row.reason,
        "method": row.method,
    }


def _rate(row: Result | None) -> dict[str, Any] | None:
    """A rate of a group, with what hovering tells."""
    if row is None or math.isnan(row.value):
        return None
    ends = "" if math.isnan(row.ci_lower) else f"{number(row.ci_lower)} to {number(row.ci_upper)}"
    before = "" if math.isnan(row.reference) else f"{number(row.reference)} in the reference"
    return {"value": row.value, "told": ", ".join(part for part in (ends, before) if part)}


def performance(report: Report) -> list[Result]:
    """The results of predictions and labels for the table as a whole, the model's before those of single classes."""
    names = {metric.name for metric in CATALOGUE if metric.labelled or "evidence" in metric.reads}
    rows = [row for row in report.results.where(window=None, segment=None) if row.metric in names]
    return sorted(rows, key=lambda row: row.column is not None)


def measure_names(rows: Sequence[Result]) -> list[str]:
    """What the measures are called, each with its class; those of one name with what of their methods tells them apart."""
    alike: dict[tuple[str, str | None], list[Result]] = {}
    for row in rows:
        alike.setdefault((row.metric, row.column), []).append(row)
    names = []
    for row in rows:
        name = row.metric if row.column is None else f"{row.metric} {row.column}"
        others = [other.method for other in alike[row.metric, row.column] if other is not row]
        own = [part for part in row.method.split(", ") if any(part not in other for other in others)]
        names.append(f"{name}, {own[0]}" if own else name)
    return names


def _measures(rows: Sequence[Result]) -> list[dict[str, Any]]:
    """What the page says of measures."""
    return [_measure(row) | {"name": name} for row, name in zip(rows, measure_names(rows), strict=True)]


def _told(rows: list[Result]) -> bool:
    """Whether any of them has a value."""
    return any(row.value == row.value for row in rows)


def column(report: Report, label: str) -> dict[str, Any]:
    """What is drawn of one column."""
    found = {unit.label: unit for unit in units(report.reference)}
    if label not in found:
        raise OptionError(f"there is no column {label!r} in this report: it has {', '.join(list(found)[:8])}")
    return _column(report, found[label], list(report.results.where(column=label, window=None, segment=None)))


def summary(report: Report) -> dict[str, int | None]:
    """How many columns have each status, and the rows of both tables; None of a reference that there is not."""
    statuses = list(report.columns.values())
    return {
        "columns": len(statuses),
        **{status: statuses.count(status) for status in STATUSES},
        "rows_reference": None if alone(report) else _rows(report.reference),
        "rows_current": _rows(report.current),
    }


def _of_columns(report: Report) -> str:
    """What the columns did, in one sentence."""
    drifted, total = report.drifted, len(report.columns)
    if not _rows(report.current):
        return "The current table has no rows."
    if not drifted:
        return f"None of {total} columns drifted."
    alerts = list(report.columns.values()).count("alert")
    most = ", ".join(drifted[:3]) + (" most" if len(drifted) > 3 else "")
    return f"{len(drifted)} of {total} columns drifted ({alerts or 'no'} alert{'s' * (alerts != 1)}); {most}."


def sentence(report: Report) -> str:
    """The verdict in one sentence, or a few if there are predictions with labels, groups or slices."""
    return f"{_of_model(report)} {breakdowns.sentence(report)}".rstrip()


def _of_model(report: Report) -> str:
    """What the model and the columns did."""
    rows = performance(report)
    words = _of_columns(report)
    if not _told(rows) or not _rows(report.current):
        return words
    if alone(report):
        words = "The model was measured, with nothing to compare it with."
    words = " ".join(part for part in (since(report), words) if part)
    judged = [
        row for row in rows if row.metric in LABELLED and not math.isnan(row.threshold) and row.column is None
    ]
    worse = [row for row in judged if row.status in {"alert", "warn"}]
    worse.sort(key=lambda row: row.status != "alert")
    if worse:
        named = ", ".join(row.metric.replace("_", " ") for row in worse[:3])
        named += f" and {len(worse) - 3} more" if len(worse) > 3 else ""
        return f"{len(worse)} of {len(judged)} measures of the model changed for the worse: {named}. {words}"
    return f"None of {len(judged)} measures of the model changed for the worse. {words}" if judged else words


def alone(report: Report) -> bool:
    """Whether the report is of one table, and nothing that it is compared with."""
    return report.reference is report.current


def _rows(profile: Any) -> int:
    return int(profile.state("", "rows").rows)


def _plain(value: Any) -> Any:
    """NaN and infinities are no JSON: null, and the largest number of that sign."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else math.copysign(1.7976931348623157e308, value)
    return value


def _column(report: Report, unit: Unit, rows: list[Result]) -> dict[str, Any]:
    name, aspect = unit.column.name, unit.aspect
    reference, current = report.reference.state(name, aspect), report.current.state(name, aspect)
    score = next((row.value for row in rows if row.metric == PRIMARY), math.nan)
    missing: list[Any] = next(
        ([row.reference, row.value] for row in rows if row.metric == "missing_rate"), [None, None]
    )
    drawn: dict[str, Any] = {
        "density": None,
        "histogram": None,
        "ecdf": None,
        "categories": None,
        "other": None,
        "new": [],
        "vanished": [],
    }
    if isinstance(reference, Numeric) and isinstance(current, Numeric):
        smooth = "discrete" not in unit.kinds and list(report.columns).index(unit.label) < SMOOTHED
        drawn |= _numeric(reference, current, smooth=smooth)
    elif isinstance(reference, Categorical) and isinstance(current, Categorical):
        drawn |= _categorical(reference, current)
    return {
        "name": unit.label,
        "kind": unit.column.kind.value if aspect == "values" else aspect,
        "role": unit.column.role.value,
        "status": report.columns[unit.label],
        "score": score,
        "reason": report.reason(unit.label),
        "missing": missing,
        **drawn,
        "metrics": [_metric(row) for row in rows],
    }


def _metric(row: Result) -> list[Any]:
    """A row of the page's table of metrics; a quantile's level belongs to its name."""
    name, method = row.metric, row.method
    if method.startswith("level "):
        level, _, method = method.partition(", ")
        name = f"{name} {level.removeprefix('level ')}"
    numbers = (row.reference, row.p_value, row.q_value, row.threshold)
    return [name, row.value, row.lower, row.upper, row.unit, *numbers, row.status, method]


@np.errstate(over="ignore", invalid="ignore")
def _numeric(reference: Numeric, current: Numeric, *, smooth: bool) -> dict[str, Any]:
    """Histogram on equal widths over the central range, both distribution functions, and if asked for the densities."""
    low, high = _central_range(reference, current)
    if not (np.isfinite([low, high]).all() and 0 < high - low < WIDEST):
        return {}
    edges = np.linspace(low, high, BARS + 1)
    sides = [_distribution(state, edges) for state in (reference, current)]
    shares = [np.diff(level) for level in sides]
    below, above = [float(level[0]) for level in sides], [float(1 - level[-1]) for level in sides]
    points = np.linspace(low, high, POINTS)
    curves = [
        density(state.counts, state.edges, state.extremes, points)
        * (edges[1] - edges[0])
        * _finite_share(state)
        for state in (reference, current)
        if smooth
    ]
    return {
        "histogram": {
            "edges": edges.tolist(),
            "reference": np.maximum(shares[0], 0).tolist(),
            "current": np.maximum(shares[1], 0).tolist(),
            "below": below,
            "above": [max(0.0, x) for x in above],
        },
        "density": {"x": points.tolist(), "reference": curves[0].tolist(), "current": curves[1].tolist()}
        if curves and np.isfinite(curves).all()
        else None,
        "ecdf": {
            "x": points.tolist(),
            "reference": _distribution(reference, points).tolist(),
            "current": _distribution(current, points).tolist(),
        },
    }


def _finite_share(state: Numeric) -> float:
    """Of the values that are not missing."""
    return float(state.moments[0] / max(1, int(state.counts[:-2].sum())))


def _central_range(reference: Numeric, current: Numeric) -> tuple[float, float]:
    """From the lower of both 0.5th percentiles to the higher of both 99.5th, a little wider."""
    ends = []
    for state in (reference, current):
        if state.moments[0]:
            found = [
                float(quantile(state.counts, state.edges, state.extremes, level).value)
                for level in (0.005, 0.995)
            ]
            ends.append([end for end in found if math.isfinite(end)])
    flat = [end for pair in ends for end in pair]
    if not flat:
        return math.nan, math.nan
    low, high = min(flat), max(flat)
    pad = 0.02 * (high - low) or max(abs(low) * 1e-3, 0.5)
    return low - pad, high + pad


def _distribution(state: Numeric, points: Floats) -> Floats:
    """The distribution function at ``points``: linear inside a cell, as a step at values of their own."""
    counts = state.counts[:-2]
    if not counts.sum():
        return np.zeros(points.size)
    known = np.where(np.isfinite(state.extremes), state.extremes, np.nan)
    level = np.cumsum(counts) / counts.sum()
    ends = boundaries(state.edges, known)
    shrunk = 0.25 if max(np.nanmax(np.abs(ends)), np.max(np.abs(points))) > WIDEST else 1.0
    return np.asarray(np.interp(points * shrunk, ends * shrunk, level[:-1], left=0.0, right=1.0))


def _categorical(reference: Categorical, current: Categorical) -> dict[str, Any]:
    rows, now_rows = max(1, reference.rows), max(1, current.rows)
    before, now = reference.counts / rows, current.counts / now_rows
    top = np.argsort(-np.maximum(before, now), kind="stable")[:CATEGORIES]
    others = np.ones(before.size, np.bool_)
    others[top] = False
    known = set(reference.names.values)
    new = [[name, n] for name, n in current.names.items() if name not in known]
    gone = np.flatnonzero((reference.counts > 0) & (current.counts == 0))
    return {
        "categories": [[reference.vocabulary[i], float(before[i]), float(now[i])] for i in top.tolist()],
        "other": [
            float(before[others].sum() + reference.outside.sum() / rows),
            float(now[others].sum() + current.outside.sum() / now_rows),
        ],
        "new": new,
        "vanished": [reference.vocabulary[i] for i in gone.tolist()],
    }


def _grid(report: Report, by: str) -> dict[str, Any] | None:
    """Distances by column and window, or by column and segment: the primary metric first, then ``others``."""
    labels = report.current.windows if by == "window" else report.current.segments
    if not labels:
        return None
    other = "segment" if by == "window" else "window"
    found = {name: report.results.where(metric=name, **{other: None}) for name in MAPPED}
    named = {name: set(results["column"].tolist()) for name, results in found.items() if len(results)}
    anywhere: set[str] = set().union(*named.values())
    columns = [label for label in report.columns if label in anywhere]
    maps = [_map(found[name], by, columns, labels) | {"metric": name} for name in named]
    if not maps:
        return None
    rows = [
        int(report.current.state("", "rows", **{by: label}).rows)  # type: ignore[attr-defined]
        for label in labels
    ]
    return {"labels": labels, "columns": columns, "rows": rows, **maps[0], "others": maps[1:]}


def _map(results: Results, by: str, columns: list[str], labels: list[str]) -> dict[str, Any]:
    """Values and statuses of one metric (columns × labels), and the threshold of each column."""
    at_row = {label: i for i, label in enumerate(columns)}
    at_column = {label: i for i, label in enumerate(labels)}
    values: list[list[float | None]] = [[None] * len(labels) for _ in columns]
    statuses = [["no_data"] * len(labels) for _ in columns]
    limits: list[list[float]] = [[] for _ in columns]
    fields = (results[name].tolist() for name in ("column", by, "value", "status", "threshold"))
    for column, place, value, status, threshold in zip(*fields, strict=True):
        if place is not None and column in at_row:
            i, j = at_row[column], at_column[place]
            values[i][j], statuses[i][j] = value, status
            limits[i].append(threshold)
    return {"values": values, "status": statuses, "limits": [_middle(of) for of in limits]}


def _middle(limits: list[float]) -> float:
    return float(np.nanmedian(limits)) if not np.isnan(limits).all() else math.nan


@np.errstate(over="ignore", invalid="ignore")
def _correlations(report: Report) -> dict[str, Any] | None:
    sides = [
        profile.plan.get(("", "pearson")) and profile.state("", "pearson")
        for profile in (report.reference, report.current)
    ]
    if not all(isinstance(state, Pairs) and state.n.any() for state in sides):
        return None
    found = [
        correlation(state.n, state.sums, state.squares, state.products)
        for state in sides
        if isinstance(state, Pairs)
    ]
    names = sides[0].columns  # type: ignore[union-attr]
    most = [i for i, name in enumerate(names) if name in set(list(report.columns)[:60])]
    return {
        "columns": [names[i] for i in most],
        "method": "pearson",
        **{
            side: matrix[np.ix_(most, most)].tolist()
            for side, matrix in zip(("reference", "current"), found, strict=True)
        },
    }
