"""The report in a notebook: the verdict and the first columns with their pictures."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from gpumon.reports import breakdowns, figures, views
from gpumon.reports.over_time import over_time
from gpumon.reports.svg import number, printable
from gpumon.reports.terminal import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gpumon.reports.report import Report

__all__ = ["html"]

MOST = 20
MOST_ROWS, MOST_CHARTS = 8, 2


def html(report: Report) -> str:
    """A fragment of HTML without scripts; all text from data is escaped."""
    rows = []
    for label in list(report.columns)[:MOST]:
        drawn = views.column(report, label)
        mark, _ = MARKS[drawn["status"]]
        score = "–" if drawn["score"] is None else f"{drawn['score']:.3f}"
        rows.append(
            f"<tr><td>{mark} {drawn['status'].replace('_', ' ')}</td><td style='text-align:left'>{escape(printable(label, 60))}</td>"
            f"<td>{score}</td><td>{figures.sparkline_svg(drawn)}</td>"
            f"<td style='text-align:left'>{escape(printable(drawn['reason']))}</td></tr>"
        )
    more = len(report.columns) - MOST
    rest = (
        f"<p>… and {more} more columns: <code>report.to_pandas()</code> has all results.</p>"
        if more > 0
        else ""
    )
    head = "<tr><th>status</th><th>column</th><th>Jensen–Shannon</th><th>reference, current</th><th>what happened</th></tr>"
    told = f"{_over_time(report)}{''.join(_parts(report))}<table>{head}{''.join(rows)}</table>{rest}"
    return f"<p><b>{escape(printable(views.sentence(report)))}</b></p>{told}"


def _over_time(report: Report) -> str:
    """What the windows show together, if there are windows with predictions and labels."""
    found = over_time(report)
    rows = []
    for row in found["measures"]:
        mark, _ = MARKS[row["status"]]
        numbers = [
            number(row[part][name])
            for part, name in (
                ("breaches", "value"),
                ("cusum", "value"),
                ("cusum", "threshold"),
                ("ewma", "value"),
                ("ewma", "threshold"),
                ("trend", "value"),
                ("trend", "p"),
            )
        ]
        cells = "".join(f"<td>{each}</td>" for each in numbers)
        rows.append(
            f"<tr><td>{mark} {escape(row['status'].replace('_', ' '))}</td><td style='text-align:left'>"
            f"{escape(row['name'].replace('_', ' '))}</td>{cells}<td style='text-align:left'>{escape(printable(row['reason']))}</td></tr>"
        )
    told = [
        f"<p>{escape(row['name'].replace('_', ' '))}: {escape(printable(row['reason']))}</p>"
        for row in (*found["changes"], *found["detectors"])
        if row["reason"]
    ]
    if not rows:
        return "".join(told)
    head = (
        "<tr><th>status</th><th>over time</th><th>windows in breach</th><th>CUSUM</th><th>limit</th><th>EWMA</th>"
        "<th>limit</th><th>trend a window</th><th>p</th><th>what happened</th></tr>"
    )
    return f"<table>{head}{''.join(rows)}</table>{''.join(told)}"


def _parts(report: Report) -> Iterator[str]:
    """Groups, slices and importance: the gravest measures of each, and its charts."""
    head = "<tr><th>status</th><th>measure</th><th>value</th><th>reference</th><th>what happened</th></tr>"
    for part in breakdowns.parts(report):
        rows = [
            f"<tr><td>{MARKS[row.status][0]} {row.status.replace('_', ' ')}</td>"
            f"<td style='text-align:left'>{escape(printable(f'{row.metric} {row.column or str()}', 80))}</td>"
            f"<td>{number(row.value)}</td><td>{number(row.reference)}</td>"
            f"<td style='text-align:left'>{escape(printable(row.reason, 200))}</td></tr>"
            for row in part.rows[:MOST_ROWS]
        ]
        table = f"<table>{head}{''.join(rows)}</table>" if rows else f"<p>{escape(part.empty)}</p>"
        yield f"<p><b>{escape(part.title)}</b></p>{table}{''.join([*part.charts.values()][:MOST_CHARTS])}"
